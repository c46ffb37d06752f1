"""Leads as soon as it finds that the lease has run out, before the store has said that it got it.

A port of client-go once told its program that it had started leading before the swap had succeeded (fabric8's
kubernetes-client, issue 7350). Exclusivity must catch it. Cheapest trigger: the leader dies, and two contenders who
find the lease run out within the same moment both lead, until the store refuses one of them; or a leader whose renewals
are slow is overtaken by one whose takeover is refused.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.lease import Contender
from splitbrain.nodes.systems.lease import LEASE_SYSTEM


class LeadsBeforeAsking(Contender):
    """Its reign begins with the request for the lease."""

    def _update(self, at: int, *, fast: bool = False) -> None:
        super()._update(at, fast=fast)
        if self._reign is None and self._call is not None:
            self._lead(self._call.message["record"]["transitions"])


BUG = Broken(
    name="leads-before-asking",
    of=LEASE_SYSTEM,
    mistake="leads before the store has given it the lease",
    factory=LeadsBeforeAsking,
    catches="exclusivity",
    trigger="kill the leader: contenders who ask for the lease at once all lead",
)
