"""Ways of asking one node of a described system, one module each, all with one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import Endpoint
from splitbrain.nodes.clients.insides import Insides
from splitbrain.nodes.systems.probes import Exec, Http, Log, Redis, Sql, Tcp, Way


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One node to ask: its ports, the placeholders that stand for it, and the containers, of which it is in one."""

    endpoint: Endpoint
    own: Mapping[str, str]
    inside: Insides

    @property
    def name(self) -> str:
        return self.own["name"]

    def port(self, wanted: int | None) -> int:
        """The local port of one that it publishes, of the first if none is ``wanted``."""
        ports = self.endpoint.ports
        return next(iter(ports.values())) if wanted is None else ports[wanted]


class Asker(Protocol):
    """Asks one node one question, as often as wanted.

    Answers are bounded in size, and belong to the question that was just asked. ``ask`` raises OperationFailed or
    OutcomeUnknown; timeouts are the caller's, which cancels the call.
    """

    @property
    def cost_ns(self) -> int:
        """The time that a question takes of the node's machine; 0 where it is too little to count."""
        ...

    async def ask(self) -> Answer: ...

    async def close(self) -> None: ...


def asker(way: Way, target: Target) -> Asker:
    """The asker of that way for a node."""
    match way:
        case Http():
            from splitbrain.nodes.clients.ways.http import HttpAsker

            return HttpAsker(way, target)
        case Exec():
            from splitbrain.nodes.clients.ways.commands import ExecAsker

            return ExecAsker(way, target)
        case Tcp():
            from splitbrain.nodes.clients.ways.lines import TcpAsker

            return TcpAsker(way, target)
        case Redis():
            from splitbrain.nodes.clients.ways.redis import RedisAsker

            return RedisAsker(way, target)
        case Log():
            from splitbrain.nodes.clients.ways.logs import LogAsker

            return LogAsker(way, target)
        case Sql(engine="postgresql"):
            from splitbrain.nodes.clients.ways.sql import PostgresAsker

            return PostgresAsker(way, target)
        case Sql():
            from splitbrain.nodes.clients.ways.mysql import MysqlAsker

            return MysqlAsker(way, target)
