"""Asks only the highest node whether it is alive, instead of every higher node.

It saves messages and is correct while at most one node is down. With the two highest nodes down, no OK arrives and
every other node declares itself leader, the lower ones after the higher ones; without merging, followers end up with a
node that has itself gone over to another leader. Caught by ``stall``: a majority has no working leader.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.systems.bully import BULLY_TEXTBOOK_SYSTEM


class AsksOnlyTheHighest(Bully):
    """Sends one ELECTION."""

    def _recipients(self) -> Sequence[str]:
        return self.higher[-1:]


BUG = Broken(
    name="asks-only-the-highest",
    of=BULLY_TEXTBOOK_SYSTEM,
    mistake="asks the highest node only",
    factory=AsksOnlyTheHighest,
    catches="stall",
    trigger="the two highest nodes down",
    steps=(
        {"at_ms": 2000, "for_ms": 8000, "fault": {"f": "kill", "target": "leader"}},
        {"at_ms": 3500, "for_ms": 6000, "fault": {"f": "kill", "target": "leader"}},
    ),
)
