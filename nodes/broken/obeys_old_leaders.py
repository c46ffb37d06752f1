"""Takes the term of any leader it hears, even a lower one.

It tests ``term != self.term`` where the rule says ``>`` (Ongaro & Ousterhout 2014, section 5.1). Caught by term
monotonicity, when a leader that was isolated returns to a cluster with a new leader and takes it back.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ObeysOldLeaders(Raft):
    """Returns to the term of a leader that has been replaced."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        if term < self.term:
            self.term, self.voted_for = term, None
        super()._on_heartbeat(at, sender, term, round_)


BUG = Broken(
    name="obeys-old-leaders",
    of=RAFT_BASIC_SYSTEM,
    mistake="returns to the term of an old leader",
    factory=ObeysOldLeaders,
    catches="term-monotonicity",
    trigger="isolate the leader and heal",
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "partition", "shape": "isolated-leader"}},),
)
