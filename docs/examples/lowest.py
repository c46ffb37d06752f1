"""Leader election by the lowest name, if a majority obeys it: small enough to be read at once.

Every node sends a heartbeat to every other. A node obeys the lowest name that it hears, and answers that node only. A
node leads if a majority obeyed it within the last ``PATIENCE``, counted from the heartbeat that was answered. A node
that has obeyed one node obeys no other for twice as long, so the old leader has lost it before a new one has gained it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

from splitbrain.nodes.protocol import (
    Answer,
    ConfirmAsked,
    Effect,
    Event,
    Led,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)

MS = 1_000_000
BEAT, PATIENCE = 50 * MS, 200 * MS


class Lowest:
    """The node with the lowest name leads, if a majority obeys it."""

    splitbrain_promises: ClassVar = {"all": {"stability": "not-promised"}}  # a lower name that comes back takes over
    splitbrain_eligibility = "isolated"  # a lower name that a part of the majority hears can be in its way

    def __init__(self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Any] | None) -> None:
        self.id, self.peers, self.boot = id, peers, boot
        self.majority = (len(peers) + 1) // 2 + 1
        self.heard: dict[str, int] = {}  # node -> when
        self.obeyed_by: dict[str, int] = {}  # node -> when the beat that it answered was sent
        self.obeys: str | None = None
        self.bound_until = 0
        self.confirms: list[tuple[int, int]] = []  # (request, when it was asked)
        self.wins = 0

    def handle(self, event: Event) -> list[Effect]:
        led = self.leads(event.at)
        effects = self.react(event)
        if self.leads(event.at) and not led:
            self.wins += 1
            effects.append(Led(None, self.reign))
        return effects

    def status(self, at: int) -> Status:
        leads = self.leads(at)
        return Status(
            role="leader" if leads else "follower",
            leading=leads,
            leader=self.obeys if leads or self.obeys != self.id else None,
            term=None,
            reign=self.reign if leads else None,
        )

    def react(self, event: Event) -> list[Effect]:
        match event:
            case Started(at):
                self.bound_until = at + 2 * PATIENCE  # the node that it obeyed before it died is forgotten
                return [SetTimer("beat", 0)]
            case TimerFired(at):
                self.obey(self.id, at)
                beats: list[Effect] = [Send(peer, "beat", {"beat": at}) for peer in self.peers]
                return [*beats, SetTimer("beat", BEAT), *self.answers(at)]
            case Received(at, sender, {"beat": sent}):
                self.heard[sender] = at
                return [Send(sender, "obey", {"obey": sent})] if self.obey(sender, at) else []
            case Received(at, sender, {"obey": sent}):
                self.obeyed_by[sender] = max(sent, self.obeyed_by.get(sender, sent))
                return self.answers(at)
            case ConfirmAsked(at, request):
                self.confirms.append((request, at))
                return self.answers(at)
        return []

    def obey(self, node: str, at: int) -> bool:
        lowest = min([self.id, *(peer for peer, when in self.heard.items() if at - when < PATIENCE)])
        if node != lowest or (node != self.obeys and at < self.bound_until):
            return False
        self.obeys, self.bound_until = node, at + 2 * PATIENCE
        return True

    def answers(self, at: int) -> list[Effect]:
        """Answer the confirmations that a majority has acknowledged since, or all if this node does not lead."""
        leads, asked, self.confirms = self.leads(at), self.confirms, []
        effects: list[Effect] = []
        for request, when in asked:
            if not leads:
                effects.append(Answer(request, None, None, "not leading"))
            elif self.obeyed_since(when):
                effects.append(Answer(request, None, self.reign, None))
            else:
                self.confirms.append((request, when))
        return effects

    def leads(self, at: int) -> bool:
        return self.obeys == self.id and self.obeyed_since(at - PATIENCE + 1)

    def obeyed_since(self, when: int) -> bool:
        return 1 + sum(sent >= when for sent in self.obeyed_by.values()) >= self.majority

    @property
    def reign(self) -> str:
        return f"{self.boot}-{self.wins}"
