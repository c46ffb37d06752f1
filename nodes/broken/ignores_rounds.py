"""Counts a vote whatever round of requests it answers.

It looks like a stale vote counted in a new election, and is none: a node asks for votes once a term, and replies of
other terms are dropped. Only of pre-votes are there several rounds for one term, and they promise nothing.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class IgnoresRounds(Raft):
    """Takes every reply to be to its latest request."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_vote_reply(at, sender, term, self._round, granted)

    def _on_pre_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_pre_vote_reply(at, sender, term, self._round, granted)


BUG = Broken(
    name="ignores-rounds",
    of=RAFT_SYSTEM,
    mistake="counts replies to earlier requests",
    factory=IgnoresRounds,
    catches="one-vote-a-term",
    trigger="replies delayed beyond the next election",
    harmless="a node asks for votes once in a term, so a reply of its term is one to its only round; pre-votes of an "
    "earlier round begin an election a little early, and promise nothing",
)
