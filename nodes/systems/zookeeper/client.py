"""Client for contenders, over HTTP, and for ZooKeeper's servers, by the four-letter command ``srvr``.

A server is asked on a new connection each time, which it closes when it has answered, so that every answer belongs to
its request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, local_ports
from splitbrain.nodes.clients.connections import open_connection
from splitbrain.nodes.clients.http import HttpClient

PORT = 2181
LEADER_S = 0.3


class ZooKeeperClient(HttpClient):
    """Client for the claims of the contenders, and for the server that leads the ensemble."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        super().__init__({name: endpoint for name, endpoint in endpoints.items() if PORT not in endpoint.ports})
        self._ports = local_ports(endpoints, PORT)

    async def clocks(self, machine: str) -> Mapping[str, int]:
        """A server shows no clock."""
        return {} if machine in self._ports else await super().clocks(machine)

    async def awake(self, machine: str) -> None:
        """A server that answers is awake, even if it serves no requests: it may be cut off from its quorum."""
        if machine in self._ports:
            await self._srvr(machine)
        else:
            await super().awake(machine)

    async def leading_server(self) -> str | None:
        modes = await asyncio.gather(*map(self._mode, self._ports))
        leaders = [name for name, mode in zip(self._ports, modes, strict=True) if mode == "leader"]
        return leaders[0] if len(leaders) == 1 else None

    async def _mode(self, server: str) -> str | None:
        try:
            async with asyncio.timeout(LEADER_S):
                return mode_in(await self._srvr(server))
        except (OperationFailed, OutcomeUnknown, TimeoutError):
            return None

    async def _srvr(self, server: str) -> str:
        reader, writer = await open_connection(self._ports[server])
        try:
            writer.write(b"srvr")
            answer = await reader.read()
        except OSError as broken:
            raise OutcomeUnknown(f"incomplete answer: {broken.strerror}") from broken
        finally:
            writer.close()
        if not answer:
            raise OperationFailed("the connection was closed without an answer")
        return answer.decode(errors="replace")


def mode_in(answer: str) -> str | None:
    """The mode in an answer to ``srvr``, such as leader or follower; None if the server serves no requests."""
    lines = (line.partition(": ") for line in answer.splitlines())
    return next((value.strip() for key, _, value in lines if key == "Mode"), None)
