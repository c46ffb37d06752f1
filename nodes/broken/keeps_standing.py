"""A candidate ignores the leader that won its own term: it stands again, and deposes it.

"If the leader's term is at least as large as the candidate's current term, then the candidate recognizes the leader"
(Ongaro & Ousterhout 2014, section 5.2); with "larger" the loser of a contested election goes on. Stability must
catch it. Cheapest trigger: a contested election.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import CANDIDATE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsStanding(Raft):
    """As a candidate it hears only leaders of higher terms."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        if self.role != CANDIDATE or term > self.term:
            super()._on_heartbeat(at, sender, term, round_)


BUG = Broken(
    name="keeps-standing",
    of=RAFT_BASIC_SYSTEM,
    mistake="ignores whoever won its own term",
    factory=KeepsStanding,
    catches="stability",
    trigger="a contested election",
)
