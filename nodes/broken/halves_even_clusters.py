"""Takes half of an even cluster for a majority, so that both halves of four nodes elect a leader.

It computes n/2 rounded up instead of n/2 + 1 rounded down, which is right for every odd cluster, and so for every test
with three or five nodes. Caught by ``quorum-behind-win``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.raft import Raft, RaftOptions
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class HalvesEvenClusters(Raft):
    """Needs n/2 votes, rounded up."""

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RaftOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self._majority = (len(self.peers) + 2) // 2


BUG = Broken(
    name="halves-even-clusters",
    of=RAFT_BASIC_SYSTEM,
    mistake="takes half for a majority",
    factory=HalvesEvenClusters,
    catches="quorum-behind-win",
    trigger="two halves of four nodes",
    steps=({"at_ms": 2000, "for_ms": 3000, "fault": {"f": "partition", "shape": "halves"}},),
    nodes=4,
)
