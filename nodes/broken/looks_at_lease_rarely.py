"""Looks at its lease only when it sends heartbeats: between two of them, and after a pause, it claims what it lost.

"Check, then act" with a pause in between (M. Kleppmann, "How to do distributed locking", 2016). Exclusivity must
catch it. Cheapest trigger: pause the leader for longer than its lease.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class LooksAtLeaseRarely(Raft):
    """Says what was true when it last sent heartbeats."""

    _looked = 0

    def _heartbeat(self, at: int) -> None:
        self._looked = at
        super()._heartbeat(at)

    def _leads(self, at: int) -> bool:
        return super()._leads(min(at, self._looked))


BUG = Broken(
    name="looks-at-lease-rarely",
    of=RAFT_LEASE_SYSTEM,
    mistake="checks its lease on heartbeats",
    factory=LooksAtLeaseRarely,
    catches="exclusivity",
    trigger="pause the leader for longer than its lease",
)
