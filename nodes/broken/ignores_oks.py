"""Declares itself leader although a higher node has answered OK.

In the Bully election an OK from a higher node ends a node's candidacy (Garcia-Molina 1982). Caught by
``no-win-over-an-ok`` in the first election that the highest node does not begin; with heartbeats the second leader
lasts only milliseconds, and observers hardly ever see it.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class IgnoresOks(Bully):
    """Drops every OK."""

    def _on_ok(self, election: Json) -> None:
        """As if it had never come."""


BUG = Broken(
    name="ignores-oks",
    of=BULLY_SYSTEM,
    mistake="declares itself leader despite an OK",
    factory=IgnoresOks,
    catches="no-win-over-an-ok",
    trigger="none needed",
)
