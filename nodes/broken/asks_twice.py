"""Sends every vote request twice.

This is harmless to safety, but doubles the traffic when the network is at its worst. Caught by the message count,
2(n-1) for a round of votes (Ongaro & Ousterhout 2014, section 5.2), with no fault at all.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Effect, Event, Send
from splitbrain.nodes.raft import VOTE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class AsksTwice(Raft):
    """Doubles its vote requests."""

    def handle(self, event: Event) -> list[Effect]:
        effects = super().handle(event)
        return effects + [effect for effect in effects if isinstance(effect, Send) and effect.kind == VOTE]


BUG = Broken(
    name="asks-twice",
    of=RAFT_BASIC_SYSTEM,
    mistake="sends its vote requests twice",
    factory=AsksTwice,
    catches="message-count",
    trigger="none needed",
)
