"""The events of a simulated election that invariants are about, recorded from inside the nodes.

Times are true time, ns since the simulation began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from splitbrain.nodes.protocol import (
    Answer,
    ConfirmAsked,
    Effect,
    Event,
    Followed,
    Json,
    Led,
    Persist,
    Received,
    Send,
    Started,
)
from splitbrain.runtimes.sim.ground_truth import GroundTruth, TrueReign
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import describe

PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY = "pre_vote", "pre_vote_reply", "vote", "vote_reply"
ELECTION, OK, ELECTED, COORDINATOR = "election", "ok", "elected", "coordinator"
OF_THE_HIGHEST: Final = frozenset({ELECTION, OK, ELECTED, COORDINATOR})
"""Messages of the Bully and ring elections."""
KEPT: Final = frozenset({PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY}) | OF_THE_HIGHEST
# The receiver of one of these must adopt its term. A node that hears a leader may ignore a request for votes, its term
# included (dissertation, 4.2.3).
BINDING: Final = frozenset({"heartbeat", "heartbeat_reply", VOTE_REPLY})
FORGET_NS: Final = 10_000_000_000  # after which no client waits for an answer any more


@dataclass(frozen=True, slots=True)
class Booted:
    """The node's process began, with ``durable`` on its disk."""

    at: int
    node: str
    durable: bytes | None


@dataclass(frozen=True, slots=True)
class Did:
    """The node was about to carry out this effect, and had carried out those before it in its batch.

    ``because`` is the message of a Bully or ring election that it answers, None for any other reason.
    """

    at: int
    node: str
    effect: Persist | Send | Led | Followed
    because: Json = None


@dataclass(frozen=True, slots=True)
class Lagged:
    """The node received a message of ``term`` and is still in the lower term ``own``."""

    at: int
    node: str
    kind: str
    term: int
    own: int


@dataclass(frozen=True, slots=True)
class Took:
    """The node received a message of a Bully or ring election."""

    at: int
    node: str
    message: Json


@dataclass(frozen=True, slots=True)
class Raised:
    """The node raised an exception, and died of it; ``error`` describes it, with file and line."""

    at: int
    node: str
    error: str


Recorded = Booted | Did | Lagged | Took | Raised


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The node answered that it leads to the question of instant ``asked``. ``heard`` are the machines from which it
    had received a message that was sent after the question."""

    at: int
    node: str
    asked: int
    heard: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ElectionTrace:
    """The events of a run of ``nodes`` nodes and ``servers`` servers, in order, their positive confirmations and their
    true reigns. Of messages only those of elections are kept; ``sent`` counts all by kind."""

    nodes: int
    events: tuple[Recorded, ...]
    servers: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)
    confirmed: tuple[Confirmed, ...] = ()
    reigns: tuple[TrueReign, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that was violated: its name, the time, the node, and the violation in words."""

    invariant: str
    at: int
    node: str
    words: str


@dataclass(slots=True)
class _Question:
    asked: int
    place: int  # among all sendings and questions
    heard: set[str] = field(default_factory=set)


class NodeRecorder(GroundTruth):
    """Records the events that mean the same in every algorithm: wins, followings, exceptions, confirmations, reigns."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[Recorded] = []
        self._sent: Counter[str] = Counter()
        self._confirmed: list[Confirmed] = []
        self._asked: dict[str, dict[int, _Question]] = {}  # the open questions of each node that has any
        # Of each of these the latest place at which a message was sent to it, by sender and identity. The message is
        # kept, so that no other has its identity; a node may send one object again, and then the latest time counts.
        self._sendings: dict[str, dict[tuple[str, int], tuple[int, Json]]] = {}
        self._place = 0

    def trace(self, nodes: int, servers: int = 0, now: int = 0) -> ElectionTrace:
        """All that was recorded until ``now``."""
        return ElectionTrace(
            nodes=nodes,
            events=tuple(self._events),
            servers=servers,
            sent=MappingProxyType(dict(self._sent)),
            confirmed=tuple(self._confirmed),
            reigns=self.reigns(now),
        )

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
        elif kind is Led or kind is Followed:
            self._did(host, effect)

    def down(self, host: Host) -> None:
        super().down(host)
        self._asked.pop(host.name, None)

    def raised(self, host: Host, failure: Exception) -> None:
        self._events.append(Raised(host.true_now, host.name, describe(failure)))

    def _did(self, host: Host, effect: Effect, because: Json = None) -> None:
        self._events.append(Did(host.true_now, host.name, effect, because))  # type: ignore[arg-type]

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
            self._confirmed.append(Confirmed(host.true_now, host.name, question.asked, frozenset(question.heard)))


class ElectionRecorder(NodeRecorder):
    """Records the messages of elections too, by the names that they have in the algorithms of this project."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: dict[str, int] = {}  # the highest term seen of each node; it may be higher by now
        self._because: dict[str, Json] = {}  # the message each node last received, if of a Bully or ring election

    def after(self, host: Host, event: Event) -> None:
        super().after(host, event)
        self._because[host.name] = None
        if type(event) is Received:
            message = event[2]
            if type(message) is not dict:
                return
            # Nearly every message is of a term that its receiver is known to have reached.
            if "term" in message:
                if message.get("kind") in BINDING and _outranks(message["term"], self._terms.get(host.name, -1)):
                    self._look(host, message)
            elif message.get("kind") in OF_THE_HIGHEST and is_of_its_kind(message["kind"], message):
                self._because[host.name] = message
                self._events.append(Took(host.true_now, host.name, message))
        elif type(event) is Started:
            self._events.append(Booted(host.true_now, host.name, host.disk.content))
            self._terms.pop(host.name, None)

    def effect(self, host: Host, effect: Effect) -> None:
        super().effect(host, effect)
        kind = type(effect)
        if kind is Send:
            name = effect[1]  # type: ignore[index]
            self._sent[name] += 1
            if name in KEPT and is_of_its_kind(name, effect[2]):  # type: ignore[index]
                self._did(host, effect)
        elif kind is Persist:
            self._did(host, effect)

    def _did(self, host: Host, effect: Effect, because: Json = None) -> None:
        super()._did(host, effect, self._because.get(host.name))

    def _look(self, host: Host, message: Json) -> None:
        status = host.status()
        if status is not None and status.term is not None:
            self._terms[host.name] = status.term
            if status.term < message["term"]:
                term, own = message["term"], status.term
                self._events.append(Lagged(host.true_now, host.name, message["kind"], term, own))


def is_of_its_kind(kind: str, message: Json) -> bool:
    """True if a message has the fields of the algorithm that its kind is named after.

    A user's protocol may use the same names for other messages, with other fields.
    """
    if type(message) is not dict:
        return False
    if kind in OF_THE_HIGHEST:
        names = all(isinstance(message.get(each), str | int | None) for each in ("origin", "election", "leader"))
        return names and type(message.get("hops", 0)) is int
    return type(message.get("term")) is int


def vote_of(event: Recorded) -> tuple[int, str] | None:
    """The term and the candidate of a vote; a request for votes is a vote for the sender."""
    return vote_in(event.effect, event.node) if isinstance(event, Did) else None


def vote_in(effect: Effect, node: str) -> tuple[int, str] | None:
    """The term and the candidate of the vote that an effect of ``node`` gives."""
    match effect:
        case Send(_, kind, {"term": int(term)}) if kind == VOTE:
            return term, node
        case Send(to, kind, {"term": int(term), "granted": granted}) if kind == VOTE_REPLY and granted:
            return term, to
        case _:
            return None


def _outranks(term: Json, known: int) -> bool:
    return type(term) is int and term > known


def starts_empty(event: Recorded, known: Mapping[str, object]) -> bool:
    """True if a node that is in ``known`` starts with an empty disk.

    Only a fault empties a disk: a node that keeps nothing violates ``durable-before-sent``.
    """
    return isinstance(event, Booted) and event.durable is None and event.node in known
