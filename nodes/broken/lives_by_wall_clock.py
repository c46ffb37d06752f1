"""Measures its lease on the wall clock, so that setting the clock back extends the lease.

Leases need bounded clock drift (Ongaro's dissertation 2014, 6.4.1), and a clock that can be set has no bound. Caught by
``exclusivity``, which is promised under every fault of the wall clock.

A node reads no clock, so the mistake is its driver's: see ``nodes.wall``.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM

BUG = Broken(
    name="lives-by-wall-clock",
    of=RAFT_LEASE_SYSTEM,
    mistake="measures its lease on the wall clock",
    catches="exclusivity",
    trigger="set the leader's clock back, and isolate it",
    steps=(
        {"at_ms": 2000, "for_ms": 3000, "fault": {"f": "skew", "target": "leader", "offset_ms": -2000}},
        {"at_ms": 2100, "for_ms": 2000, "fault": {"f": "partition", "shape": "isolated-leader"}},
    ),
    by_wall_clock=True,
)
