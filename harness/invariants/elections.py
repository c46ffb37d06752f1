"""Facts about elections that only a simulation can check, each a pure function of what its instrument noted.

They fail before any observer could see two leaders, and where none ever does: a vote that a crash would forget, a win
with one vote too few. Those about votes are of the correctness argument of Raft (Ongaro & Ousterhout 2014, sections
5.1, 5.2 and figures 2 and 3) and hold whatever the network, clocks, pauses and crashes do. A node whose disk was
emptied counts as a new node: losing durable state is what the argument excludes. Those about elections of the highest
name (Garcia-Molina 1982; Chang and Roberts 1979; the ring that gathers names) are what their nodes owe each other, for
two leaders at once are no mistake there: to count messages, to obey an OK, to pass a result on, and not to change it.

A violation is never a matter of chance. A system of ours that keeps its rules has none in any run; one that
sends no such messages breaks nothing. Times are true time, ns since the simulation began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from splitbrain.nodes.highest import rank
from splitbrain.nodes.protocol import Effect, Event, Followed, Json, Led, Persist, Received, Send, Started
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument, describe

PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY = "pre_vote", "pre_vote_reply", "vote", "vote_reply"
ELECTING: Final = frozenset({PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY})
ELECTION, OK, ELECTED, COORDINATOR = "election", "ok", "elected", "coordinator"
OF_THE_HIGHEST: Final = frozenset({ELECTION, OK, ELECTED, COORDINATOR})
KEPT: Final = ELECTING | OF_THE_HIGHEST
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
    """The node was about to carry out this effect; what stood before it in its batch had been carried out.

    ``because`` is the message of an election of the highest that it had taken in, None for any other reason.
    """

    at: int
    node: str
    effect: Persist | Send | Led | Followed
    because: Json = None


@dataclass(frozen=True, slots=True)
class Lagged:
    """The node took in a message of ``term`` and is still in the lower term ``own``."""

    at: int
    node: str
    kind: str
    term: int
    own: int


@dataclass(frozen=True, slots=True)
class Took:
    """The node took in a message of an election of the highest."""

    at: int
    node: str
    message: Json


@dataclass(frozen=True, slots=True)
class Raised:
    """The node raised, and died of it; ``what`` says what and where."""

    at: int
    node: str
    what: str


Noted = Booted | Did | Lagged | Took | Raised


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What was noted of one run of ``nodes`` nodes, in its order. Of messages those of elections are kept, and all are
    counted by kind in ``sent``."""

    nodes: int
    noted: tuple[Noted, ...]
    sent: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """A fact that did not hold: which, when it was broken, by whom, and how, in words."""

    fact: str
    at: int
    node: str
    words: str


class Notary(Instrument):
    """Notes a simulation; ``trace`` is what it has noted so far."""

    def __init__(self) -> None:
        self._noted: list[Noted] = []
        self._sent: Counter[str] = Counter()
        self._terms: dict[str, int] = {}  # the highest that each node was last seen in; it may be higher by now
        self._because: dict[str, Json] = {}  # what each node took in last, if it is of an election of the highest

    def trace(self, nodes: int) -> Trace:
        return Trace(nodes=nodes, noted=tuple(self._noted), sent=MappingProxyType(dict(self._sent)))

    def after(self, host: Host, event: Event) -> None:
        self._because[host.name] = None
        if type(event) is Received:
            message = event[2]
            if type(message) is not dict:
                return
            # Nearly every message is of a term that its receiver is known to have reached.
            if "term" in message:
                if message["term"] > self._terms.get(host.name, -1) and message["kind"] in BINDING:
                    self._look(host, message)
            elif message.get("kind") in OF_THE_HIGHEST:
                self._because[host.name] = message
                self._noted.append(Took(host.true_now, host.name, message))
        elif type(event) is Started:
            self._noted.append(Booted(host.true_now, host.name, host.disk.content))
            self._terms.pop(host.name, None)

    def effect(self, host: Host, effect: Effect) -> None:
        kind = type(effect)
        if kind is Send:
            name = effect[1]  # type: ignore[index]
            self._sent[name] += 1
            if name not in KEPT:
                return
        elif kind is not Persist and kind is not Led and kind is not Followed:
            return
        because = self._because.get(host.name)
        self._noted.append(Did(host.true_now, host.name, effect, because))  # type: ignore[arg-type]

    def raised(self, host: Host, failure: Exception) -> None:
        self._noted.append(Raised(host.true_now, host.name, describe(failure)))

    def _look(self, host: Host, message: Json) -> None:
        status = host.status()
        if status is not None and status.term is not None:
            self._terms[host.name] = status.term
            if status.term < message["term"]:
                term, own = message["term"], status.term
                self._noted.append(Lagged(host.true_now, host.name, message["kind"], term, own))


# The facts


def one_vote_a_term(trace: Trace) -> Iterator[Violation]:
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
                yield Violation("one-vote-a-term", noted.at, noted.node, words)


def quorum_behind_win(trace: Trace) -> Iterator[Violation]:
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
                    yield Violation("quorum-behind-win", at, node, words)
            case _:
                pass


def term_order(trace: Trace) -> Iterator[Violation]:
    """A node's term never decreases, not even across restarts (section 5.1)."""
    terms: dict[str, int] = {}
    for noted in trace.noted:
        if _starts_empty(noted, terms):
            terms.pop(noted.node)
        term = _told_term(noted)
        if term is not None:
            if term < terms.get(noted.node, term):
                words = f"{noted.node} went back from term {terms[noted.node]} to {term}"
                yield Violation("term-order", noted.at, noted.node, words)
            terms[noted.node] = term


def durable_before_sent(trace: Trace) -> Iterator[Violation]:
    """No vote, asked for or given, leaves a node that a crash at that very moment would forget (figure 2)."""
    durable: dict[str, Json] = {}
    for noted in trace.noted:
        match noted:
            case Booted(_, node, None):
                durable.pop(node, None)
            case Did(_, node, Persist(state)):
                durable[node] = {"term": state.get("term"), "voted_for": state.get("voted_for")}
            case _:
                pass
        vote = _vote(noted)
        if vote is not None and durable.get(noted.node) != {"term": vote[0], "voted_for": vote[1]}:
            words = f"{noted.node} voted for {vote[1]} in term {vote[0]} with {durable.get(noted.node)} on its disk"
            yield Violation("durable-before-sent", noted.at, noted.node, words)


def one_reign_a_term(trace: Trace) -> Iterator[Violation]:
    """A node leads a term once: having stepped down or restarted, it leads a later one or none. (A lease that lapses
    and is renewed ends a reign without the node stepping down, and is no violation.)"""
    led: dict[str, int] = {}  # the latest term led
    over: dict[str, int] = {}  # the latest term led and left
    for noted in trace.noted:
        match noted:
            case Did(at, node, Led(int(term))):
                if over.get(node) == term:
                    yield Violation("one-reign-a-term", at, node, f"{node} led term {term}, stopped, and led it again")
                led[node] = term
            case Booted(_, node) | Did(_, node, Followed()) if node in led:
                over[node] = led.pop(node)
            case _:
                pass
        if _starts_empty(noted, over):
            over.pop(noted.node)


def higher_term_adopted(trace: Trace) -> Iterator[Violation]:
    """Whoever hears of a higher term from a leader, or in an answer, is in that term from then on (section 5.1)."""
    for noted in trace.noted:
        if isinstance(noted, Lagged):
            words = f"{noted.node} took in a {noted.kind} of term {noted.term} and stayed in term {noted.own}"
            yield Violation("higher-term-adopted", noted.at, noted.node, words)


def message_count(trace: Trace) -> Iterator[Violation]:
    """No election costs more messages than its algorithm takes, whatever happens to them.

    A candidate asks each other node for its vote once a term (section 5.2). A node of the Bully election that is asked
    while it holds one begins no other, so n of them hold n at most. A name on the ring goes no further than to the
    next higher one, and no token further than round (Chang and Roberts 1979).
    """
    asked: Counter[tuple[str, int]] = Counter()
    holding: dict[str, Json] = {}  # who holds a Bully election, and which
    for noted in trace.noted:
        match noted:
            case Booted(_, node, durable):
                holding.pop(node, None)
                if durable is None:
                    asked = Counter({key: count for key, count in asked.items() if key[0] != node})
            case Did(_, node, Led()) | Did(_, node, Followed(_, str())):
                holding.pop(node, None)
            case Did(at, node, Send(_, kind, message)) if kind == VOTE:
                key = (node, message["term"])
                asked[key] += 1
                if asked[key] == trace.nodes:
                    words = f"{node} asked for more than {trace.nodes - 1} votes in term {message['term']}"
                    yield Violation("message-count", at, node, words)
            case Did(at, node, Send(_, kind, {"origin": str(name), "hops": int(hops)} as message)) if kind == ELECTION:
                if "names" not in message and rank(name) < rank(node):
                    yield Violation("message-count", at, node, f"{node} passed on the lower name {name}")
                if hops > trace.nodes:
                    words = f"{node} sent on for the {hops}th time what {name} sent, and there are {trace.nodes} nodes"
                    yield Violation("message-count", at, node, words)
            case Did(at, node, Send(_, kind, {"election": election}), because) if kind == ELECTION:
                if because is not None and holding.get(node, election) != election:
                    words = f"{node} was asked while it held an election, and began another"
                    yield Violation("message-count", at, node, words)
                holding[node] = election
            case _:
                pass


def no_win_over_an_ok(trace: Trace) -> Iterator[Violation]:
    """Nobody wins a Bully election in which somebody higher has told it OK (Garcia-Molina 1982)."""
    holding: dict[str, Json] = {}
    told: dict[str, Json] = {}  # the election for which OK was heard
    for noted in trace.noted:
        match noted:
            case Did(_, node, Send(_, kind, {"election": election} as message)) if (
                kind == ELECTION and "origin" not in message
            ):
                holding[node] = election
            case Took(_, node, {"kind": kind, "election": election}) if kind == OK and holding.get(node) == election:
                told[node] = election
            case Did(at, node, Led()) if node in holding:
                if told.get(node) == holding[node]:
                    yield Violation("no-win-over-an-ok", at, node, f"{node} leads though it was told OK")
                del holding[node]
            case Booted(_, node) | Did(_, node, Followed(_, str())):
                holding.pop(node, None)
            case _:
                pass


def result_goes_round(trace: Trace) -> Iterator[Violation]:
    """Who takes in the result of an election on a ring for the first time passes it on, unless it has been round, or
    come home."""
    due: dict[str, Took] = {}
    seen: set[tuple[str, str, str, Json]] = set()
    for noted in trace.noted:
        if isinstance(noted, Lagged):
            continue
        took = due.get(noted.node)
        match noted:
            case Did(_, _, Send(_, kind), because) if took is not None and because is took.message:
                if kind == took.message["kind"]:
                    del due[noted.node]
                continue
            case Did(_, _, _, because) if took is not None and because is took.message:
                continue
            case Booted():  # it may have died before it could
                due.pop(noted.node, None)
            case _ if took is not None:
                del due[noted.node]
                message = took.message
                words = f"{noted.node} kept to itself the {message['kind']} that {message['origin']} sent round"
                yield Violation("result-goes-round", took.at, noted.node, words)
        match noted:
            case Took(_, node, {"kind": kind, "origin": origin, "election": election, "hops": hops}) if (
                kind in (ELECTED, COORDINATOR) and origin != node and hops < trace.nodes
            ):
                if (node, kind, origin, election) not in seen:
                    seen.add((node, kind, origin, election))
                    due[node] = noted
            case _:
                pass


def one_result_an_election(trace: Trace) -> Iterator[Violation]:
    """All that is sent round of one election on a ring names one leader."""
    named: dict[tuple[str, Json], str] = {}
    for noted in trace.noted:
        match noted:
            case Did(at, node, Send(_, kind, {"origin": origin, "election": election, "leader": leader})) if (
                kind == COORDINATOR
            ):
                first = named.setdefault((origin, election), leader)
                if first != leader:
                    words = f"{node} made {leader} of the leader {first} that {origin} found"
                    yield Violation("one-result-an-election", at, node, words)
            case _:
                pass


def results_in_order(trace: Trace) -> Iterator[Violation]:
    """Nobody follows the result of an election on a ring after that of a later one. Of two results with one number
    that of the higher name is the later one."""
    latest: dict[str, tuple[int, tuple[str | int, ...]]] = {}
    for noted in trace.noted:
        match noted:
            case Did(at, node, Led() | Followed(), {"result": int(number), "origin": origin}):
                this = number, rank(origin)
                if this < latest.get(node, this):
                    words = f"{node} followed result {number}, which {origin} found, after a later one"
                    yield Violation("results-in-order", at, node, words)
                latest[node] = max(this, latest.get(node, this))
            case Booted(_, node):
                latest.pop(node, None)
            case _:
                pass


def no_node_raises(trace: Trace) -> Iterator[Violation]:
    """No node dies of its own mistake: whatever comes, it takes in."""
    for noted in trace.noted:
        if isinstance(noted, Raised):
            yield Violation("no-node-raises", noted.at, noted.node, f"{noted.node} raised {noted.what}")


Invariant = Callable[[Trace], Iterator[Violation]]

INVARIANTS: Final[Mapping[str, Invariant]] = MappingProxyType(
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
            no_win_over_an_ok,
            result_goes_round,
            one_result_an_election,
            results_in_order,
            no_node_raises,
        )
    }
)
"""Every fact by its name."""


def violations(trace: Trace) -> tuple[Violation, ...]:
    """Every violation of any invariant, in order of time; of those of one instant, in the order of ``INVARIANTS``."""
    found = (violation for invariant in INVARIANTS.values() for violation in invariant(trace))
    return tuple(sorted(found, key=lambda violation: violation.at))


def calm_election_cost(trace: Trace, *, pre_vote: bool) -> Iterator[Violation]:
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
            yield Violation("message-count", trace.noted[-1].at, min(stood), words)
    if trace.sent.get("heartbeat", 0) % each:
        words = f"{trace.sent['heartbeat']} heartbeats are no whole number of rounds of {each}"
        yield Violation("message-count", trace.noted[-1].at, min(stood), words)


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
