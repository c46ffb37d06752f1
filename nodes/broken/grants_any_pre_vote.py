"""Grants a pre-vote although it hears a leader, so that pre-vote protects no leader.

A server grants a pre-vote only if it has not heard from a valid leader (Ongaro's dissertation 2014, 9.6). Otherwise the
node that asked raises its term and deposes the leader with it. Caught by ``stability``.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class GrantsAnyPreVote(Raft):
    """Ignores its leader when it is asked for a pre-vote."""

    def _on_pre_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        leader, self.leader = self.leader, None
        super()._on_pre_vote(at, sender, term, round_)
        self.leader = leader


BUG = Broken(
    name="grants-any-pre-vote",
    of=RAFT_SYSTEM,
    mistake="grants pre-votes against a live leader",
    factory=GrantsAnyPreVote,
    catches="stability",
    trigger="cut one link between the leader and a follower, and heal",
    steps=(
        {"at_ms": 2000, "for_ms": 2000, "fault": {"f": "partition", "shape": "single-link"}},
        {"at_ms": 6000, "for_ms": 2000, "fault": {"f": "partition", "shape": "single-link"}},
    ),
)
