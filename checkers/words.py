"""How figures and names are put to a reader."""

from __future__ import annotations

from collections.abc import Iterable


def duration(ns: int) -> str:
    """ "2.31 s", "480 ms", "12 µs" or "7 ns": three figures are enough for a reader."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("µs", 1_000)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns} ns"


def instant(ns: int) -> str:
    """A time of the history, such as "12.304 s"."""
    return f"{ns / 1e9:.3f} s"


def listed(names: Iterable[str]) -> str:
    """ "n1", "n1 and n2", "n1, n2 and n3"."""
    *most, last = list(names) or ["nobody"]
    return f"{', '.join(most)} and {last}" if most else last


def counted(count: int, noun: str) -> str:
    """ "1 reign", "2 reigns"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def cut_short(total: int, most: int) -> str:
    """ ", of which 200 are listed" if there are more than that, and nothing if all of them are."""
    return f", of which {most} are listed" if total > most else ""
