"""Asking contenders over HTTP, as ``nodes.endpoint`` answers, and ZooKeeper's servers by their four letters, ``srvr``.

A server is asked on a connection of its own each time, which it closes when it has answered: so no answer is ever that
to another question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from splitbrain.nodes.clients.base import Endpoint, Refused, Unclear
from splitbrain.nodes.clients.connections import opened
from splitbrain.nodes.clients.http import HttpClient

PORT = 2181
LEADER_S = 0.3


class ZooKeeperClient(HttpClient):
    """The contenders are asked what they claim; of the servers only which of them leads the ensemble."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        super().__init__({name: door for name, door in endpoints.items() if PORT not in door.ports})
        self._ports = {name: door.ports[PORT] for name, door in endpoints.items() if PORT in door.ports}

    async def clocks(self, machine: str) -> Mapping[str, int]:
        """A server shows none."""
        return {} if machine in self._ports else await super().clocks(machine)

    async def awake(self, machine: str) -> None:
        """A server is awake when it answers, be it that it serves nobody: what it needs for that may be cut off."""
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
        except (Refused, Unclear, TimeoutError):
            return None

    async def _srvr(self, server: str) -> str:
        reader, writer = await opened(self._ports[server])
        try:
            writer.write(b"srvr")
            answer = await reader.read()
        except OSError as broken:
            raise Unclear(f"no whole answer: {broken.strerror}") from broken
        finally:
            writer.close()
        if not answer:
            raise Refused("the connection was closed without an answer")
        return answer.decode(errors="replace")


def mode_in(answer: str) -> str | None:
    """Whether the server that answers ``srvr`` leads or follows; None when it serves nobody."""
    lines = (line.partition(": ") for line in answer.splitlines())
    return next((value.strip() for key, _, value in lines if key == "Mode"), None)
