"""Asks only the highest node of all whether it is there, not everybody above.

It saves messages, and is right as long as at most one node is dead. With the two highest dead nobody answers, so
everybody declares itself, the lower ones after the higher ones: where leaders do not merge, they come to follow one
that has long since followed another. A majority without a working leader (``stall``) must catch it.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.systems.bully import BULLY_TEXTBOOK_SYSTEM


class AsksOnlyTheHighest(Bully):
    """Sends one ELECTION."""

    def _asked(self) -> Sequence[str]:
        return self.higher[-1:]


BUG = Broken(
    name="asks-only-the-highest",
    of=BULLY_TEXTBOOK_SYSTEM,
    mistake="asks the highest node only",
    factory=AsksOnlyTheHighest,
    catches="stall",
    trigger="the two highest nodes dead",
)
