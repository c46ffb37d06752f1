"""Ignores, as a candidate, the leader that won its term: it stands again and deposes that leader.

"If the leader's term [...] is at least as large as the candidate's current term, then the candidate recognizes the
leader as legitimate" (Ongaro & Ousterhout 2014, section 5.2). With "larger" the loser of a contested election goes on.
Caught by ``stability``.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import CANDIDATE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsStanding(Raft):
    """As a candidate, hears only leaders of higher terms."""

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        if self.role != CANDIDATE or term > self.term:
            super()._on_heartbeat(at, sender, term, round_)


BUG = Broken(
    name="keeps-standing",
    of=RAFT_BASIC_SYSTEM,
    mistake="ignores the leader that won its term",
    factory=KeepsStanding,
    catches="stability",
    trigger="a contested election",
    steps=tuple(
        {"at_ms": at_ms, "for_ms": 350, "fault": {"f": "kill", "target": "leader"}} for at_ms in range(2000, 20000, 800)
    ),
)
