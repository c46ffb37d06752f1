"""Takes any message from any node as a sign that the leader is alive.

Messages among the others seem able to hide a leader's death for ever. But a node that is asked in an election begins
one itself, whether or not it suspects the leader; any other message comes from another leader, such as a deaf node that
believes itself alone, and then no working leader is promised.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.systems.bully import BULLY_SYSTEM


class TrustsAnyMessage(Bully):
    """Restarts its suspicion timeout on every message."""

    def _receive(self, at: int, sender: str, message: Json) -> None:
        self._heard = at
        super()._receive(at, sender, message)


BUG = Broken(
    name="trusts-any-message",
    of=BULLY_SYSTEM,
    mistake="takes any message for a heartbeat of the leader",
    factory=TrustsAnyMessage,
    catches="stall",
    trigger="a deaf follower, and then the leader dies",
    steps=(
        {"at_ms": 2000, "for_ms": 8000, "fault": {"f": "partition", "shape": "follower-deaf"}},
        {"at_ms": 2200, "for_ms": 7500, "fault": {"f": "kill", "target": "leader"}},
    ),
    harmless="a node that is asked in an election begins one too, and any other message comes from a second leader, "
    "under faults that leave a majority without one in the correct system as well",
)
