"""Sends every request for votes twice, to be sure.

Harmless to safety, and twice the price in the very moment when the network is at its worst. The count of messages,
2(n-1) a round of votes (Ongaro & Ousterhout 2014, section 5.2), must catch it, with no fault at all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Send
from splitbrain.nodes.raft import VOTE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class AsksTwice(Raft):
    """Doubles its requests."""

    def handle(self, event: Event) -> list[Effect]:
        effects = super().handle(event)
        return effects + [effect for effect in effects if isinstance(effect, Send) and effect.kind == VOTE]


BUG = Broken(
    name="asks-twice",
    of=RAFT_BASIC_SYSTEM,
    mistake="sends its requests for votes twice",
    factory=AsksTwice,
    catches="message-count",
    trigger="none needed",
)
