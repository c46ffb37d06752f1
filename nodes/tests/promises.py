"""What must hold of every run of a Raft cluster, asked of its trace. Each returns what broke it, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from splitbrain.nodes.protocol import Json, Led, Persist, Send
from splitbrain.nodes.raft import HEARTBEAT, HEARTBEAT_REPLY, PRE_VOTE, PRE_VOTE_REPLY, VOTE, VOTE_REPLY
from splitbrain.nodes.tests.cluster import Cluster

Promise = Callable[[Cluster], Iterator[str]]


def one_leader_a_term(cluster: Cluster) -> Iterator[str]:
    """Election safety (Ongaro & Ousterhout 2014, figure 3)."""
    leaders: dict[int | None, set[str]] = defaultdict(set)
    for traced in cluster.trace:
        if isinstance(traced.effect, Led):
            leaders[traced.effect.term].add(traced.node)
    for term, nodes in leaders.items():
        if len(nodes) > 1:
            yield f"term {term} was led by {sorted(nodes)}"


def terms_never_decrease(cluster: Cluster) -> Iterator[str]:
    """Not even across restarts."""
    terms: dict[str, int] = {}
    for traced in cluster.trace:
        if isinstance(traced.effect, Persist):
            term = traced.effect.state["term"]
            if term < terms.get(traced.node, 0):
                yield f"{traced.node} went from term {terms[traced.node]} to {term}"
            terms[traced.node] = term


def one_vote_a_term(cluster: Cluster) -> Iterator[str]:
    """A node votes for one candidate a term, itself included, across restarts."""
    votes: dict[tuple[str, int], set[str]] = defaultdict(set)
    for node, term, candidate in _votes(cluster):
        votes[node, term].add(candidate)
    for (node, term), candidates in votes.items():
        if len(candidates) > 1:
            yield f"{node} voted in term {term} for {sorted(candidates)}"


def a_majority_elected_each_leader(cluster: Cluster) -> Iterator[str]:
    """Whoever leads was voted for, before, by more than half of all nodes."""
    voters: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for traced in cluster.trace:
        match traced.effect:
            case Send(_, kind, message) if kind == VOTE:
                voters[traced.node, message["term"]].add(traced.node)
            case Send(to, kind, message) if kind == VOTE_REPLY and message["granted"]:
                voters[to, message["term"]].add(traced.node)
            case Led(term) if len(cluster.names) > 1:
                if 2 * len(voters[traced.node, term]) <= len(cluster.names):
                    yield f"{traced.node} led term {term} with votes of {sorted(voters[traced.node, term])}"


def what_is_sent_is_durable(cluster: Cluster) -> Iterator[str]:
    """No message relies on a term or a vote that a crash at that very moment would forget (figure 2)."""
    durable: dict[str, Json] = defaultdict(lambda: {"term": 0, "voted_for": None})
    for traced in cluster.trace:
        if isinstance(traced.effect, Persist):
            durable[traced.node] = traced.effect.state
        elif isinstance(traced.effect, Send) and not _relies_on(durable[traced.node], traced.node, traced.effect):
            yield f"{traced.node} sent {traced.effect} with {durable[traced.node]} durable"


def no_two_claims_at_one_instant(cluster: Cluster) -> Iterator[str]:
    """What the lease promises (Ongaro 2014, 6.4.1); plain Raft does not."""
    for at, nodes in cluster.duals:
        yield f"at {at} ns {sorted(nodes)} all claimed to lead"


SAFETY: tuple[Promise, ...] = (
    one_leader_a_term,
    terms_never_decrease,
    one_vote_a_term,
    a_majority_elected_each_leader,
    what_is_sent_is_durable,
)


def broken(cluster: Cluster, promises: tuple[Promise, ...] = SAFETY) -> list[str]:
    """Everything that a run broke."""
    return [f"{promise.__name__}: {words}" for promise in promises for words in promise(cluster)]


def _votes(cluster: Cluster) -> Iterator[tuple[str, int, str]]:
    for traced in cluster.trace:
        match traced.effect:
            case Send(_, kind, message) if kind == VOTE:
                yield traced.node, message["term"], traced.node
            case Send(to, kind, message) if kind == VOTE_REPLY and message["granted"]:
                yield traced.node, message["term"], to


def _relies_on(durable: Json, node: str, send: Send) -> bool:
    term = send.message["term"]
    if send.kind == VOTE:
        return bool(durable == {"term": term, "voted_for": node})
    if send.kind == VOTE_REPLY and send.message["granted"]:
        return bool(durable == {"term": term, "voted_for": send.to})
    if send.kind == PRE_VOTE or (send.kind == PRE_VOTE_REPLY and send.message["granted"]):
        return True  # speaks of a term that would be, not of one that is
    assert send.kind in (VOTE_REPLY, PRE_VOTE_REPLY, HEARTBEAT, HEARTBEAT_REPLY)
    return bool(durable["term"] >= term)
