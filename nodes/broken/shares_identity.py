"""Every contender calls itself the same: whoever reads the record takes it for its own, and renews it.

client-go (``leaderelection.go``) tells holders apart by their identity alone, which must be unique to each process; and
since the holder never changes, nor does the number of its changes. Term safety must catch it. Cheapest trigger: none.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.lease import Contender
from splitbrain.nodes.systems.lease import LEASE_SYSTEM


class SharesIdentity(Contender):
    """Called as all others are, after the deployment perhaps."""

    def _identified(self) -> str:
        return "contender"


BUG = Broken(
    name="shares-identity",
    of=LEASE_SYSTEM,
    mistake="calls itself in the record as all others do",
    factory=SharesIdentity,
    catches="term-safety",
    trigger="none: two contenders are enough",
    nodes=3,
)
