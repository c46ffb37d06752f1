"""Triggers: events of an election at which a fault is injected.

Faults at random times hardly ever meet the few milliseconds in which votes are granted; a fault that waits for a vote
always does. Three of the events can be observed: two on any system, and a vote where nodes show theirs. The other two
happen inside a node, and only a runtime that sees into its nodes can wait for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from splitbrain.nemesis.faults import integer, one_of

Event = Literal["new-leader", "term-change", "vote-granted", "campaign", "voted"]
EVENTS: tuple[Event, ...] = get_args(Event)
OBSERVED: frozenset[Event] = frozenset({"new-leader", "term-change", "voted"})
"""Those that every runtime's observers see; the node is the one that leads, that shows the new term, or that voted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """The ``count``-th event since it was armed, if that comes within ``within_ms``.

    ``new-leader``: a leadership is seen that was not known; ``term-change``: a term is seen higher than any before;
    ``voted``: a node that was asked before is seen to have voted since, for another than itself;
    ``vote-granted``: a node is about to grant its vote; ``campaign``: one is about to ask for votes. The node that
    does it is the ``subject`` that a fault may be aimed at.
    """

    event: Event
    count: int = 1
    within_ms: int = 2_000

    def __post_init__(self) -> None:
        one_of("event", self.event, EVENTS)
        integer("count", self.count, at_least=1, of="events")
        integer("within_ms", self.within_ms, at_least=1)
