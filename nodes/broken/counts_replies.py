"""Counts replies, not voters: a doubled datagram is a second vote.

"Votes received" is a set (Ongaro & Ousterhout 2014, section 5.2: each server votes for at most one candidate); an
integer that is incremented is what many implementations have, PySyncObj among them. A quorum behind each win must
catch it. Cheapest trigger: duplicated datagrams during an election that most nodes cannot answer.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import CANDIDATE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class CountsReplies(Raft):
    """Takes each reply for that of another voter."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        if granted and term == self.term and self.role == CANDIDATE:
            sender = f"{sender}, reply {len(self._votes)}"
        super()._on_vote_reply(at, sender, term, round_, granted)


BUG = Broken(
    name="counts-replies",
    of=RAFT_BASIC_SYSTEM,
    mistake="counts replies instead of voters",
    factory=CountsReplies,
    catches="quorum-behind-win",
    trigger="doubled datagrams while a candidate reaches too few voters",
)
