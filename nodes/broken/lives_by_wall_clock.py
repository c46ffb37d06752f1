"""Measures its lease on the wall clock: an operator who sets the clock back makes the lease longer.

Ongaro's dissertation (2014), 6.4.1, asks for bounded drift, and a clock that can be set has none. Exclusivity must
catch it, where it is promised whatever the wall clock does. Cheapest trigger: set the leader's clock back and isolate
it.

A node is told one clock by whoever drives it, so the mistake is the driver's: see ``nodes.wall``.
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
    by_wall_clock=True,
)
