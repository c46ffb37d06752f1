"""Replies first and writes afterwards, so that a crash in between forgets a vote that has been counted.

Persistent state is "updated on stable storage before responding to RPCs" (Ongaro & Ousterhout 2014, figure 2). Caught
by ``durable-before-sent``, with no fault at all; to see two votes in one term takes a machine crash that loses the
write, in the fraction of a millisecond between reply and write.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Persist
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class RepliesFirst(Raft):
    """Puts its writes last."""

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
