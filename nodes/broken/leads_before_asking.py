"""Leads as soon as it finds the lease expired, before the store has granted it.

A port of client-go reported the start of leadership before the compare-and-swap had succeeded (fabric8's
kubernetes-client, issue 7350). Caught by ``exclusivity``: two contenders that find the lease expired at the same moment
both lead, until the store refuses one of them; or a leader whose renewals are slow is overtaken by a contender whose
takeover is refused.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.lease import LeaseContender
from splitbrain.nodes.systems.lease import LEASE_SYSTEM


class LeadsBeforeAsking(LeaseContender):
    """Begins its reign with the request for the lease."""

    def _update(self, at: int, *, fast: bool = False) -> None:
        super()._update(at, fast=fast)
        if self._reign is None and self._call is not None:
            self._lead(self._call.message["record"]["transitions"])


BUG = Broken(
    name="leads-before-asking",
    of=LEASE_SYSTEM,
    mistake="leads before the store has granted the lease",
    factory=LeadsBeforeAsking,
    catches="exclusivity",
    trigger="kill the leader: contenders that ask for the lease at once all lead",
    steps=tuple(
        {"at_ms": at_ms, "for_ms": 2000, "fault": {"f": "kill", "target": "leader"}}
        for at_ms in range(2000, 20000, 4000)
    ),
)
