"""Grants its vote without looking at the term: a candidate of a term long past may still win it.

The first line of a vote's rule is "reply false if term < currentTerm" (Ongaro & Ousterhout 2014, figure 2). What is
durable before a message is sent must catch it, for the vote is in no term that the voter has stored; further on, one
vote a term. Cheapest trigger: a node that comes back with a term behind the others' and asks.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import VOTE_REPLY, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class GrantsLowerTerms(Raft):
    """Says yes to whoever asks in a lower term."""

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
    trigger="a request for votes that comes late, or from a node that is terms behind",
)
