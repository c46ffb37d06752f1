"""Keeps its vote in memory only: after a restart it votes again in the term it voted in.

The most common mistake in home-made implementations of Raft (Ongaro & Ousterhout 2014, figure 2: votedFor is
persistent state). One vote a term must catch it. Cheapest trigger: kill a voter as it has granted its vote, while
another candidate is still asking in the same term.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ForgetsVote(Raft):
    """Makes its term durable, and not its vote."""

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
)
