"""Asking contenders for a lock over HTTP; the Redis servers that it lies on are asked only whether they are awake."""

from __future__ import annotations

from collections.abc import Mapping

from harness.runtimes.docker.askers.base import Door
from harness.runtimes.docker.askers.http import HttpAsker
from harness.runtimes.docker.askers.redis import clocks, fields
from harness.runtimes.docker.askers.resp import RespClient
from nodes.systems.redlock import REDIS_PORT


class RedlockAsker(HttpAsker):
    def __init__(self, doors: Mapping[str, Door]) -> None:
        super().__init__(doors)
        self._servers = {n: RespClient(door.ports[REDIS_PORT]) for n, door in doors.items() if REDIS_PORT in door.ports}

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
