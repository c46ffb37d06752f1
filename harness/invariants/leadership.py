"""Invariants of leadership that mean the same in every algorithm, whatever its messages are called."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.invariants.events import Did, ElectionTrace, Raised, Violation
from splitbrain.nodes.highest import rank
from splitbrain.nodes.protocol import Followed
from splitbrain.runtimes.sim.ground_truth import overlaps


def confirmed_by_a_majority(trace: ElectionTrace) -> Iterator[Violation]:
    """Between a question and its positive answer a node receives messages, sent after the question, from a majority.

    The node itself counts as one of the majority; where there are servers, it is a majority of these. A message that
    was sent before the question shows nothing: the sender may have left this leader since. A confirmation without a
    round trip makes a leader that hears no other node look like one that works.
    """
    needed, machines = (trace.servers // 2 + 1, "servers") if trace.servers else (trace.nodes // 2, "other nodes")
    for each in trace.confirmed:
        if len(each.heard) < needed:
            heard = ", ".join(sorted(each.heard)) or "none"
            words = f"{each.node} confirmed that it leads, having heard {heard} of the {needed} {machines} it needs"
            yield Violation("confirmed-by-a-majority", each.at, each.node, words)


def one_leader_at_an_instant(trace: ElectionTrace) -> Iterator[Violation]:
    """No two nodes lead at one instant, by the nodes' own state, however short the instant is."""
    for each in overlaps(trace.reigns):
        first, second = each.first.node, each.second.node
        words = f"{first} and {second} both led for {(each.ended - each.began) / 1e6:.3f} ms"
        yield Violation("one-leader-at-an-instant", each.began, second, words)


def highest_leads(trace: ElectionTrace) -> Iterator[Violation]:
    """No node follows a leader of a lower name than its own, numbers in names compared as numbers.

    So where all nodes agree on a leader, it is the highest of them.
    """
    for event in trace.events:
        match event:
            case Did(at, node, Followed(_, str(leader))) if rank(leader) < rank(node):
                yield Violation("highest-leads", at, node, f"{node} followed {leader}, which is lower")
            case _:
                pass


def no_node_raises(trace: ElectionTrace) -> Iterator[Violation]:
    """No node raises an exception, whatever it receives."""
    for event in trace.events:
        if isinstance(event, Raised):
            yield Violation("no-node-raises", event.at, event.node, f"{event.node} raised {event.error}")
