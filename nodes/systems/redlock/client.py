"""Client for contenders for a Redlock lock, over HTTP, and for the Redis servers that store it."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.clients.base import Endpoint, local_ports
from splitbrain.nodes.clients.http import HttpClient
from splitbrain.nodes.clients.resp import RespClient
from splitbrain.nodes.systems.redlock.system import REDIS_PORT
from splitbrain.nodes.systems.sentinel.client import clocks, fields


class RedlockClient(HttpClient):
    """Client for contenders; the servers only show that they are awake, and their clocks."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        super().__init__(endpoints)
        self._servers = {name: RespClient(port) for name, port in local_ports(endpoints, REDIS_PORT).items()}

    async def awake(self, machine: str) -> None:
        if machine in self._servers:
            await self._servers[machine].ask()
        else:
            await super().awake(machine)

    async def clocks(self, machine: str) -> Mapping[str, int]:
        if machine not in self._servers:
            return await super().clocks(machine)
        (info,) = await self._servers[machine].ask(("INFO", "server"))
        return clocks(fields(info))

    async def close(self) -> None:
        for client in self._servers.values():
            client.close()
        await super().close()
