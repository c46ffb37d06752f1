"""The interface through which the harness queries the machines of a cluster, and the values that it exchanges.

Clients connect to the ports that a host publishes on 127.0.0.1, a path that no network fault touches. Every client
guarantees that an answer comes from the node that was asked, describes an instant between request and answer, and
belongs to this request and to no earlier one. Where a protocol has no nonce, a connection on which an answer
is overdue is closed.
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
    """It may have happened, or may happen later: no answer in time, or the connection broke after the request left."""

    error: str


Reply = Ok | Fail | Unknown


@dataclass(frozen=True, slots=True)
class AskOpinion:
    """Asks a server which node it takes for the leader, and in which epoch."""

    server: str


@dataclass(frozen=True, slots=True)
class Add:
    """Adds the element to the set that the system keeps.

    ``via`` is the node to write to, or a server that names the leader to write to; ``through`` in the answer is the
    node that took the write.
    """

    via: str
    element: str


@dataclass(frozen=True, slots=True)
class Members:
    """Reads all elements of the set that the system keeps, as ``members``."""


Question = AskOpinion | Add | Members
"""Requests that only some systems support: with the feature ``opinions`` or ``set``."""


class OperationFailed(Exception):
    """The operation did not happen, and never will (``Fail``); the message says why."""


class OutcomeUnknown(Exception):
    """The operation may have happened, or may happen later (``Unknown``); the message says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a machine for its peers, and the local port on 127.0.0.1 of each port that it publishes."""

    address: str
    ports: Mapping[int, int]

    @property
    def url(self) -> str:
        """The base URL of the first published port, without a trailing slash."""
        return f"http://127.0.0.1:{next(iter(self.ports.values()))}"


def local_ports(endpoints: Mapping[str, Endpoint], port: int) -> dict[str, int]:
    """The local ports of the machines that publish ``port``, by name."""
    return {name: endpoint.ports[port] for name, endpoint in endpoints.items() if port in endpoint.ports}


def with_vote(claim: Mapping[str, Any], vote: str | None) -> Mapping[str, Any]:
    """The claim with the node's vote in the claim's term; unchanged if it has not voted, or does not show its vote."""
    return claim if vote is None else {**claim, "vote": vote}


class SystemClient(Protocol):
    """Client for the machines of one running cluster. Created, used and closed inside one event loop.

    Every method may raise ``OperationFailed`` or ``OutcomeUnknown``. Timeouts are the caller's: it cancels the call.
    """

    async def observe(self, node: str) -> Mapping[str, Any]:
        """The claim of ``node``, all of one instant: leading, leader, term, reign, and its ``vote`` in that term if
        it has voted and shows it."""
        ...

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """An acknowledgement by ``node`` as leader that takes its quorum; term and reign, as far as known."""
        ...

    async def answer(self, question: Question) -> Mapping[str, Any]:
        """The answer to a question that only some systems support. Raises OperationFailed where this one does not."""
        ...

    async def awake(self, machine: str) -> None:
        """Return when the machine, a node or a server, has answered any request at all."""
        ...

    async def leading_server(self) -> str | None:
        """The server that leads the servers, or None where that is unknown."""
        ...

    async def clocks(self, machine: str) -> Mapping[str, int]:
        """The machine's clocks at one instant, ``wall`` and ``monotonic`` in ns, as far as it shows them.

        ``within`` is their precision in ns, where they are coarser than that.
        """
        ...

    async def close(self) -> None: ...
