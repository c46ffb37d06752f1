"""Keeps term and vote in memory only: each restart begins at term 0.

PySyncObj does so up to 0.3.15. Term monotonicity must catch it. Cheapest trigger: kill any
node and let it come back while nobody can tell it the present term, or just look at it in time.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class ForgetsEverything(Raft):
    """Makes nothing durable."""

    def handle(self, event: Event) -> list[Effect]:
        return [effect for effect in super().handle(event) if not isinstance(effect, Persist)]


BUG = Broken(
    name="forgets-everything",
    of=RAFT_SYSTEM,
    mistake="makes nothing durable",
    factory=ForgetsEverything,
    catches="term-monotonicity",
    trigger="kill and restart any node",
)
