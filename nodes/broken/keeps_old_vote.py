"""Does not clear its vote when the term changes, so that it only ever votes for its first choice.

A vote belongs to a term (Ongaro & Ousterhout 2014, section 5.2). No candidate can win once the first leader is gone.
Caught by ``stall``, when the first leader is away for longer than the bound.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsOldVote(Raft):
    """Carries its vote over into later terms."""

    def _follow(self, at: int, term: int, leader: str | None) -> None:
        voted_for = self.voted_for
        super()._follow(at, term, leader)
        self.voted_for = voted_for


BUG = Broken(
    name="keeps-old-vote",
    of=RAFT_BASIC_SYSTEM,
    mistake="does not clear its vote in a new term",
    factory=KeepsOldVote,
    catches="stall",
    trigger="a second election: isolate the first leader",
    steps=({"at_ms": 2000, "for_ms": 6000, "fault": {"f": "partition", "shape": "isolated-leader"}},),
)
