"""Measures on the wall clock for how long the record has not changed.

client-go (``leaderelection.go``) keeps the instant at which it last saw a change, on a clock that nobody sets. By the
time of day, a clock set ahead makes the holder's lease run out at once. Exclusivity must catch it. Cheapest trigger:
isolate the leader, and set the clocks ahead before its lease has run out. (While it renews, whoever looks has just seen
a change.)
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.systems.lease import LEASE_SYSTEM

BUG = Broken(
    name="watches-by-wall-clock",
    of=LEASE_SYSTEM,
    mistake="measures on the wall clock for how long the record has not changed",
    catches="exclusivity",
    trigger="isolate the leader, and set the clocks of the others ahead",
    by_wall_clock=True,
)
