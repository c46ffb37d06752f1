"""The inside of the nodes of a simulation: true reigns, leaders followed, confirmations, exceptions.

They mean the same in every algorithm. At the end of a run they become lines of its history, which checkers judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from splitbrain.names import CONFIRMED, FOLLOWED, RAISED, REIGNED
from splitbrain.nodes.protocol import Answer, ConfirmAsked, Effect, Event, Followed, Json, Received, Send
from splitbrain.runtimes.base import Fact
from splitbrain.runtimes.sim.ground_truth import GroundTruth
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import describe

FORGET_NS: Final = 10_000_000_000  # after which no client waits for an answer any more


@dataclass(slots=True)
class _Question:
    asked: int
    place: int  # among all sendings and questions
    heard: set[str] = field(default_factory=set)


class Witness(GroundTruth):
    """Records what happens inside the nodes, apart from the messages of any algorithm."""

    def __init__(self) -> None:
        super().__init__()
        self._facts: list[Fact] = []
        self._asked: dict[str, dict[int, _Question]] = {}  # the open questions of each node that has any
        # Of each of these the latest place at which a message was sent to it, by sender and identity. The message is
        # kept, so that no other has its identity; a node may send one object again, and then the latest time counts.
        self._sendings: dict[str, dict[tuple[str, int], tuple[int, Json]]] = {}
        self._place = 0

    def facts(self, now: int) -> Iterator[Fact]:
        """All that was recorded until ``now``, in true time."""
        yield from self._facts
        for each in self.reigns(now):
            named = {"reign": each.reign, "term": each.term}
            yield Fact(node=each.node, f=REIGNED, at={"began": each.began, "ended": each.ended}, facts=named)

    def after(self, host: Host, event: Event) -> None:
        super().after(host, event)
        if type(event) is Received:
            if self._asked and host.name in self._asked:
                self._hear(host.name, event[1], event[2])
        elif type(event) is ConfirmAsked:
            self._ask(host, event.request)

    def effect(self, host: Host, effect: Effect) -> None:
        kind = type(effect)
        if kind is Send:
            if self._asked and effect[0] in self._asked:  # type: ignore[index]
                self._place += 1
                sendings = self._sendings[effect[0]]  # type: ignore[index]
                sendings[host.name, id(effect[2])] = self._place, effect[2]  # type: ignore[index]
        elif kind is Answer:
            self._answer(host, effect)  # type: ignore[arg-type]
        elif kind is Followed and effect.leader is not None:  # type: ignore[union-attr]
            self._note(host, FOLLOWED, leader=effect.leader)  # type: ignore[union-attr]

    def down(self, host: Host) -> None:
        super().down(host)
        self._asked.pop(host.name, None)

    def raised(self, host: Host, failure: Exception) -> None:
        self._note(host, RAISED, error=describe(failure))

    def _note(self, host: Host, f: str, **facts: Json) -> None:
        self._facts.append(Fact(node=host.name, f=f, at={"at": host.true_now}, facts=facts))

    def _ask(self, host: Host, request: int) -> None:
        self._place += 1
        still = self._asked.get(host.name, {})
        if not still:
            self._sendings[host.name] = {}
        kept = {each: asked for each, asked in still.items() if host.true_now - asked.asked < FORGET_NS}
        self._asked[host.name] = {**kept, request: _Question(host.true_now, self._place)}

    def _hear(self, node: str, sender: str, message: Json) -> None:
        sent_at, _ = self._sendings[node].get((sender, id(message)), (0, None))
        for question in self._asked[node].values():
            if sent_at > question.place:
                question.heard.add(sender)

    def _answer(self, host: Host, answer: Answer) -> None:
        questions = self._asked.get(host.name, {})
        question = questions.pop(answer.request, None)
        if not questions:
            self._asked.pop(host.name, None)
        if question is not None and answer.error is None:
            at = {"asked": question.asked, "at": host.true_now}
            self._facts.append(Fact(node=host.name, f=CONFIRMED, at=at, facts={"heard": sorted(question.heard)}))
