"""Counts itself twice when it checks its quorum, so that one peer too few suffices.

An off-by-one error in the quorum check alone (Ongaro's dissertation 2014, 6.2); elections are right. Caught by
``stall``, when the leader keeps exactly one of four peers and every other node depends on that peer too.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class CountsItselfTwice(Raft):
    """Adds its answer to a list that already contains it."""

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
    trigger="every node, the leader included, sees only one node, which is not the leader",
    steps=({"at_ms": 2000, "for_ms": 6000, "fault": {"f": "partition", "shape": "quorum-loss"}},),
)
