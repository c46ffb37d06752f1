"""Raises an exception on an answer to a request it has given up, and dies: a slow follower takes the leader down.

Most clients match answers to requests by a table of open requests, from which old ones are dropped; an answer that
arrives later still is easily forgotten. On sockets the process exits; in simulation the node dies in the same way.
Caught by ``no-node-raises``: a paused follower wakes up and answers every request that has waited for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import HEARTBEAT, LEADER, Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class RaisesOnLateAnswers(Raft):
    """Looks up the request that is answered, and keeps requests only for the longest timeout."""

    _open: Mapping[int, set[str]] = MappingProxyType({})  # round -> nodes that have not answered it

    def _ask(self, at: int, kind: str, term: int) -> None:
        super()._ask(at, kind, term)
        if kind == HEARTBEAT:
            kept = {sent: nodes for sent, nodes in self._open.items() if at - sent <= self.options.election_timeout_max}
            self._open = {**kept, self._round: set(self.peers)}

    def _on_heartbeat_reply(self, at: int, sender: str, term: int, round_: int) -> None:
        if self.role == LEADER and term == self.term:
            self._open[round_].discard(sender)
        super()._on_heartbeat_reply(at, sender, term, round_)


BUG = Broken(
    name="raises-on-late-answers",
    of=RAFT_SYSTEM,
    mistake="raises on an answer to a request that it has given up",
    factory=RaisesOnLateAnswers,
    catches="no-node-raises",
    trigger="pause a follower for longer than requests are kept",
    steps=({"at_ms": 2000, "for_ms": 1000, "fault": {"f": "pause", "target": "follower"}},),
)
