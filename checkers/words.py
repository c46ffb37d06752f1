"""Figures and names as text for a reader."""

from __future__ import annotations

from collections.abc import Iterable


def duration(ns: int) -> str:
    """A duration in ns with three significant figures: "2.31 s", "480 ms", "12 µs", "7 ns"."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns} ns"


def instant(ns: int) -> str:
    """A time of the history (ns since its start), such as "12.304 s"."""
    return f"{ns / 1e9:.3f} s"


def listed(names: Iterable[str]) -> str:
    """A list in words: "n1", "n1 and n2", "n1, n2 and n3"; "none" if it is empty."""
    *most, last = list(names) or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 reign", "2 reigns"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def each_of(count: int, noun: str) -> str:
    """The subject of a sentence about all of them: "the only term", "each of 3 terms"."""
    return f"the only {noun}" if count == 1 else f"each of {counted(count, noun)}"


def all_of(count: int, noun: str) -> str:
    """The subject of a sentence about all of them together: "the only write", "all 3 writes"."""
    return f"the only {noun}" if count == 1 else f"all {counted(count, noun)}"


def cut_short(total: int, most: int) -> str:
    """A suffix such as ", of which 200 are listed"; empty if all ``total`` are listed."""
    return f", of which {most} are listed" if total > most else ""
