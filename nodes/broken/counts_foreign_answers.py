"""Counts a heartbeat reply of any term, so that voters that have moved on still support the leader.

The reply's term is the only evidence that the voter has joined another term (Ongaro & Ousterhout 2014, figure 2).
Caught by ``higher-term-adopted``; a leader that learns of the new term in no other way keeps its lease beside the new
leader's. It takes a leader that is cut off for about a timeout and reconnected before it steps down.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class CountsForeignAnswers(Raft):
    """Reads every heartbeat reply as one of its term."""

    def _on_heartbeat_reply(self, at: int, sender: str, term: int, round_: int) -> None:
        super()._on_heartbeat_reply(at, sender, self.term, round_)


BUG = Broken(
    name="counts-foreign-answers",
    of=RAFT_LEASE_SYSTEM,
    mistake="counts heartbeat replies of other terms for its lease",
    factory=CountsForeignAnswers,
    catches="higher-term-adopted",
    trigger="cut the leader off repeatedly, for about a timeout each",
    steps=({"at_ms": 2000, "for_ms": 10000, "fault": {"f": "partition", "shape": "flapping", "flap_ms": 240}},),
)
