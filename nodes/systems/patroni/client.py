"""Asking the PostgreSQL servers that Patroni looks after, and the members of etcd that hold its leader key.

PostgreSQL itself is asked, and never Patroni: when Patroni is dead its own answers end, and the primary takes writes
all the same. A server leads when it is not in recovery. Its term is its timeline, read from the log that it writes; its
reign is its start with its timeline, for only a new start makes a replica of a primary. A replica names the server that
it receives from and no term: it may still receive the end of the timeline before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.base import Add, Endpoint, Members, Question, Refused, Unclear
from splitbrain.nodes.clients.postgres import PostgresClient, Row
from splitbrain.nodes.systems.etcd import client as etcd
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT
from splitbrain.nodes.systems.patroni.system import LEADER_KEY, POSTGRES_PORT, TABLE

# The timeline is there exactly when the server is no longer in recovery, which it never enters again.
CLAIM = """
SELECT CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
       (SELECT sender_host FROM pg_stat_wal_receiver)
"""
CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
CONFIRM = "SELECT pg_logical_emit_message(true, 'splitbrain', '')"  # a record in its log, flushed at its commit
NAMED_S = 0.3  # below the patience of the client that confirms


class PatroniClient:
    """Asks the servers for themselves, and the members whom Patroni named."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._at = {door.address: name for name, door in endpoints.items()}
        self._nodes = {
            name: PostgresClient(door.ports[POSTGRES_PORT])
            for name, door in endpoints.items()
            if POSTGRES_PORT in door.ports
        }
        self._servers = [name for name, door in endpoints.items() if CLIENTS_PORT in door.ports]
        self._etcd = etcd.Members({name: endpoints[name] for name in self._servers})

    async def observe(self, node: str) -> Mapping[str, Any]:
        return claim(node, await self._nodes[node].ask(CLAIM), self._at)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write that ``node`` takes while the leader key has its name: where clients that look there are sent."""
        written, named = await asyncio.gather(self._write(node), self._named())
        if named != node:
            raise Refused(f"the leader key names {named}")
        return {"term": written["term"], "reign": written["reign"]}

    async def _write(self, node: str) -> Mapping[str, Any]:
        found = await self.observe(node)
        if not found["leading"]:
            raise Refused("it is in recovery")
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
                raise Refused(f"no way to ask {question} of Patroni's servers")

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
        """Whom the leader key names, by the first member that can tell; a read that its quorum has seen is the newest
        through any of them."""
        asked = [asyncio.ensure_future(self._named_by(server)) for server in self._servers]
        try:
            async with asyncio.timeout(NAMED_S):
                for answer in asyncio.as_completed(asked):
                    try:
                        return await answer
                    except (Refused, Unclear) as failed:
                        reason = str(failed)
        except TimeoutError:
            reason = "no member of etcd answers"
        finally:
            for question in asked:
                question.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise Refused(reason)

    async def _named_by(self, server: str) -> str:
        named = await self._etcd.value(server, LEADER_KEY)
        if named not in self._nodes:
            raise Refused(f"the leader key names {named}")
        return named


def claim(node: str, rows: Sequence[Row], at: Mapping[str, str]) -> Mapping[str, Any]:
    """What the server claims, from its answer to ``CLAIM``; ``at`` are the nodes by their addresses."""
    try:
        ((timeline, started, sender),) = rows
        term = None if timeline is None else int(timeline)
    except ValueError as wrong:
        raise Unclear(f"no answer to what it claims: {rows}") from wrong
    if term is None:
        return {"leading": False, "leader": None if sender is None else at.get(sender), "term": None, "reign": None}
    return {"leading": True, "leader": node, "term": term, "reign": f"{started}-{term}"}
