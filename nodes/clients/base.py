"""How the machines of a cluster are asked, from outside: one small interface, and one module for each way.

The clients come in through the ports that a host publishes on 127.0.0.1: a way that no cut ever touches. What a way
must promise: an answer is that node's own, of an instant between question and answer, and to this question and no
older one. Where a protocol has no nonce of its own, a connection on which an answer is overdue is given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Ok:
    """It happened; ``value`` is the node's answer."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fail:
    """It did not happen, and never will."""

    error: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows: no answer in time, or the connection broke after the request had left."""

    error: str


Reply = Ok | Fail | Unknown


@dataclass(frozen=True, slots=True)
class Opinion:
    """Of a server: whom does it hold for the leader, and in which epoch?"""

    server: str


@dataclass(frozen=True, slots=True)
class Add:
    """Add the element to the set that the system keeps, through the node ``via``, or through the leader that the
    server ``via`` names; the answer says in ``through`` which node took it."""

    via: str
    element: str


@dataclass(frozen=True, slots=True)
class Members:
    """All elements of the set that the system keeps, in ``members``."""


Question = Opinion | Add | Members
"""What only some systems can be asked: those that say ``opinions``, and those that say ``keeps_set``."""


class Refused(Exception):
    """It did not happen, and never will; the words say why."""


class Unclear(Exception):
    """Nobody knows whether it happened; the words say why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a machine is reached: by the others at ``address``, by clients on 127.0.0.1 at what each port became."""

    address: str
    ports: Mapping[int, int]


def voted(claim: Mapping[str, Any], vote: str | None) -> Mapping[str, Any]:
    """The claim of a node that has voted so in the claim's term; None: for nobody, or it does not show its vote."""
    return claim if vote is None else {**claim, "vote": vote}


class SystemClient(Protocol):
    """Asks the machines of one running cluster. It is made, used and closed inside one event loop.

    Each question may raise ``Refused`` or ``Unclear``; it is given up from outside when it takes too long.
    """

    async def observe(self, node: str) -> Mapping[str, Any]:
        """What ``node`` claims, all of one instant: leading, leader, term and reign; and whom it has voted for in
        that term, ``vote``, if it has and shows it."""
        ...

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """An acknowledgement through ``node`` as the leader that needs its quorum: term and reign, as far as known."""
        ...

    async def answer(self, question: Question) -> Mapping[str, Any]:
        """The answer to what only some systems can be asked; Refused where this is none of those."""
        ...

    async def awake(self, machine: str) -> None:
        """Return when the machine, a node or a server, has answered anything at all."""
        ...

    async def leading_server(self) -> str | None:
        """The server that leads the servers, where that can be told."""
        ...

    async def clocks(self, machine: str) -> Mapping[str, int]:
        """What the machine shows of its clocks at one instant, ns of ``wall`` and ``monotonic``, as far as it does;
        and ``within`` how many ns of that they are, where it shows no more digits."""
        ...

    async def close(self) -> None: ...
