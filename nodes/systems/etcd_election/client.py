"""Client for contenders in etcd's election API, and for the etcd members that they rely on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from splitbrain.nodes.clients.base import Endpoint
from splitbrain.nodes.clients.http import HttpClient
from splitbrain.nodes.systems.etcd.client import MEMBERS_PORT, EtcdMembers


class EtcdElectionClient(HttpClient):
    """Client for contenders, which have the HTTP interface of ``nodes.endpoint``, and for etcd members."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        members = {name: endpoint for name, endpoint in endpoints.items() if MEMBERS_PORT in endpoint.ports}
        super().__init__({name: endpoint for name, endpoint in endpoints.items() if name not in members})
        self._members = EtcdMembers(members)
        self._servers = frozenset(members)

    async def awake(self, machine: str) -> None:
        await (self._members.status(machine) if machine in self._servers else super().awake(machine))

    async def leading_server(self) -> str | None:
        return await self._members.leading()

    async def clocks(self, machine: str) -> Mapping[str, int]:
        return await (self._members.clocks(machine) if machine in self._servers else super().clocks(machine))

    async def close(self) -> None:
        await asyncio.gather(super().close(), self._members.close())
