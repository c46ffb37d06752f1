"""Facts about elections that only a simulation can check, each a pure function of what its witness noted.

They fail before any observer could see two leaders, and where none ever does: a vote that a crash would forget, a win
with one vote too few. They are those of the correctness argument of Raft (Ongaro & Ousterhout 2014, sections 5.1, 5.2
and figures 2 and 3) and hold whatever the network, clocks, pauses and crashes do. A node whose disk was emptied counts
as a new node: losing durable state is what the argument excludes.

The promise: a breach is never a matter of chance. A system of ours that keeps its rules has none in any run; one that
sends no votes breaks nothing. Times are true time, ns since the simulation began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from harness.runtimes.sim.hosts import Host, Witness
from nodes.protocol import Effect, Event, Followed, Json, Led, Persist, Received, Send, Started

PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY = "pre_vote", "pre_vote_reply", "vote", "vote_reply"
ELECTING: Final = frozenset({PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY})
# Whoever takes one of these in must adopt its term. A request for votes may be ignored, its term included, by who
# hears a leader (dissertation, 4.2.3).
BINDING: Final = frozenset({"heartbeat", "heartbeat_reply", VOTE_REPLY})


@dataclass(frozen=True, slots=True)
class Booted:
    """The node's process began, with ``durable`` on its disk."""

    at: int
    node: str
    durable: bytes | None


@dataclass(frozen=True, slots=True)
class Did:
    """The node was about to carry out this effect; what stood before it in its batch had been carried out."""

    at: int
    node: str
    effect: Persist | Send | Led | Followed


@dataclass(frozen=True, slots=True)
class Lagged:
    """The node took in a message of ``term`` and is still in the lower term ``own``."""

    at: int
    node: str
    kind: str
    term: int
    own: int


Noted = Booted | Did | Lagged


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What was noted of one run of ``nodes`` nodes, in its order. Of messages those of elections are kept, and all are
    counted by kind in ``sent``."""

    nodes: int
    noted: tuple[Noted, ...]
    sent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Breach:
    """A fact that did not hold: which, when it was broken, by whom, and how, in words."""

    fact: str
    at: int
    node: str
    words: str


class Notary(Witness):
    """Notes a simulation; ``trace`` is what it has noted so far."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self._sent: Counter[str] = Counter()
        self._terms: dict[str, int] = {}  # the highest that each node was last seen in; it may be higher by now

    def trace(self, nodes: int) -> Trace:
        return Trace(nodes=nodes, noted=tuple(self._noted), sent=MappingProxyType(dict(self._sent)))

    def after(self, host: Host, event: Event) -> None:
        if type(event) is Received:
            message = event[2]
            # Nearly every message is of a term that its receiver is known to have reached.
            if message["term"] > self._terms.get(host.name, -1) and message["kind"] in BINDING:
                self._look(host, message)
        elif type(event) is Started:
            self._noted.append(Booted(host.true_now, host.name, host.durable))
            self._terms.pop(host.name, None)

    def effect(self, host: Host, effect: Effect) -> None:
        kind = type(effect)
        if kind is Send:
            name = effect[1]  # type: ignore[index]
            self._sent[name] += 1
            if name in ELECTING:
                self._noted.append(Did(host.true_now, host.name, effect))  # type: ignore[arg-type]
        elif kind is Persist or kind is Led or kind is Followed:
            self._noted.append(Did(host.true_now, host.name, effect))  # type: ignore[arg-type]

    def _look(self, host: Host, message: Json) -> None:
        status = host.status()
        if status is not None and status.term is not None:
            self._terms[host.name] = status.term
            if status.term < message["term"]:
                term, own = message["term"], status.term
                self._noted.append(Lagged(host.true_now, host.name, message["kind"], term, own))


# The facts


def one_vote_a_term(trace: Trace) -> Iterator[Breach]:
    """A node votes for one candidate a term, itself included, across restarts (section 5.2)."""
    votes: dict[str, dict[int, str]] = {}
    for noted in trace.noted:
        if _starts_empty(noted, votes):
            votes.pop(noted.node)
        vote = _vote(noted)
        if vote is not None:
            term, candidate = vote
            first = votes.setdefault(noted.node, {}).setdefault(term, candidate)
            if first != candidate:
                words = f"{noted.node} voted in term {term} for {first} and for {candidate}"
                yield Breach("one-vote-a-term", noted.at, noted.node, words)


def quorum_behind_win(trace: Trace) -> Iterator[Breach]:
    """Whoever leads has had, before, the votes of more than half of all nodes, counted by voter (section 5.2)."""
    voters: dict[tuple[str, int], set[str]] = {}
    for noted in trace.noted:
        vote = _vote(noted)
        if vote is not None:
            term, candidate = vote
            voters.setdefault((candidate, term), set()).add(noted.node)
        match noted:
            case Did(at, node, Led(int(term))) if voters:
                behind = sorted(voters.get((node, term), ()))
                if 2 * len(behind) <= trace.nodes:
                    whose = ", ".join(behind) or "nobody"
                    words = f"{node} led term {term} of {trace.nodes} nodes with the votes of {whose}"
                    yield Breach("quorum-behind-win", at, node, words)
            case _:
                pass


def term_order(trace: Trace) -> Iterator[Breach]:
    """A node's term never decreases, not even across restarts (section 5.1)."""
    terms: dict[str, int] = {}
    for noted in trace.noted:
        if _starts_empty(noted, terms):
            terms.pop(noted.node)
        term = _told_term(noted)
        if term is not None:
            if term < terms.get(noted.node, term):
                words = f"{noted.node} went back from term {terms[noted.node]} to {term}"
                yield Breach("term-order", noted.at, noted.node, words)
            terms[noted.node] = term


def durable_before_sent(trace: Trace) -> Iterator[Breach]:
    """No vote, asked for or given, leaves a node that a crash at that very moment would forget (figure 2)."""
    durable: dict[str, Json] = {}
    for noted in trace.noted:
        match noted:
            case Booted(_, node, None):
                durable.pop(node, None)
            case Did(_, node, Persist(state)):
                durable[node] = {"term": state["term"], "voted_for": state["voted_for"]}
            case _:
                pass
        vote = _vote(noted)
        if vote is not None and durable.get(noted.node) != {"term": vote[0], "voted_for": vote[1]}:
            words = f"{noted.node} voted for {vote[1]} in term {vote[0]} with {durable.get(noted.node)} on its disk"
            yield Breach("durable-before-sent", noted.at, noted.node, words)


def one_reign_a_term(trace: Trace) -> Iterator[Breach]:
    """A node leads a term once: having stepped down or restarted, it leads a later one or none. (A lease that lapses
    and is renewed ends a reign without the node stepping down, and is no breach.)"""
    led: dict[str, int] = {}  # the latest term led
    over: dict[str, int] = {}  # the latest term led and left
    for noted in trace.noted:
        match noted:
            case Did(at, node, Led(int(term))):
                if over.get(node) == term:
                    yield Breach("one-reign-a-term", at, node, f"{node} led term {term}, stopped, and led it again")
                led[node] = term
            case Booted(_, node) | Did(_, node, Followed()) if node in led:
                over[node] = led.pop(node)
            case _:
                pass
        if _starts_empty(noted, over):
            over.pop(noted.node)


def higher_term_adopted(trace: Trace) -> Iterator[Breach]:
    """Whoever hears of a higher term from a leader, or in an answer, is in that term from then on (section 5.1)."""
    for noted in trace.noted:
        if isinstance(noted, Lagged):
            words = f"{noted.node} took in a {noted.kind} of term {noted.term} and stayed in term {noted.own}"
            yield Breach("higher-term-adopted", noted.at, noted.node, words)


def message_count(trace: Trace) -> Iterator[Breach]:
    """A candidate asks each other node for its vote once a term, whatever happens to the requests (section 5.2)."""
    asked: Counter[tuple[str, int]] = Counter()
    for noted in trace.noted:
        match noted:
            case Booted(_, node, None):
                asked = Counter({key: count for key, count in asked.items() if key[0] != node})
            case Did(at, node, Send(_, kind, message)) if kind == VOTE:
                key = (node, message["term"])
                asked[key] += 1
                if asked[key] == trace.nodes:
                    words = f"{node} asked for more than {trace.nodes - 1} votes in term {message['term']}"
                    yield Breach("message-count", at, node, words)
            case _:
                pass


Fact = Callable[[Trace], Iterator[Breach]]

FACTS: Final[Mapping[str, Fact]] = MappingProxyType(
    {
        fact.__name__.replace("_", "-"): fact
        for fact in (
            one_vote_a_term,
            quorum_behind_win,
            term_order,
            durable_before_sent,
            one_reign_a_term,
            higher_term_adopted,
            message_count,
        )
    }
)
"""Every fact by its name."""


def breaches(trace: Trace) -> tuple[Breach, ...]:
    """Every breach of any fact, in order of time; of those of one instant, in the order of ``FACTS``."""
    found = (breach for fact in FACTS.values() for breach in fact(trace))
    return tuple(sorted(found, key=lambda breach: breach.at))


def calm_election_cost(trace: Trace, *, pre_vote: bool) -> Iterator[Breach]:
    """That the one election of a run without faults cost what the formulas say: n-1 requests for votes and as many
    replies, the same again where pre-votes come first, and a round of n-1 heartbeats each time (section 5.2;
    dissertation, 9.6). Says nothing of a run in which more than one node stood."""
    stood = {noted.node for noted in trace.noted if (vote := _vote(noted)) is not None and vote[1] == noted.node}
    if len(stood) != 1:
        return
    each = trace.nodes - 1
    formula = {PRE_VOTE: each * pre_vote, PRE_VOTE_REPLY: each * pre_vote, VOTE: each, VOTE_REPLY: each}
    for kind, expected in formula.items():
        if trace.sent.get(kind, 0) != expected:
            words = f"{trace.sent.get(kind, 0)} messages of kind {kind} for one calm election, and {expected} are due"
            yield Breach("message-count", trace.noted[-1].at, min(stood), words)
    if trace.sent.get("heartbeat", 0) % each:
        words = f"{trace.sent['heartbeat']} heartbeats are no whole number of rounds of {each}"
        yield Breach("message-count", trace.noted[-1].at, min(stood), words)


# What was noted, read as votes, terms and losses


def _vote(noted: Noted) -> tuple[int, str] | None:
    """The term and the candidate of a vote: a request for votes is one for oneself."""
    match noted:
        case Did(_, node, Send(_, kind, message)) if kind == VOTE:
            return message["term"], node
        case Did(_, _, Send(to, kind, message)) if kind == VOTE_REPLY and message["granted"]:
            return message["term"], to
        case _:
            return None


def _told_term(noted: Noted) -> int | None:
    """The term that the node lets be known as its own. One that it was only about to write does not count yet: the
    write may be lost, and nobody has heard of it."""
    match noted:
        case Did(_, _, Led(int(term)) | Followed(int(term))):
            return int(term)
        case Did(_, _, Send(_, kind, message)) if kind == VOTE:
            return int(message["term"])
        case _:
            return None


def _starts_empty(noted: Noted, known: Mapping[str, object]) -> bool:
    """Whether a node of which something is known begins with an empty disk.

    Only a fault empties one: a node that keeps nothing is told apart by ``durable_before_sent``.
    """
    return isinstance(noted, Booted) and noted.durable is None and noted.node in known
