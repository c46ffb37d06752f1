"""Does not reset its election timer on a heartbeat: it deposes every leader within a timeout.

The purpose of heartbeats is to prevent elections (Ongaro & Ousterhout 2014, section 5.2). Stability must catch it,
with no fault at all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class IgnoresHeartbeats(Raft):
    """Lets its election timer run whatever it hears."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        quiet_since = self._quiet_since
        super()._on_heartbeat(at, sender, term, round_)
        self._quiet_since = quiet_since


BUG = Broken(
    name="ignores-heartbeats",
    of=RAFT_BASIC_SYSTEM,
    mistake="lets its timer run on heartbeats",
    factory=IgnoresHeartbeats,
    catches="stability",
    trigger="none needed",
)
