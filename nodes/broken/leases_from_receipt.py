"""Counts its lease from when it got the answers, not from when it asked.

Ongaro's dissertation (2014), 6.4.1: the lease begins when the round was sent, for that is the latest instant that the
voters' promises surely date from. Exclusivity must catch it. Cheapest trigger: slow links to and from the leader alone,
and then none away from it: the last answers come when the voters have all but left.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class LeasesFromReceipt(Raft):
    """Its lease begins when a majority's answers have come."""

    _renewed = 0

    def _count_answers(self, at: int) -> None:
        contact = self._contact
        super()._count_answers(at)
        if self._contact > contact:
            self._renewed = at

    def _leads(self, at: int) -> bool:
        return self._reign is not None and at < self._renewed + self._lease


BUG = Broken(
    name="leases-from-receipt",
    of=RAFT_LEASE_SYSTEM,
    mistake="counts its lease from the answers",
    factory=LeasesFromReceipt,
    catches="exclusivity",
    trigger="slow links to and from the leader, and then none away from it",
)
