"""Declares itself the leader though somebody higher has said OK.

The whole of the Bully election is that an OK from above takes one out of the race (Garcia-Molina 1982). That nobody
wins an election in which it took in an OK must catch it, in the first election that the highest node does not begin;
in a cluster with heartbeats the second leader lasts for milliseconds only, and observers hardly ever see it.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class IgnoresOks(Bully):
    """Waits, and hears nothing."""

    def _on_ok(self, election: Json) -> None:
        """As if it had never come."""


BUG = Broken(
    name="ignores-oks",
    of=BULLY_SYSTEM,
    mistake="declares itself though it was told OK",
    factory=IgnoresOks,
    catches="no-win-over-an-ok",
    trigger="none needed",
)
