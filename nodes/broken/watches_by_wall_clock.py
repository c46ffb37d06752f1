"""Measures on the wall clock how long the record has not changed.

client-go (``leaderelection.go``) measures the time since the last observed change on a monotonic clock. On the wall
clock, a clock set ahead makes the holder's lease expire at once. Caught by ``exclusivity``, when the leader is isolated
and the clocks are set ahead before its lease expires; while it renews, every contender has just seen a change.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.systems.lease import LEASE_SYSTEM

BUG = Broken(
    name="watches-by-wall-clock",
    of=LEASE_SYSTEM,
    mistake="measures on the wall clock how long the record has not changed",
    catches="exclusivity",
    trigger="isolate the leader, and set the clocks of the others ahead",
    steps=tuple(
        step
        for at_ms in (2000, 6000)
        for step in (
            {"at_ms": at_ms, "for_ms": 2000, "fault": {"f": "partition", "shape": "isolated-leader"}},
            {"at_ms": at_ms + 100, "for_ms": 1000, "fault": {"f": "skew", "target": "all", "offset_ms": 2000}},
        )
    ),
    by_wall_clock=True,
)
