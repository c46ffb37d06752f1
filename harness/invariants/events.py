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
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.witness import Witness

PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY = "pre_vote", "pre_vote_reply", "vote", "vote_reply"
ELECTION, OK, ELECTED, COORDINATOR = "election", "ok", "elected", "coordinator"
OF_THE_HIGHEST: Final = frozenset({ELECTION, OK, ELECTED, COORDINATOR})
"""Messages of the Bully and ring elections."""
KEPT: Final = frozenset({PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY}) | OF_THE_HIGHEST
# The receiver of one of these must adopt its term. A node that hears a leader may ignore a request for votes, its term
# included (dissertation, 4.2.3).
BINDING: Final = frozenset({"heartbeat", "heartbeat_reply", VOTE_REPLY})


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


Recorded = Booted | Did | Lagged | Took


@dataclass(frozen=True, kw_only=True, slots=True)
class ElectionTrace:
    """The events of a run of ``nodes`` nodes and ``servers`` servers, in order. Of messages only those of elections are
    kept; ``sent`` counts all by kind."""

    nodes: int
    events: tuple[Recorded, ...]
    servers: int = 0
    sent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that was violated: its name, the time, the node, and the violation in words."""

    invariant: str
    at: int
    node: str
    words: str


class ElectionRecorder(Witness):
    """Records the messages of elections too, by the names that they have in the algorithms of this project."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[Recorded] = []
        self._sent: Counter[str] = Counter()
        self._terms: dict[str, int] = {}  # the highest term seen of each node; it may be higher by now
        self._because: dict[str, Json] = {}  # the message each node last received, if of a Bully or ring election

    def trace(self, nodes: int, servers: int = 0) -> ElectionTrace:
        """All that was recorded so far."""
        return ElectionTrace(
            nodes=nodes, events=tuple(self._events), servers=servers, sent=MappingProxyType(dict(self._sent))
        )

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
        elif kind is Persist or kind is Led or kind is Followed:
            self._did(host, effect)

    def _did(self, host: Host, effect: Effect) -> None:
        self._events.append(Did(host.true_now, host.name, effect, self._because.get(host.name)))  # type: ignore[arg-type]

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
