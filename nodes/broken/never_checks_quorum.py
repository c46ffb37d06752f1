"""Has pre-vote but no quorum check: a leader that hears no peer keeps every follower quiet for ever.

A silent stall, without a single change of leader (Ongaro's dissertation 2014, 6.2; H. Howard & I. Abraham, "Raft does
not Guarantee Liveness in the face of Network Faults", 2020). Caught by ``stall``, with a deaf leader.
"""

from __future__ import annotations

from dataclasses import replace

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import RAFT
from splitbrain.nodes.systems.raft import RAFT_SYSTEM

BUG = Broken(
    name="never-checks-quorum",
    of=RAFT_SYSTEM,
    mistake="leads on without a quorum",
    options=replace(RAFT, check_quorum=False),
    catches="stall",
    trigger="a leader that every node hears, and that hears none",
    steps=({"at_ms": 2000, "for_ms": 6000, "fault": {"f": "partition", "shape": "leader-deaf"}},),
)
