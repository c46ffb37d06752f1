"""Takes whatever is heard, from whomever, for a sign that the leader is there.

It looks as if talk among the others could hide a leader's death for ever. But who is asked in an election begins one
itself, whatever it suspects; and what else is said comes from another leader, as a deaf node that believes itself
alone: where that happens, nobody is promised a leader that works.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


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
    harmless="whoever is asked in an election begins one too, and any other message comes from a second leader, under "
    "faults that leave a majority without one in the correct system as well",
)
