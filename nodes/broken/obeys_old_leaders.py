"""Takes the term of whatever leader it hears, a lower one too.

``if term != self.term`` where the rule says ``>`` (Ongaro & Ousterhout 2014, section 5.1). Term monotonicity must
catch it. Cheapest trigger: isolate a leader, and heal: it finds a cluster with a new leader and takes it back.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ObeysOldLeaders(Raft):
    """Goes back to the term of a leader that has been replaced."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        if term < self.term:
            self.term, self.voted_for = term, None
        super()._on_heartbeat(at, sender, term, round_)


BUG = Broken(
    name="obeys-old-leaders",
    of=RAFT_BASIC_SYSTEM,
    mistake="goes back to the term of an old leader",
    factory=ObeysOldLeaders,
    catches="term-monotonicity",
    trigger="isolate the leader and heal",
)
