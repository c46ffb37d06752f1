"""Replies first and writes afterwards: a crash in between forgets a vote that has been counted.

Figure 2 of Ongaro & Ousterhout (2014) says "updated on stable storage before responding to RPCs". The order of
writing and sending must catch it, with no fault at all; to see two votes in a term takes a machine crash, with the
write lost, in the fraction of a millisecond between reply and write.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class RepliesFirst(Raft):
    """Puts what is to be durable last."""

    def handle(self, event: Event) -> list[Effect]:
        return sorted(super().handle(event), key=lambda effect: isinstance(effect, Persist))


BUG = Broken(
    name="replies-first",
    of=RAFT_BASIC_SYSTEM,
    mistake="writes its vote after it has replied",
    factory=RepliesFirst,
    catches="durable-before-sent",
    trigger="none needed; two votes need a voter that crashes between its reply and its write",
)
