"""Keeps term and vote in memory only, so that each restart begins at term 0.

PySyncObj did so up to version 0.3.15. Caught by term monotonicity, when a restarted node is observed before it learns
the present term.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class ForgetsEverything(Raft):
    """Persists nothing."""

    def handle(self, event: Event) -> list[Effect]:
        return [effect for effect in super().handle(event) if not isinstance(effect, Persist)]


BUG = Broken(
    name="forgets-everything",
    of=RAFT_SYSTEM,
    mistake="persists nothing",
    factory=ForgetsEverything,
    catches="term-monotonicity",
    trigger="kill and restart any node",
    steps=(
        {"at_ms": 2000, "for_ms": 1000, "fault": {"f": "partition", "shape": "isolated-leader"}},
        {"at_ms": 5000, "for_ms": 300, "fault": {"f": "kill", "target": "all"}},
    ),
)
