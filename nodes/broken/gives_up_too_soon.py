"""Waits for an OK for a shorter time than a message and its answer take.

While messages take less than half of the time that a candidate waits, the highest live node leads alone (Garcia-Molina
1982). With less time, every node that begins an election leads, until it hears a higher leader a moment later.
Observations every 100 ms miss most of these moments. Caught by ``one-leader-at-an-instant``.
"""

from __future__ import annotations

from splitbrain.names import MS
from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import BullyOptions
from splitbrain.nodes.systems.bully import BULLY_SYSTEM

BUG = Broken(
    name="gives-up-too-soon",
    of=BULLY_SYSTEM,
    mistake="waits for an OK for less than a round trip",
    options=BullyOptions(ok_timeout=MS // 2),
    catches="one-leader-at-an-instant",
    trigger="none needed",
)
