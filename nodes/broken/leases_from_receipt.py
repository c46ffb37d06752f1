"""Starts its lease when the replies arrive, not when the requests were sent.

The lease begins when the round was sent, the latest instant that the voters' promises surely date from (Ongaro's
dissertation 2014, 6.4.1). Caught by ``exclusivity``, with slow links to and from the leader alone, and then a leader
that is mute: the last replies arrive when the voters' promises have nearly expired.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class LeasesFromReceipt(Raft):
    """Its lease begins when a majority's replies have arrived."""

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
    mistake="starts its lease at the replies",
    factory=LeasesFromReceipt,
    catches="exclusivity",
    trigger="slow links to and from the leader, then a mute leader",
    steps=tuple(
        step
        for at_ms in (2000, 6000)
        for step in (
            {"at_ms": at_ms, "for_ms": 2500, "fault": {"f": "delay", "target": "leader", "ms": 60}},
            {"at_ms": at_ms + 1000, "for_ms": 1000, "fault": {"f": "partition", "shape": "leader-mute"}},
        )
    ),
)
