"""Counts replies instead of voters, so that a duplicated datagram is a second vote.

Votes received form a set: each server votes for at most one candidate in a term (Ongaro & Ousterhout 2014, section
5.2). Many implementations increment an integer instead, PySyncObj among them. Caught by ``quorum-behind-win``, when
datagrams are duplicated during an election that most nodes cannot answer.
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
    trigger="duplicated datagrams while a candidate reaches too few voters",
    steps=(
        {"at_ms": 1000, "for_ms": 9000, "fault": {"f": "duplicate", "percent": 100}},
        {"at_ms": 2000, "for_ms": 2000, "fault": {"f": "partition", "shape": "halves"}},
        {"at_ms": 6000, "for_ms": 2000, "fault": {"f": "partition", "shape": "random-halves"}},
    ),
)
