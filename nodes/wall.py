"""A node on the wall clock instead of the monotonic clock (the feature ``wall-clock``): a deliberate mistake.

A node knows one clock, that of its events, so its driver decides which one it is. Its timers still run on the monotonic
clock, as in programs that read the wall clock only to compare instants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from splitbrain.nodes.protocol import Effect, Event, Node, Received, Status


class OnWallClock:
    """Wraps a node so that its events and claims carry the wall clock, ``now`` (ns); its timers are unchanged."""

    def __init__(self, node: Node, now: Callable[[], int]) -> None:
        self._node = node
        self._now = now

    def handle(self, event: Event) -> list[Effect]:
        now = self._now()
        return self._node.handle(event._replace(at=now) if isinstance(event, Received) else replace(event, at=now))

    def status(self, at: int) -> Status:
        return self._node.status(self._now())
