"""Figures and names as text for a reader."""

from __future__ import annotations

from collections.abc import Iterable

from splitbrain.names import MS

SECOND = 1000 * MS


def duration(ns: int) -> str:
    """A duration in ns with three significant figures: "2.31 s", "480 ms", "12 µs", "7 ns"."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns} ns"


def instant(ns: int) -> str:
    """A time of the history (ns since its start), such as "12.304 s"."""
    return f"{ns / 1e9:.3f} s"


def during(start: int, end: int) -> str:
    """A closed interval (ns), as exactly as its length needs: "from 2.200 s to 8.400 s", "at 276.600 412 s"."""
    first, last = ends(start, end)
    return f"from {first} to {last}" if end - start >= MS else f"at {first}"


def ends(start: int, end: int) -> tuple[str, str]:
    """The ends of an interval (ns), as exactly as its length needs."""
    length = end - start
    digits = 3 if length >= 10 * MS else 6 if length >= MS // 100 else 9
    return _seconds(start, digits), _seconds(end, digits)


def _seconds(ns: int, digits: int) -> str:
    """Seconds with that many digits, a multiple of 3, in groups of three."""
    whole, fraction = divmod(ns, SECOND)
    groups = [f"{fraction:09d}"[at : at + 3] for at in range(0, digits, 3)]
    return f"{whole}.{' '.join(groups)} s"


def listed(names: Iterable[str]) -> str:
    """A list in words: "n1", "n1 and n2", "n1, n2 and n3"; "none" if it is empty."""
    *most, last = list(names) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 reign", "2 reigns"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def times(count: int) -> str:
    """How often: "once", "twice", "5 times"."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def each_of(count: int, noun: str) -> str:
    """The subject of a sentence about all of them: "the only term", "each of 3 terms"."""
    return f"the only {noun}" if count == 1 else f"each of {counted(count, noun)}"


def all_of(count: int, noun: str) -> str:
    """The subject of a sentence about all of them together: "the only write", "all 3 writes"."""
    return f"the only {noun}" if count == 1 else f"all {counted(count, noun)}"


def cut_short(total: int, most: int) -> str:
    """A suffix such as ", of which 200 are listed"; empty if all ``total`` are listed."""
    return f", of which {most} are listed" if total > most else ""
