"""What the nemesis did, as stretches of time: the bands of the timeline and the rows of the table of faults.

When a fault began to be undone, and by what, is decided in `checkers.cluster_health`, for the checkers and
for the picture alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers.fault import Fault, Link
from splitbrain.checkers.fault_periods import KILLS, PAUSES, FaultPeriod, fault_periods, is_repair, on_links
from splitbrain.checkers.history import History

SLACK = 50_000_000  # ns by which when a cut ended and the lines about it may differ


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A fault from its first line to the line that ended it, ns.

    Possibly active on [begin, end], surely from `effect` to `undo` where they are known. A fault that was never
    undone lasts to the end of the history. `kind` says how it is drawn: down, paused, cut or other.
    """

    fault: Fault
    begin: int
    effect: int | None
    undo: int | None
    end: int
    undone: bool
    kind: str

    @property
    def shape(self) -> str:
        """What the fault was called when it was asked for: its shape, else its name."""
        return self.fault.shape or self.fault.f


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """Software heard again over a link whose cut ended at ``ended`` (ns), so much later (ns); None if it was not."""

    link: Link
    ended: int
    after: int | None


def crossings(history: History) -> tuple[Crossing, ...]:
    """As the healings of the history say, the last that tells of them telling of all."""
    told = [(fault, fault.effect.get("crossed")) for fault in history.faults if fault.done is not None]
    for fault, crossed in reversed(told):
        if isinstance(crossed, list) and fault.done is not None:
            return tuple(_crossing(row, fault.done) for row in crossed if isinstance(row, Mapping))
    return ()


def _crossing(row: Mapping[str, Any], told_at: int) -> Crossing:
    sender, receiver = row["link"]
    after_ms = row["after_ms"]
    return Crossing(
        link=(sender, receiver),
        ended=told_at - int(row["ago_ms"] * 1e6),
        after=None if after_ms is None else int(after_ms * 1e6),
    )


def of_window(window: Window, crossed: Sequence[Crossing]) -> tuple[Crossing, ...]:
    """Those of a fault's own links, whose cuts ended as it was undone."""
    if not window.undone or window.undo is None:
        return ()
    links = set(window.fault.links)
    return tuple(
        each for each in crossed if each.link in links and window.undo - SLACK <= each.ended <= window.end + SLACK
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Node number `node` is possibly hurt on [start, end] (ns) by window number `window`."""

    node: int
    start: int
    end: int
    kind: str
    window: int


def windows(history: History) -> tuple[Window, ...]:
    """Every fault of the history that hurts rather than mends, in order of begin."""
    return tuple(
        _window(fault, _of(history, at), history.end) for at, fault in enumerate(history.faults) if not is_repair(fault)
    )


def _of(history: History, at: int) -> list[FaultPeriod]:
    """What fault number `at` did, without what later acts did: a restart disturbs its node too."""
    fault = history.faults[at]
    if fault.skipped is not None:
        return []
    left = set[object](fault.links if fault.links and on_links(fault) else fault.nodes)
    repairs = (act for act in history.faults[at + 1 :] if is_repair(act))
    found = []
    for period in fault_periods((fault, *repairs), history.end):
        found.append(period)
        left.difference_update(period.links, period.nodes)
        if not left:
            break
    return found


def _window(fault: Fault, did: Sequence[FaultPeriod], end: int) -> Window:
    over = max((period.possible[1] for period in did), default=fault.begin if fault.done is None else fault.done)
    undone = bool(did) and over <= end
    undoing = [period.certain[1] for period in did if period.certain is not None]
    return Window(
        fault=fault,
        begin=fault.begin,
        effect=fault.done,
        undo=min(undoing) if undone and undoing else None,
        end=min(over, end),
        undone=undone,
        kind=kind_of(fault),
    )


def kind_of(fault: Fault) -> str:
    """How a fault is drawn."""
    if fault.f in KILLS:
        return "down"
    if fault.f in PAUSES:
        return "paused"
    return "cut" if fault.f == "partition" else "other"


def states(hurt: Sequence[Window], nodes: Sequence[str]) -> tuple[State, ...]:
    """Which node was hurt when, by node and start.

    A cut that names its targets is about them, and one that does not is about all the ends of its links.
    """
    rows = [
        State(node=nodes.index(name), start=window.begin, end=window.end, kind=window.kind, window=number)
        for number, window in enumerate(hurt)
        if not window.fault.skipped
        for name in _targets(window.fault)
        if name in nodes
    ]
    return tuple(sorted(rows, key=lambda state: (state.node, state.start)))


def _targets(fault: Fault) -> frozenset[str]:
    if fault.nodes or not on_links(fault):
        return frozenset(fault.nodes)
    return frozenset(node for link in fault.links for node in link)


def packed(hurt: Sequence[Window], most: int = 5) -> list[int]:
    """A row for each fault such that those of one row do not overlap; where `most` rows are full they may."""
    ends = [0] * most
    rows = []
    for window in hurt:
        row = next((row for row, end in enumerate(ends) if end <= window.begin), most - 1)
        ends[row] = max(ends[row], window.end)
        rows.append(row)
    return rows
