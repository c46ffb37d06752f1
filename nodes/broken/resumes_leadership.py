"""Leads again after a restart, because it finds its own name as its vote on disk.

A vote for itself is not a win, and the role is not persistent state (Ongaro & Ousterhout 2014, figure 2). Caught by
``one-reign-a-term``; a losing candidate that restarts makes two leaders in one term.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Started
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ResumesLeadership(Raft):
    """Takes its vote for itself for a win."""

    def handle(self, event: Event) -> list[Effect]:
        effects = super().handle(event)
        if isinstance(event, Started) and self.voted_for == self.id:
            self._lead(event.at)
        return effects


BUG = Broken(
    name="resumes-leadership",
    of=RAFT_BASIC_SYSTEM,
    mistake="leads again after a restart",
    factory=ResumesLeadership,
    catches="one-reign-a-term",
    trigger="kill the leader and let it restart",
    steps=(
        {"at_ms": 2000, "for_ms": 100, "fault": {"f": "kill", "target": "leader"}},
        {"at_ms": 4000, "for_ms": 500, "fault": {"f": "kill", "target": "leader"}},
    ),
)
