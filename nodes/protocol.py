"""The interface of an election node: events in, effects out.

A node is a pure state machine. Everything that happens to it is an event, passed to ``handle``; everything it does is
an effect, returned in the order of execution. It reads no clock (each event carries its instant), opens no socket and
draws only from the random generator it was given. So the same object runs behind real sockets (``nodes.driver``) and
in simulation, and a machine that crashes in the middle of a batch is a driver that stops after k effects.

One rule of order: a ``Persist`` precedes every ``Send`` or ``Answer`` that relies on it, and the driver makes it
durable before it goes on (Ongaro & Ousterhout 2014, figure 2: "updated on stable storage before responding to RPCs").

Times are integer nanoseconds on the node's monotonic clock; their origin is arbitrary.

``Received``, ``Send`` and ``Status`` are named tuples, the others frozen dataclasses: a simulation creates millions of
these three, and named tuples cost half as much. (Named tuples of different types may compare equal; these cannot, since
one begins with an instant and the others, of different lengths, with a name.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

Json = Any  # any value that the json module can write; the wire format checks it, not the type checker


@dataclass(frozen=True, slots=True)
class Started:
    """The process has started; its durable state was passed to the constructor."""

    at: int


class Received(NamedTuple):
    """A datagram from ``sender`` arrived complete. Datagrams may be lost, late, reordered or duplicated."""

    at: int
    sender: str
    message: Json


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer of that name has expired, as it was last set."""

    at: int
    timer: str


@dataclass(frozen=True, slots=True)
class ConfirmAsked:
    """A client requests proof that this node leads; the reply is an ``Answer`` with the same ``request``."""

    at: int
    request: int


Event = Started | Received | TimerFired | ConfirmAsked


@dataclass(frozen=True, slots=True)
class Persist:
    """Make ``state`` durable (written and fsynced), replacing the previous state, before the next effect."""

    state: Mapping[str, Json]


class Send(NamedTuple):
    """Send one datagram, at most once and without guarantee of delivery, counted under ``kind``."""

    to: str
    kind: str
    message: Json


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire ``timer`` after that many nanoseconds, replacing an earlier timer of that name."""

    timer: str
    after: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Cancel ``timer``, if it is set."""

    timer: str


@dataclass(frozen=True, slots=True)
class Led:
    """This node begins to lead, in ``term`` (None if the algorithm has no terms)."""

    term: int | None
    reign: str


@dataclass(frozen=True, slots=True)
class Followed:
    """This node does not lead from now on; it follows ``leader``, None if unknown."""

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
    """A node's view of itself at one instant.

    ``leading`` is the claim: "I am the leader, now". ``reign`` names the present stretch of leadership uniquely (boot
    ID and count of wins), and is None when not leading. ``lease`` is True while a lease is valid, None if the algorithm
    has no leases. ``vote`` is the node it voted for in ``term``, perhaps itself; None if it has not voted, or if the
    algorithm has no votes.
    """

    role: str
    leading: bool
    leader: str | None
    term: int | None
    reign: str | None
    lease: bool | None = None
    vote: str | None = None


class Node(Protocol):
    """A state machine that can run on sockets or in simulation."""

    def handle(self, event: Event) -> list[Effect]:
        """Process one event; return the effects, in order of execution."""
        ...

    def status(self, at: int) -> Status:
        """The node's claim at the instant ``at`` of its monotonic clock. Has no side effects."""
        ...
