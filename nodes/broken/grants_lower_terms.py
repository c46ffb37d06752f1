"""Grants its vote without comparing terms, so that a candidate of an old term may still win it.

The rule for votes begins "Reply false if term < currentTerm" (Ongaro & Ousterhout 2014, figure 2). Caught by
``durable-before-sent``, since the vote is of no term that the voter has stored, and later by ``one-vote-a-term``.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, Broken
from splitbrain.nodes.raft import VOTE_REPLY, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class GrantsLowerTerms(Raft):
    """Votes for any candidate of a lower term."""

    def _on_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        if term < self.term:
            self._reply_to_candidate(sender, VOTE_REPLY, term, round_, True)
        else:
            super()._on_vote(at, sender, term, round_)


BUG = Broken(
    name="grants-lower-terms",
    of=RAFT_BASIC_SYSTEM,
    mistake="votes in terms lower than its own",
    factory=GrantsLowerTerms,
    catches="durable-before-sent",
    trigger="a vote request that arrives late, or from a node that is terms behind",
    steps=CONTESTED_ELECTIONS,
)
