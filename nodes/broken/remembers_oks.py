"""Takes an OK for every election to come: who has answered once is taken to be there still.

What a connection that is still open says of a process that does not run any more: its machine acknowledges, and it
will never answer. Datagrams say nothing of the kind by themselves, so here it is an old OK that is believed. A
majority without a leader (``stall``) must catch it: pause the leader, or kill it, and everybody waits for it.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class RemembersOks(Bully):
    """Once told OK, always told OK."""

    def _elect(self, at: int) -> None:
        answered = self._answered
        super()._elect(at)
        self._answered = answered


BUG = Broken(
    name="remembers-oks",
    of=BULLY_SYSTEM,
    mistake="believes for ever that whoever said OK once is there",
    factory=RemembersOks,
    catches="stall",
    trigger="pause the leader",
)
