"""Compares the names of nodes as text, so that n10 is below n9.

This happens to host names with numbers. All nodes agree with each other, so observers of up to nine nodes see nothing,
and of more only that the wrong one leads. Caught by ``highest-leads``, with ten nodes or more.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class ComparesNamesAsText(Bully):
    """Ranks names by their characters."""

    def _outranks(self, one: str, other: str) -> bool:
        return one > other


BUG = Broken(
    name="compares-names-as-text",
    of=BULLY_SYSTEM,
    mistake="takes n10 to be below n9",
    factory=ComparesNamesAsText,
    catches="highest-leads",
    trigger="none needed, with more than nine nodes",
    nodes=11,
)
