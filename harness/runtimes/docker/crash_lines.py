"""Lines of a node's log that look like a crash: a traceback, a panic, a fatal error or a failed assertion.

They decide no verdict, as many a program logs what it survives. They stand beside it, because a node that crashed may
explain what is said of an election.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

TRACEBACK: Final = "Traceback (most recent call last)"
CRASH: Final = re.compile(
    r"""\bpanic: | \bpanicked\ at\b | (?-i:\bFATAL\b) | \bfatal\ (error|exception|signal)\b | ^fatal: | \bfatal:
    | "?(level|lvl|severity)"?\s*[=:]\s*"?(fatal|panic|critical)\b
    | \bAssertionError\b | \bassert(ion)?\b.{0,200}\bfailed\b
    | \bException\ in\ thread\b | \b(unhandled|uncaught)\ exception\b | \bOutOfMemoryError\b
    | \bsegmentation\ fault\b | \bSIGSEGV\b | \bcore\ dumped\b""",
    re.VERBOSE | re.IGNORECASE,
)
QUOTES: Final = 3
MOST_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Crash:
    """A line that looks like a crash, and the time at which the engine got it, ns of its wall clock.

    Of a traceback the words are its last line, which names the exception.
    """

    at: int
    words: str


def crashes(lines: Iterable[bytes]) -> Iterator[Crash]:
    """The crashes in the lines of a log, each of which begins with its time as ``docker logs --timestamps`` writes."""
    traceback: int | None = None
    at = 0
    for line in lines:
        stamp, _, text = line.decode(errors="replace").rstrip("\r\n").partition(" ")
        at = _instant(stamp, at)
        if traceback is not None and text and not text[0].isspace() and TRACEBACK not in text:
            yield Crash(traceback, _cut(text))
            traceback = None
        elif TRACEBACK in text:
            traceback = at
        elif traceback is None and CRASH.search(text):
            yield Crash(at, _cut(text))
    if traceback is not None:
        yield Crash(traceback, TRACEBACK)


def quoted(found: Iterable[Crash]) -> tuple[int, list[Crash]]:
    """How many there are, and the first of each kind of words, of which there may be many."""
    count, quotes = 0, dict[str, Crash]()
    for crash in found:
        count += 1
        if len(quotes) < QUOTES:
            quotes.setdefault(crash.words, crash)
    return count, list(quotes.values())


def lines_of(chunks: Iterable[Any]) -> Iterator[bytes]:
    """The lines of a log that comes in pieces."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + bytes(chunk)).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _instant(stamp: str, otherwise: int) -> int:
    """The time that a stamp such as ``2026-11-28T12:00:00.123456789Z`` shows, ns since 1970."""
    try:
        shown = datetime.fromisoformat(stamp[:19] + "+00:00")
    except ValueError:
        return otherwise
    fraction = stamp[20:].rstrip("Z")
    return int(shown.timestamp()) * 10**9 + (int(fraction.ljust(9, "0")[:9]) if fraction.isdigit() else 0)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
