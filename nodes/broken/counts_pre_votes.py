"""Counts a late pre-vote as a vote.

A pre-vote promises nothing (Ongaro's dissertation 2014, 9.6). Where one handler serves both replies, pre-votes that
arrive after the majority that began the election are counted as votes. Caught by ``quorum-behind-win``, with no fault
at all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import CANDIDATE, Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class CountsPreVotes(Raft):
    """Adds late pre-votes to the votes of the election that they allowed."""

    def _on_pre_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_pre_vote_reply(at, sender, term, round_, granted)
        if granted and term == self.term and self.role == CANDIDATE:
            self._votes.add(sender)
            self._count_votes(at)


BUG = Broken(
    name="counts-pre-votes",
    of=RAFT_SYSTEM,
    mistake="counts pre-votes as votes",
    factory=CountsPreVotes,
    catches="quorum-behind-win",
    trigger="none needed",
)
