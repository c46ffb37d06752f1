"""Measures its lease on the wall clock: an operator who sets the clock back makes the lease longer.

Ongaro's dissertation (2014), 6.4.1, asks for bounded drift, and a clock that can be set has none. Exclusivity must
catch it, where it is promised whatever the wall clock does. Cheapest trigger: set the leader's clock back and isolate
it.

A node is told one clock by whoever drives it, so the mistake is the driver's: it puts this ``OnWallClock`` around each
node of a system that is ``by_wall_clock``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nodes.broken.base import Broken
from nodes.protocol import Effect, Event, Node, Received, Status
from nodes.systems.raft import RAFT_LEASE_SYSTEM


class OnWallClock:
    """A node that is told the time of day, ``now`` (ns); its timers run on elapsed time, as before."""

    def __init__(self, node: Node, now: Callable[[], int]) -> None:
        self._node = node
        self._now = now

    def handle(self, event: Event) -> list[Effect]:
        now = self._now()
        return self._node.handle(event._replace(at=now) if isinstance(event, Received) else replace(event, at=now))

    def status(self, at: int) -> Status:
        return self._node.status(self._now())


BUG = Broken(
    name="lives-by-wall-clock",
    of=RAFT_LEASE_SYSTEM,
    mistake="measures its lease on the wall clock",
    catches="exclusivity",
    trigger="set the leader's clock back, and isolate it",
    by_wall_clock=True,
)
