"""Fault windows: the interval of each injected fault, for the timeline and the table of faults.

Which later operation undoes a fault, and from when, is decided in the checkers, so that drawings and verdicts agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers.fault import Fault, Link
from splitbrain.checkers.fault_periods import KILLS, PAUSES, FaultPeriod, is_repair, on_links
from splitbrain.checkers.history import History

SLACK = 50_000_000  # ns by which the measured end of a cut may lie outside the window of its fault


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultWindow:
    """A fault from its first history line to the line that ended it; times are ns.

    Possibly active on [begin, end], certainly from `effect` to `undo` where they are known. A fault that was never
    undone lasts to the end of the history. `kind` selects the drawing style: down, paused, cut or other.
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
        """The shape of the fault, such as "isolated-leader"; without one, its name."""
        return self.fault.shape or self.fault.f


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkRecovery:
    """A link whose cut ended at ``ended``, and the time until it first carried application data; None if it never did.

    Times are ns.
    """

    link: Link
    ended: int
    after: int | None


def link_recoveries(history: History) -> tuple[LinkRecovery, ...]:
    """The link recoveries measured in a run. Each heal reports all of them so far, so that the last report counts."""
    reports = [(fault.done, fault.effect.get("crossed")) for fault in history.faults if fault.done is not None]
    for reported, rows in reversed(reports):
        if isinstance(rows, list):
            return tuple(_link_recovery(row, reported) for row in rows if isinstance(row, Mapping))
    return ()


def _link_recovery(row: Mapping[str, Any], reported: int) -> LinkRecovery:
    sender, receiver = row["link"]
    after_ms = row["after_ms"]
    return LinkRecovery(
        link=(sender, receiver),
        ended=reported - int(row["ago_ms"] * 1e6),
        after=None if after_ms is None else int(after_ms * 1e6),
    )


def of_window(window: FaultWindow, recoveries: Sequence[LinkRecovery]) -> tuple[LinkRecovery, ...]:
    """The recoveries of the links that a fault had cut, from when it was undone."""
    if not window.undone or window.undo is None:
        return ()
    links = set(window.fault.links)
    return tuple(
        each for each in recoveries if each.link in links and window.undo - SLACK <= each.ended <= window.end + SLACK
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFaultSpan:
    """Node number `node` is possibly affected by fault window number `window` on [start, end] (ns)."""

    node: int
    start: int
    end: int
    kind: str
    window: int


def windows(history: History) -> tuple[FaultWindow, ...]:
    """The windows of all faults of a history by begin, without repairs."""
    return tuple(
        _window(fault, each, history.end)
        for fault, each in zip(history.faults, history.periods_by_fault, strict=True)
        if not is_repair(fault)
    )


def _window(fault: Fault, did: Sequence[FaultPeriod], end: int) -> FaultWindow:
    over = max((period.possible[1] for period in did), default=fault.begin if fault.done is None else fault.done)
    undone = bool(did) and over <= end
    undoing = [period.certain[1] for period in did if period.certain is not None]
    return FaultWindow(
        fault=fault,
        begin=fault.begin,
        effect=fault.done,
        undo=min(undoing) if undone and undoing else None,
        end=min(over, end),
        undone=undone,
        kind=kind_of(fault),
    )


def kind_of(fault: Fault) -> str:
    """The drawing style of a fault."""
    if fault.f in KILLS:
        return "down"
    if fault.f in PAUSES:
        return "paused"
    return "cut" if fault.f == "partition" else "other"


def node_faults(faults: Sequence[FaultWindow], nodes: Sequence[str]) -> tuple[NodeFaultSpan, ...]:
    """The intervals in which nodes were affected by faults, by node and start.

    A cut affects the nodes that it names; without names, both ends of its links.
    """
    rows = [
        NodeFaultSpan(node=nodes.index(name), start=window.begin, end=window.end, kind=window.kind, window=number)
        for number, window in enumerate(faults)
        if not window.fault.skipped
        for name in _targets(window.fault)
        if name in nodes
    ]
    return tuple(sorted(rows, key=lambda state: (state.node, state.start)))


def _targets(fault: Fault) -> frozenset[str]:
    if fault.nodes or not on_links(fault):
        return frozenset(fault.nodes)
    return frozenset(node for link in fault.links for node in link)


def packed(faults: Sequence[FaultWindow], most: int = 5) -> list[int]:
    """A row number for each fault. Faults in one row do not overlap, except in the last of `most` rows."""
    ends = [0] * most
    rows = []
    for window in faults:
        row = next((row for row, end in enumerate(ends) if end <= window.begin), most - 1)
        ends[row] = max(ends[row], window.end)
        rows.append(row)
    return rows
