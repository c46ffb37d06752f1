"""Takes whatever is heard, from whomever, for a sign that the leader is there.

Right as long as a dead leader leaves nobody who talks. A node that hears nobody believes that it leads, and its
heartbeats keep all others waiting for a leader that is dead: a majority without one (``stall``) must catch it.
"""

from __future__ import annotations

from nodes.broken.base import Broken
from nodes.bully import Bully
from nodes.protocol import Json
from nodes.systems.bully import BULLY_SYSTEM


class TrustsAnyMessage(Bully):
    """Restarts its suspicion whenever something comes."""

    def _receive(self, at: int, sender: str, message: Json) -> None:
        self._heard = at
        super()._receive(at, sender, message)


BUG = Broken(
    name="trusts-any-message",
    of=BULLY_SYSTEM,
    mistake="takes any message for a heartbeat of the leader",
    factory=TrustsAnyMessage,
    catches="stall",
    trigger="a follower that hears nobody, and then the leader dies",
)
