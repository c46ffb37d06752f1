"""No node raises: a node handles every event. Only a simulation tells an exception from any other end."""

from __future__ import annotations

from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Verdict
from splitbrain.checkers.witness import judged, seen_inside
from splitbrain.checkers.words import instant
from splitbrain.names import RAISED

PROPERTY = "no-node-raises"


def check(history: History) -> Verdict:
    """Check that no node raised an exception. The evidence is its line from inside the node."""
    found = tuple(
        Finding(
            guarantee=None,
            words=f"{event.node} raised {facts.get('error')} at {instant(facts['at'])}",
            evidence=(event.index,),
            start=facts["at"],
            end=facts["at"],
            nodes=(event.node,),
        )
        for event, facts in seen_inside(history, RAISED)
        if type(facts.get("at")) is int
    )
    return judged(PROPERTY, found, "no node raised an exception")
