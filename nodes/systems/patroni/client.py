"""Client for PostgreSQL servers managed by Patroni, and for the etcd members that hold its leader key.

Queries go to PostgreSQL, never to Patroni: when Patroni is dead it stops answering, while the primary still takes
writes. A server leads when it is not in recovery. Its term is the timeline of the log that it writes; its reign is its
start time with its timeline, since only a restart turns a primary into a replica. A replica names the server that it
receives from, and no term: it may still be receiving the end of the previous timeline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.base import Add, Endpoint, Members, OperationFailed, OutcomeUnknown, Question, local_ports
from splitbrain.nodes.clients.postgres import PostgresClient, PostgresRow
from splitbrain.nodes.systems.etcd import client as etcd
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT
from splitbrain.nodes.systems.patroni.system import LEADER_KEY, POSTGRES_PORT, TABLE

# The timeline is not null exactly when the server has left recovery, which it never enters again.
CLAIM = """
SELECT CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
       (SELECT sender_host FROM pg_stat_wal_receiver)
"""
CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
CONFIRM = "SELECT pg_logical_emit_message(true, 'splitbrain', '')"  # a record in the write-ahead log, flushed at commit
NAMED_S = 0.3  # below the timeout of the client that confirms


class PatroniClient:
    """Client for the PostgreSQL servers and the etcd members."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._at = {endpoint.address: name for name, endpoint in endpoints.items()}
        self._nodes = {name: PostgresClient(port) for name, port in local_ports(endpoints, POSTGRES_PORT).items()}
        self._servers = tuple(local_ports(endpoints, CLIENTS_PORT))
        self._etcd = etcd.EtcdMembers({name: endpoints[name] for name in self._servers})

    async def observe(self, node: str) -> Mapping[str, Any]:
        return claim(node, await self._nodes[node].ask(CLAIM), self._at)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write by ``node`` while the leader key names it, so that clients that read the key are sent to it."""
        written, named = await asyncio.gather(self._write(node), self._named())
        if named != node:
            raise OperationFailed(f"the leader key names {named}")
        return {"term": written["term"], "reign": written["reign"]}

    async def _write(self, node: str) -> Mapping[str, Any]:
        found = await self.observe(node)
        if not found["leading"]:
            raise OperationFailed("in recovery")
        await self._nodes[node].ask(CONFIRM)
        return found

    async def answer(self, question: Question) -> Mapping[str, Any]:
        match question:
            case Add(via, element):
                node = via if via in self._nodes else await self._named_by(via)
                await self._nodes[node].ask(f"INSERT INTO {TABLE} VALUES ('{element}')")
                return {"through": node}
            case Members():
                rows = await self._nodes[await self._named()].ask(f"SELECT element FROM {TABLE} ORDER BY element")
                return {"members": [row[0] for row in rows]}
            case _:
                raise OperationFailed(f"not supported by Patroni: {question}")

    async def awake(self, machine: str) -> None:
        if machine in self._nodes:
            await self.observe(machine)
        else:
            await self._etcd.status(machine)

    async def clocks(self, machine: str) -> Mapping[str, int]:
        if machine not in self._nodes:
            return await self._etcd.clocks(machine)
        ((microseconds,),) = await self._nodes[machine].ask(CLOCK)
        return {"wall": int(str(microseconds)) * 1_000}

    async def leading_server(self) -> str | None:
        return await self._etcd.leading()

    async def close(self) -> None:
        for client in self._nodes.values():
            client.close()
        await self._etcd.close()

    async def _named(self) -> str:
        """The node that the leader key names, by the first member that answers; reads are linearizable."""
        reads = [asyncio.ensure_future(self._named_by(server)) for server in self._servers]
        try:
            async with asyncio.timeout(NAMED_S):
                for answer in asyncio.as_completed(reads):
                    try:
                        return await answer
                    except (OperationFailed, OutcomeUnknown) as failed:
                        reason = str(failed)
        except TimeoutError:
            reason = "no etcd member answered"
        finally:
            for read in reads:
                read.cancel()
            await asyncio.gather(*reads, return_exceptions=True)
        raise OperationFailed(reason)

    async def _named_by(self, server: str) -> str:
        named = await self._etcd.value(server, LEADER_KEY)
        if named not in self._nodes:
            raise OperationFailed(f"the leader key names {named}")
        return named


def claim(node: str, rows: Sequence[PostgresRow], at: Mapping[str, str]) -> Mapping[str, Any]:
    """The server's claim, from its answer to ``CLAIM``; ``at`` maps addresses to nodes."""
    try:
        ((timeline, started, sender),) = rows
        term = None if timeline is None else int(timeline)
    except ValueError as wrong:
        raise OutcomeUnknown(f"expected one row of a claim, got {rows}") from wrong
    if term is None:
        return {"leading": False, "leader": None if sender is None else at.get(sender), "term": None, "reign": None}
    return {"leading": True, "leader": node, "term": term, "reign": f"{started}-{term}"}
