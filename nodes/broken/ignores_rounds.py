"""Counts a vote in reply to any round of requests.

It resembles a stale vote counted in a new election, but is none: a node asks for votes once a term, and replies of
other terms are dropped. Only pre-votes have several rounds in one term, and they promise nothing.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, Broken
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
    steps=CONTESTED_ELECTIONS,
    harmless="a node asks for votes once in a term, so a reply of its term belongs to its only round; pre-votes of an "
    "earlier round begin an election a little early, and promise nothing",
)
