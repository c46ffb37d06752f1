"""Counts itself twice when it looks whether it still has a quorum: one peer too few will do.

An off-by-one in the check of the quorum alone (Ongaro's dissertation 2014, 6.2); elections are right. A stall must
be found. Cheapest trigger: leave the leader exactly one of four peers, which everybody else depends on too.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class CountsItselfTwice(Raft):
    """Adds its own answer to a list that holds it already."""

    def _lost_quorum(self, at: int) -> bool:
        answered = sorted((*self._answered.values(), self._round))
        heard = answered[-self._majority] if len(answered) >= self._majority else self._contact
        return at - heard > self.options.election_timeout_max


BUG = Broken(
    name="counts-itself-twice",
    of=RAFT_SYSTEM,
    mistake="counts itself twice in its quorum",
    factory=CountsItselfTwice,
    catches="stall",
    trigger="all nodes, the leader too, see only one node which is not the leader",
)
