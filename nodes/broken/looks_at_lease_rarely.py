"""Checks its lease only when it sends heartbeats: between two of them, and after a pause, it claims an expired lease.

Check, then act, with a pause in between (M. Kleppmann, "How to do distributed locking", 2016). Caught by
``exclusivity``, when the leader is paused for longer than its lease.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class LooksAtLeaseRarely(Raft):
    """Reports its lease as it was when it last sent heartbeats."""

    _looked = 0

    def _heartbeat(self, at: int) -> None:
        self._looked = at
        super()._heartbeat(at)

    def _leads(self, at: int) -> bool:
        return super()._leads(min(at, self._looked))


BUG = Broken(
    name="looks-at-lease-rarely",
    of=RAFT_LEASE_SYSTEM,
    mistake="checks its lease only on heartbeats",
    factory=LooksAtLeaseRarely,
    catches="exclusivity",
    trigger="pause the leader for longer than its lease",
    steps=tuple(
        step
        for at_ms in (2000, 5000, 8000)
        for step in (
            # Observers ask the old leader again when its successor appears; cut off, it finds little else on waking.
            {"at_ms": at_ms, "for_ms": 1000, "fault": {"f": "partition", "shape": "isolated-leader"}},
            {"at_ms": at_ms + 10, "for_ms": 750, "fault": {"f": "pause", "target": "leader"}},
        )
    ),
)
