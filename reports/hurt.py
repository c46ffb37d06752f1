"""What the nemesis did, as stretches of time: the bands of the timeline and the rows of the table of faults.

When a fault began to be undone, and by what, is decided in `checkers.exposure`, for the checkers and for the picture
alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from checkers.exposure import KILLS, PAUSES, Hurt, hurts, is_repair, on_links
from checkers.fault import Fault
from checkers.history import History


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


def _of(history: History, at: int) -> list[Hurt]:
    """What fault number `at` did, without what later acts did: a restart disturbs its node too."""
    fault = history.faults[at]
    if fault.skipped is not None:
        return []
    left = set[object](fault.links if fault.links and on_links(fault) else fault.nodes)
    repairs = (act for act in history.faults[at + 1 :] if is_repair(act))
    found = []
    for hurt in hurts((fault, *repairs), history.end):
        found.append(hurt)
        left.difference_update(hurt.links, hurt.nodes)
        if not left:
            break
    return found


def _window(fault: Fault, did: Sequence[Hurt], end: int) -> Window:
    over = max((hurt.possibly[1] for hurt in did), default=fault.begin if fault.done is None else fault.done)
    undone = bool(did) and over <= end
    undoing = [hurt.surely[1] for hurt in did if hurt.surely is not None]
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
