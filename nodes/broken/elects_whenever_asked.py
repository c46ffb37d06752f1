"""Begins another election whenever it is asked, even while it holds one.

Each ELECTION starts an election at every higher node, and each of these starts more: where node 1 of n detects the
failure of the highest, it takes 2^(n-2) elections instead of n-1. Caught by the message count, with no fault at all.
"""

from __future__ import annotations

from dataclasses import replace

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import BULLY
from splitbrain.nodes.systems.bully import BULLY_SYSTEM

BUG = Broken(
    name="elects-whenever-asked",
    of=BULLY_SYSTEM,
    mistake="begins an election while it holds one",
    options=replace(BULLY, guard=False),
    catches="message-count",
    trigger="none needed",
)
