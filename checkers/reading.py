"""Reading: JSON lines, foreign formats, or entries in memory, into a recording.

Every malformed line raises ``HistoryError`` with the file, the line number, what was expected and what was found. The
one exception is a last line that was cut off while it was written: it is dropped, and ``Recording.truncated`` is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.formats import FormatError, foreign_entries
from splitbrain.checkers.recording import HistoryEntry, Recording

BATCH = 64  # lines decoded at a time
MOST_LINE = 1 << 20  # bytes; an honest line has a few hundred


class HistoryError(ValueError):
    """A history that cannot be read: the file, the line (from 1), what was expected and what was found."""

    def __init__(self, source: str, line: int, problem: str) -> None:
        super().__init__(f"{source}, line {line}: {problem}")
        self.source = source
        self.line = line
        self.problem = problem


def record_lines(lines: Iterable[bytes], source: str) -> Recording:
    """Record JSON lines, with or without a newline at the end. Raises HistoryError."""
    recording = Recording()
    for entries in _decoded(lines, source, recording):
        _take_all(recording, entries, source)
    recording.finish()
    return recording


def record_entries(entries: Iterable[HistoryEntry | Mapping[str, Any]], source: str) -> Recording:
    """Record entries in memory. Raises HistoryError."""
    recording = Recording()
    _take_all(recording, (_entry(entry, source, line) for line, entry in enumerate(entries, 1)), source)
    recording.finish()
    return recording


def record_foreign(text: bytes, source: str) -> Recording:
    """Record a history in a foreign format. Raises HistoryError."""
    try:
        entries = foreign_entries(text)
    except FormatError as problem:
        raise HistoryError(source, problem.line, str(problem)) from problem
    return record_entries(entries, source)


def _take_all(recording: Recording, entries: Iterable[HistoryEntry], source: str) -> None:
    take = recording.take
    try:
        for entry in entries:
            take(entry)
    except Malformed as problem:
        raise HistoryError(source, problem.index + 1, str(problem)) from problem


def _entry(entry: HistoryEntry | Mapping[str, Any], source: str, line: int) -> HistoryEntry:
    if isinstance(entry, HistoryEntry):
        return entry
    try:
        return msgspec.convert(entry, HistoryEntry)
    except msgspec.ValidationError as problem:
        raise HistoryError(source, line, _lowered(problem)) from problem


def _decoded(lines: Iterable[bytes], source: str, recording: Recording) -> Iterator[list[HistoryEntry]]:
    """Decode the lines batch by batch; a batch with an error is decoded line by line."""
    decoder = msgspec.json.Decoder(HistoryEntry)
    remaining = iter(lines)
    while batch := list(islice(remaining, BATCH)):
        try:
            entries = decoder.decode_lines(b"\n".join(batch)) if max(map(len, batch)) <= MOST_LINE else []
        except (ValueError, RecursionError):
            entries = []
        if len(entries) == len(batch):
            yield entries
        else:
            yield from _decoded_singly(batch, remaining, source, recording)


def _decoded_singly(
    batch: list[bytes], remaining: Iterator[bytes], source: str, recording: Recording
) -> Iterator[list[HistoryEntry]]:
    first = recording.count + 1
    decoder = msgspec.json.Decoder(HistoryEntry)
    for number, line in enumerate(batch, first):
        if len(line) > MOST_LINE:
            raise HistoryError(source, number, f"expected a line of at most {MOST_LINE} bytes, got a longer one")
        try:
            entry = decoder.decode(line)
        except (ValueError, RecursionError) as problem:
            last = number == first + len(batch) - 1 and next(remaining, None) is None
            if last and _is_cut_off(line):
                recording.truncated = True
                return
            raise HistoryError(source, number, f"{_lowered(problem)}, in {_excerpt(line)}") from problem
        yield [entry]


def _is_cut_off(line: bytes) -> bool:
    """True for a line cut off while it was written: no newline, and not yet JSON."""
    if line.endswith(b"\n"):
        return False
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return True
    return False


def _lowered(problem: Exception) -> str:
    words = str(problem)
    if not words.startswith(("Expected", "Object missing")):
        words = f"expected one JSON object: {words}"
    return words[0].lower() + words[1:]


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\n")
    return text if len(text) <= 200 else f"{text[:200]}… ({len(line)} bytes)"
