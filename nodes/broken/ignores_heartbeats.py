"""Does not reset its election timer on a heartbeat, and deposes every leader within a timeout.

Heartbeats exist to prevent elections (Ongaro & Ousterhout 2014, section 5.2). Caught by ``stability``, with no fault at
all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class IgnoresHeartbeats(Raft):
    """Lets its election timer run through heartbeats."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        quiet_since = self._quiet_since
        super()._on_heartbeat(at, sender, term, round_)
        self._quiet_since = quiet_since


BUG = Broken(
    name="ignores-heartbeats",
    of=RAFT_BASIC_SYSTEM,
    mistake="does not reset its election timer on heartbeats",
    factory=IgnoresHeartbeats,
    catches="stability",
    trigger="none needed",
)
