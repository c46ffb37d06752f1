"""Votes as soon as it has booted: a restart forgets the promise made with its last heartbeat reply.

Term and vote are durable, but the time of the last heartbeat is not, and the lease rests on it (Ongaro's dissertation
2014: 6.4.1 rests on 4.2.3). Caught by ``exclusivity``, when a node that does not hear the leader asks just after the
voters have restarted.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class VotesAfterBoot(Raft):
    """Does not wait out the promises of its previous run."""

    def _just_booted(self, at: int) -> bool:
        return False


BUG = Broken(
    name="votes-after-boot",
    of=RAFT_LEASE_SYSTEM,
    mistake="votes as soon as it has booted",
    factory=VotesAfterBoot,
    catches="exclusivity",
    trigger="restart a majority of voters repeatedly while one node does not hear the leader",
    steps=(
        {"at_ms": 2000, "for_ms": 8000, "fault": {"f": "partition", "shape": "single-link"}},
        {"at_ms": 2200, "for_ms": 7500, "fault": {"f": "kill", "target": "minority", "flap_ms": 60}},
    ),
)
