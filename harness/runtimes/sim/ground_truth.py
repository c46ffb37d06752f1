"""The true reigns of a simulated run, which every verdict about leadership estimates.

A node leads at an instant if its ``status`` at that instant says so. Between two events a reign can only end (a lease
runs out), so its end is found by bisection, to the nanosecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from splitbrain.nodes.protocol import Event
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument


@dataclass(frozen=True, slots=True)
class TrueReign:
    """``node`` led in [began, ended) of true time."""

    node: str
    reign: str
    term: int | None
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two nodes led at once, in [began, ended)."""

    first: TrueReign
    second: TrueReign
    began: int
    ended: int


@dataclass(slots=True)
class _Open:
    reign: str
    term: int | None
    began: int
    seen: int  # when it was last known to go on


class GroundTruth(Instrument):
    """Records every reign of the simulation that it watches."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._closed: list[TrueReign] = []

    def reigns(self, now: int) -> tuple[TrueReign, ...]:
        """All reigns in the order of their beginning; those under way end ``now``."""
        going_on = [TrueReign(node, o.reign, o.term, o.began, now) for node, o in self._open.items()]
        return tuple(sorted((*self._closed, *going_on), key=lambda reign: (reign.began, reign.node)))

    def before(self, host: Host) -> None:
        going_on = self._open.get(host.name)
        if going_on is None:
            return
        now = host.true_now
        if self._leads(host, going_on, now):
            going_on.seen = now
        else:
            self._close(host.name, self._end_between(host, going_on, going_on.seen, now))

    def after(self, host: Host, event: Event) -> None:
        going_on = self._open.get(host.name)
        status = host.status()
        reign = status.reign if status is not None and status.leading else None
        if going_on is not None and reign != going_on.reign:
            self._close(host.name, host.true_now)
            going_on = None
        if going_on is None and status is not None and reign is not None:
            self._open[host.name] = _Open(reign, status.term, host.true_now, host.true_now)

    def down(self, host: Host) -> None:
        if host.name in self._open:
            self._close(host.name, host.true_now)

    def _leads(self, host: Host, going_on: _Open, instant: int) -> bool:
        status = host.status_at(instant)
        return status is not None and status.leading and status.reign == going_on.reign

    def _end_between(self, host: Host, going_on: _Open, leads: int, leads_not: int) -> int:
        while leads_not - leads > 1:
            middle = (leads + leads_not) // 2
            if self._leads(host, going_on, middle):
                leads = middle
            else:
                leads_not = middle
        return leads_not

    def _close(self, node: str, ended: int) -> None:
        going_on = self._open.pop(node)
        self._closed.append(TrueReign(node, going_on.reign, going_on.term, going_on.began, ended))


def overlaps(reigns: Sequence[TrueReign]) -> tuple[Overlap, ...]:
    """Every pair of reigns of different nodes that share an instant."""
    found = []
    for first, second in combinations(reigns, 2):
        began, ended = max(first.began, second.began), min(first.ended, second.ended)
        if first.node != second.node and began < ended:
            found.append(Overlap(first, second, began, ended))
    return tuple(found)
