"""Holds another election whenever it is asked, also while one of its own is in progress.

Each question brings one election at every node above, and each of these one more above it: where node 1 of n notices
the death of the highest it takes 2^(n-2) elections instead of n-1. The count of messages must catch it, with no fault
at all.
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
