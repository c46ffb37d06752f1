"""Votes as soon as it has booted: a restart forgets the promise that it gave with its last answer to a heartbeat.

Term and vote are durable and the lease is broken all the same, for when a leader was last heard is not (Ongaro's
dissertation 2014, 6.4.1 rests on 4.2.3, which is volatile). Exclusivity must catch it. Cheapest trigger: a node that
does not hear the leader asks just after the voters have been restarted.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class VotesAfterBoot(Raft):
    """Does not wait out what it may have promised before."""

    def _just_booted(self, at: int) -> bool:
        return False


BUG = Broken(
    name="votes-after-boot",
    of=RAFT_LEASE_SYSTEM,
    mistake="votes as soon as it has booted",
    factory=VotesAfterBoot,
    catches="exclusivity",
    trigger="restart a majority of voters again and again while one node does not hear the leader",
)
