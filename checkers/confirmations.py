"""Confirmed by a majority: between a question and its positive answer, a node hears from a majority.

It must have received messages, sent after the question, from a majority less itself; where there are servers, from a
majority of these. A message that was sent before the question shows nothing: its sender may have left this leader
since. A confirmation without a round trip makes a leader that hears no other node look like one that works, and
``stall`` rests on confirmations. Only a simulation sees the messages.
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Verdict
from splitbrain.checkers.witness import judged, not_judged, seen_inside
from splitbrain.checkers.words import instant, listed
from splitbrain.names import CONFIRMED

PROPERTY = "confirmed-by-a-majority"


def check(history: History, bounds: Bounds) -> Verdict:
    """Check every positive confirmation. The evidence is its line from inside the node."""
    confirmed = list(seen_inside(history, CONFIRMED))
    if not confirmed:
        return not_judged(PROPERTY, "no node ever confirmed that it leads")
    return judged(
        PROPERTY, tuple(_unfounded(history, bounds)), "every confirmation rests on a round trip to a majority"
    )


def _unfounded(history: History, bounds: Bounds) -> Iterator[Finding]:
    members = len(bounds.members or history.nodes)
    needed, machines = (len(bounds.servers) // 2 + 1, "servers") if bounds.servers else (members // 2, "other nodes")
    for event, facts in seen_inside(history, CONFIRMED):
        match facts:
            case {"asked": int(asked), "at": int(at), "heard": [*heard]} if len(heard) < needed:
                words = (
                    f"{event.node} confirmed at {instant(at)} that it leads, having heard "
                    f"{listed(map(str, heard))} of the {needed} {machines} it needs"
                )
                yield Finding(
                    guarantee=None, words=words, evidence=(event.index,), start=asked, end=at, nodes=(event.node,)
                )
            case _:
                pass
