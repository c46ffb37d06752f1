"""Gives every contender the same identity, so that each takes the record for its own and renews it.

client-go (``leaderelection.go``) distinguishes holders by identity, which must be unique to each process. Since the
holder never changes, the number of transitions does not grow either. Caught by ``term-safety``, with no fault at all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.lease import LeaseContender
from splitbrain.nodes.systems.lease import LEASE_SYSTEM


class SharesIdentity(LeaseContender):
    """Uses one name for all contenders, for example the deployment's."""

    def _make_identity(self) -> str:
        return "contender"


BUG = Broken(
    name="shares-identity",
    of=LEASE_SYSTEM,
    mistake="uses the same identity as every other contender",
    factory=SharesIdentity,
    catches="term-safety",
    trigger="none: two contenders are enough",
    nodes=3,
)
