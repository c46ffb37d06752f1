"""Takes one OK for every later election: a node that has answered once counts as alive for ever.

An open connection gives the same false assurance about a process that has stopped: its machine acknowledges, and the
process never answers. Datagrams have no connection, so here an old OK is believed. Caught by ``stall``: when the leader
is paused or killed, every node waits for it and a majority has no leader.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class RemembersOks(Bully):
    """Keeps the last election's OK."""

    def _elect(self, at: int) -> None:
        answered = self._answered
        super()._elect(at)
        self._answered = answered


BUG = Broken(
    name="remembers-oks",
    of=BULLY_SYSTEM,
    mistake="takes a node that once answered OK as alive for ever",
    factory=RemembersOks,
    catches="stall",
    trigger="pause the leader",
    steps=({"at_ms": 2000, "for_ms": 6000, "fault": {"f": "pause", "target": "leader"}},),
)
