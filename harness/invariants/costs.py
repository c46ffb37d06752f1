"""Invariants of the number of messages that an election may cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from splitbrain.invariants.events import (
    ELECTION,
    PRE_VOTE,
    PRE_VOTE_REPLY,
    VOTE,
    VOTE_REPLY,
    Booted,
    Did,
    ElectionTrace,
    Violation,
    vote_of,
)
from splitbrain.nodes.highest import rank
from splitbrain.nodes.protocol import Followed, Json, Led, Send


def message_count(trace: ElectionTrace) -> Iterator[Violation]:
    """No election costs more messages than its algorithm takes, whatever happens to them.

    A candidate asks each other node for its vote once a term (section 5.2). A node of the Bully election that is asked
    while it holds one begins no other, so n of them hold n at most. A name on the ring goes no further than to the
    next higher one, and no token further than round (Chang and Roberts 1979).
    """
    asked: Counter[tuple[str, int]] = Counter()
    holding: dict[str, Json] = {}  # the Bully election that each node holds
    for event in trace.events:
        match event:
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
                    words = f"{node} forwarded the message of {name} for the {hops}th time among {trace.nodes} nodes"
                    yield Violation("message-count", at, node, words)
            case Did(at, node, Send(_, kind, {"election": election}), because) if kind == ELECTION:
                if because is not None and holding.get(node, election) != election:
                    words = f"{node} was asked while it held an election, and began another"
                    yield Violation("message-count", at, node, words)
                holding[node] = election
            case _:
                pass


def calm_election_cost(trace: ElectionTrace, *, pre_vote: bool) -> Iterator[Violation]:
    """The one election of a run without faults costs what the formulas say: n-1 requests for votes and as many replies,
    the same again where pre-votes come first, and rounds of n-1 heartbeats (section 5.2; dissertation, 9.6).

    A run with more than one candidate is not checked.
    """
    candidates = {
        event.node for event in trace.events if (vote := vote_of(event)) is not None and vote[1] == event.node
    }
    if len(candidates) != 1:
        return
    each = trace.nodes - 1
    formula = {PRE_VOTE: each * pre_vote, PRE_VOTE_REPLY: each * pre_vote, VOTE: each, VOTE_REPLY: each}
    for kind, expected in formula.items():
        if trace.sent.get(kind, 0) != expected:
            words = f"{trace.sent.get(kind, 0)} messages of kind {kind} for one calm election, and {expected} are due"
            yield Violation("message-count", trace.events[-1].at, min(candidates), words)
    if trace.sent.get("heartbeat", 0) % each:
        words = f"{trace.sent['heartbeat']} heartbeats are no whole number of rounds of {each}"
        yield Violation("message-count", trace.events[-1].at, min(candidates), words)
