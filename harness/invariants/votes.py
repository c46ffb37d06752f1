"""Invariants of votes and terms: Raft's correctness argument (Ongaro & Ousterhout 2014, 5.1, 5.2, figures 2 and 3).

They hold whatever the network, clocks, pauses and crashes do, and fail before an observer can see two leaders: a vote
that a crash would forget, a win with one vote too few. A node whose disk was emptied counts as a new node, since the
argument excludes the loss of durable state.
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.invariants.events import (
    VOTE,
    Booted,
    Did,
    ElectionTrace,
    Lagged,
    Recorded,
    Violation,
    starts_empty,
    vote_of,
)
from splitbrain.nodes.protocol import Followed, Json, Led, Persist, Send


def one_vote_a_term(trace: ElectionTrace) -> Iterator[Violation]:
    """A node votes for one candidate a term, itself included, across restarts (section 5.2)."""
    votes: dict[str, dict[int, str]] = {}
    for event in trace.events:
        if starts_empty(event, votes):
            votes.pop(event.node)
        vote = vote_of(event)
        if vote is not None:
            term, candidate = vote
            first = votes.setdefault(event.node, {}).setdefault(term, candidate)
            if first != candidate:
                words = f"{event.node} voted in term {term} for {first} and for {candidate}"
                yield Violation("one-vote-a-term", event.at, event.node, words)


def quorum_behind_win(trace: ElectionTrace) -> Iterator[Violation]:
    """A leader has received the votes of more than half of all nodes, counted by voter (section 5.2)."""
    voters: dict[tuple[str, int], set[str]] = {}
    for event in trace.events:
        vote = vote_of(event)
        if vote is not None:
            term, candidate = vote
            voters.setdefault((candidate, term), set()).add(event.node)
        match event:
            case Did(at, node, Led(int(term))) if voters:
                behind = sorted(voters.get((node, term), ()))
                if 2 * len(behind) <= trace.nodes:
                    whose = ", ".join(behind) or "no node"
                    words = f"{node} led term {term} of {trace.nodes} nodes with the votes of {whose}"
                    yield Violation("quorum-behind-win", at, node, words)
            case _:
                pass


def term_order(trace: ElectionTrace) -> Iterator[Violation]:
    """A node's term never decreases, not even across restarts (section 5.1)."""
    terms: dict[str, int] = {}
    for event in trace.events:
        if starts_empty(event, terms):
            terms.pop(event.node)
        term = _shown_term(event)
        if term is not None:
            if term < terms.get(event.node, term):
                words = f"{event.node} went back from term {terms[event.node]} to {term}"
                yield Violation("term-order", event.at, event.node, words)
            terms[event.node] = term


def durable_before_sent(trace: ElectionTrace) -> Iterator[Violation]:
    """A node sends a vote or a request for votes only after the vote is durable (figure 2)."""
    durable: dict[str, Json] = {}
    for event in trace.events:
        match event:
            case Booted(_, node, None):
                durable.pop(node, None)
            case Did(_, node, Persist(state)):
                durable[node] = {"term": state.get("term"), "voted_for": state.get("voted_for")}
            case _:
                pass
        vote = vote_of(event)
        if vote is not None and durable.get(event.node) != {"term": vote[0], "voted_for": vote[1]}:
            words = f"{event.node} voted for {vote[1]} in term {vote[0]} with {durable.get(event.node)} on its disk"
            yield Violation("durable-before-sent", event.at, event.node, words)


def one_reign_a_term(trace: ElectionTrace) -> Iterator[Violation]:
    """A node leads a term once: after it steps down or restarts, it leads a later one or none.

    A lease that lapses and is renewed ends a reign without the node stepping down, and is no violation. Where servers
    give out terms, the one that led last may be given its term again.
    """
    if trace.servers:
        return
    led: dict[str, int] = {}  # the latest term led
    over: dict[str, int] = {}  # the latest term led and left
    for event in trace.events:
        match event:
            case Did(at, node, Led(int(term))):
                if over.get(node) == term:
                    yield Violation("one-reign-a-term", at, node, f"{node} led term {term}, stopped, and led it again")
                led[node] = term
            case Booted(_, node) | Did(_, node, Followed()) if node in led:
                over[node] = led.pop(node)
            case _:
                pass
        if starts_empty(event, over):
            over.pop(event.node)


def higher_term_adopted(trace: ElectionTrace) -> Iterator[Violation]:
    """A node that receives a higher term from a leader, or in a reply, adopts it at once (section 5.1)."""
    for event in trace.events:
        if isinstance(event, Lagged):
            words = f"{event.node} received a {event.kind} of term {event.term} and stayed in term {event.own}"
            yield Violation("higher-term-adopted", event.at, event.node, words)


def _shown_term(event: Recorded) -> int | None:
    """The term that the node shows as its current one. A term that it is only about to write does not count: the write
    may be lost, and no other node has seen it."""
    match event:
        case Did(_, _, Led(int(term)) | Followed(int(term))):
            return int(term)
        case Did(_, _, Send(_, kind, message)) if kind == VOTE:
            return int(message["term"])
        case _:
            return None
