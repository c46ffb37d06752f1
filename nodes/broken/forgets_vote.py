"""Keeps its vote in memory only, so that after a restart it votes a second time in the same term.

The most common mistake in home-made implementations of Raft: votedFor is persistent state (Ongaro & Ousterhout 2014,
figure 2). Caught by ``one-vote-a-term``, when a voter dies just after it granted its vote and another candidate still
asks in the same term.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, LEADER_ISOLATED_AT_MS, Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ForgetsVote(Raft):
    """Persists its term, but not its vote."""

    def handle(self, event: Event) -> list[Effect]:
        return [
            Persist({**effect.state, "voted_for": None}) if isinstance(effect, Persist) else effect
            for effect in super().handle(event)
        ]


BUG = Broken(
    name="forgets-vote",
    of=RAFT_BASIC_SYSTEM,
    mistake="keeps its vote in memory only",
    factory=ForgetsVote,
    catches="one-vote-a-term",
    trigger="kill a voter as it grants its vote, with two candidates in one term",
    steps=(
        *CONTESTED_ELECTIONS,
        *(
            {
                "at_ms": at_ms,
                "for_ms": 10,
                "fault": {"f": "kill", "target": "subject", "after_effects": 9},
                "when": {"event": "vote-granted", "count": 2, "within_ms": 1500},
            }
            for at_ms in LEADER_ISOLATED_AT_MS
        ),
    ),
)
