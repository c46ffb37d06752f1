"""The words every election node speaks: events in, effects out.

A node is a pure state machine. Everything that happens to it is an event, handed to ``handle``; everything it
does is an effect, returned in the order in which it must be carried out. It reads no clock (each event
carries the instant at which it happened), opens no socket and draws from no generator but the one it was
given. So the same object runs behind real sockets (``nodes.driver``) and in the simulation, and "the machine
crashed half-way through a batch" is simply "the driver stopped after k effects".

The one rule of order: a ``Persist`` stands before every ``Send`` or ``Answer`` that relies on it, and the
driver has made it durable before it goes on (Ongaro & Ousterhout 2014, figure 2: "updated on stable storage
before responding").

Times are integer nanoseconds on the node's own monotonic clock; their origin means nothing.

``Received``, ``Send`` and ``Status`` are named tuples, the others frozen dataclasses: a simulation makes those three
by the million, and they cost half as much that way. (Named tuples of different types may be equal; these cannot,
since one begins with an instant and the others, of different lengths, with a name.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Json = Any  # what the json module can write: the limits are the wire's, not the type checker's


@dataclass(frozen=True, slots=True)
class Started:
    """The process has begun; what was durable has already been given to the constructor."""

    at: int


class Received(NamedTuple):
    """A datagram came: unordered, possibly late, doubled or lost on the way, but whole, from ``sender``."""

    at: int
    sender: str
    message: Json


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer of that name, as last set and not set again since, has run out."""

    at: int
    timer: str


@dataclass(frozen=True, slots=True)
class ConfirmAsked:
    """A client wants proof that this node leads: answered by an ``Answer`` with the same ``request``."""

    at: int
    request: int


Event = Started | Received | TimerFired | ConfirmAsked


@dataclass(frozen=True, slots=True)
class Persist:
    """Make ``state`` durable (written and fsynced), replacing what was durable before, then go on."""

    state: Mapping[str, Json]


class Send(NamedTuple):
    """Send one datagram, at most once, with no promise that it arrives. ``kind`` is what it is counted as."""

    to: str
    kind: str
    message: Json


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``timer`` after that many nanoseconds; a timer of the same name set before is forgotten."""

    timer: str
    after: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget ``timer``; nothing happens when it was not set."""

    timer: str


@dataclass(frozen=True, slots=True)
class Led:
    """From here on this node leads, in ``term`` (None where the algorithm has none)."""

    term: int | None
    reign: str


@dataclass(frozen=True, slots=True)
class Followed:
    """From here on this node does not lead; it follows ``leader``, or nobody it knows of."""

    term: int | None
    leader: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a ``ConfirmAsked``: ``error`` is None exactly when a quorum has just acknowledged."""

    request: int
    term: int | None
    reign: str | None
    error: str | None


Effect = Persist | Send | SetTimer | CancelTimer | Led | Followed | Answer


class Status(NamedTuple):
    """What a node says of itself, all of one instant.

    ``leading`` is the claim: "I am the leader, now". ``reign`` names the present stretch of leadership,
    unique to it (boot id and count of wins), and is None when not leading. ``lease`` is whether a lease is
    valid at this instant, None where the algorithm has none. ``vote`` is whom it has voted for in ``term``, itself
    perhaps; None for nobody, and where the algorithm has no votes.
    """

    role: str
    leading: bool
    leader: str | None
    term: int | None
    reign: str | None
    lease: bool | None = None
    vote: str | None = None


class Node(Protocol):
    """What a state machine must offer to be run, on sockets or in simulation."""

    def handle(self, event: Event) -> list[Effect]:
        """Take one event; return what must now be done, in order."""
        ...

    def status(self, at: int) -> Status:
        """What this node claims at the instant ``at`` of its own monotonic clock. Changes nothing."""
        ...
