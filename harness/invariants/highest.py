"""Invariants of Bully and ring elections, in which the highest name is to lead.

Two leaders at once violate nothing in these algorithms (Garcia-Molina 1982; Chang and Roberts 1979; the ring that
gathers names). These invariants are the duties of the nodes to one another: to obey an OK, to pass a result on, and not
to change it.
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.invariants.events import (
    COORDINATOR,
    ELECTED,
    ELECTION,
    OK,
    Booted,
    Did,
    ElectionTrace,
    Lagged,
    Took,
    Violation,
)
from splitbrain.nodes.highest import rank
from splitbrain.nodes.protocol import Followed, Json, Led, Send


def no_win_over_an_ok(trace: ElectionTrace) -> Iterator[Violation]:
    """A node that received an OK in a Bully election does not win it (Garcia-Molina 1982)."""
    holding: dict[str, Json] = {}
    answered: dict[str, Json] = {}  # the election in which an OK was received
    for event in trace.events:
        match event:
            case Did(_, node, Send(_, kind, {"election": election} as message)) if (
                kind == ELECTION and "origin" not in message
            ):
                holding[node] = election
            case Took(_, node, {"kind": kind, "election": election}) if kind == OK and holding.get(node) == election:
                answered[node] = election
            case Did(at, node, Led()) if node in holding:
                if answered.get(node) == holding[node]:
                    yield Violation("no-win-over-an-ok", at, node, f"{node} leads though it received an OK")
                del holding[node]
            case Booted(_, node) | Did(_, node, Followed(_, str())):
                holding.pop(node, None)
            case _:
                pass


def result_goes_round(trace: ElectionTrace) -> Iterator[Violation]:
    """A node that receives the result of a ring election for the first time passes it on.

    A result that has been round the ring, or come back to its origin, ends there.
    """
    due: dict[str, Took] = {}
    seen: set[tuple[str, str, str, Json]] = set()
    for event in trace.events:
        if isinstance(event, Lagged):
            continue
        took = due.get(event.node)
        match event:
            case Did(_, _, Send(_, kind), because) if took is not None and because is took.message:
                if kind == took.message["kind"]:
                    del due[event.node]
                continue
            case Did(_, _, _, because) if took is not None and because is took.message:
                continue
            case Booted():  # it may have died before it could
                due.pop(event.node, None)
            case _ if took is not None:
                del due[event.node]
                message = took.message
                words = f"{event.node} kept to itself the {message['kind']} that {message['origin']} sent round"
                yield Violation("result-goes-round", took.at, event.node, words)
        match event:
            case Took(_, node, {"kind": kind, "origin": origin, "election": election, "hops": hops}) if (
                kind in (ELECTED, COORDINATOR) and origin != node and hops < trace.nodes
            ):
                if (node, kind, origin, election) not in seen:
                    seen.add((node, kind, origin, election))
                    due[node] = event
            case _:
                pass


def one_result_an_election(trace: ElectionTrace) -> Iterator[Violation]:
    """All messages about the result of one ring election name one leader."""
    named: dict[tuple[str, Json], str] = {}
    for event in trace.events:
        match event:
            case Did(at, node, Send(_, kind, {"origin": origin, "election": election, "leader": leader})) if (
                kind == COORDINATOR
            ):
                first = named.setdefault((origin, election), leader)
                if first != leader:
                    words = f"{node} made {leader} of the leader {first} that {origin} found"
                    yield Violation("one-result-an-election", at, node, words)
            case _:
                pass


def results_in_order(trace: ElectionTrace) -> Iterator[Violation]:
    """A node does not follow the result of a ring election after that of a later one.

    Of two results with the same number, the one of the higher name is later.
    """
    latest: dict[str, tuple[int, tuple[str | int, ...]]] = {}
    for event in trace.events:
        match event:
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
