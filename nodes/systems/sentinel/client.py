"""Asking Redis servers and the Sentinels that choose a master among them.

A server leads when its own ``INFO`` says ``role:master``. Its reign is its run (``run_id``, new at every start) with
its replication id (``master_replid``, new at every promotion; ``replicationUnsetMaster`` in Redis' replication.c): the
id may also change within a reign, which only splits it. It has no term: config epochs are the Sentinels' affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.base import Add, Endpoint, Members, Opinion, Question, Refused, Unclear
from splitbrain.nodes.clients.resp import RespClient
from splitbrain.nodes.resp import ErrorReply, Reply
from splitbrain.nodes.systems.sentinel.system import MASTER, REDIS_PORT, SENTINEL_PORT

INFO = ("INFO", "server", "replication")
CONFIRM_KEY = "splitbrain:confirm"
KEPT = "splitbrain:set"
ADDRESS = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
RECORD = ("SENTINEL", "MASTER", MASTER)
TOUCH_S = 0.3  # below the patience of the client that confirms


class RedisClient:
    """Asks the servers for themselves, and the Sentinels for their opinion."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._at = {door.address: name for name, door in endpoints.items()}
        self._redis = {
            n: RespClient(door.ports[REDIS_PORT]) for n, door in endpoints.items() if REDIS_PORT in door.ports
        }
        self._sentinels = {
            n: RespClient(door.ports[SENTINEL_PORT]) for n, door in endpoints.items() if SENTINEL_PORT in door.ports
        }

    async def observe(self, node: str) -> Mapping[str, Any]:
        (info,) = await self._redis[node].ask(INFO)
        return claim(node, fields(info), self._at)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write that ``node`` takes, while most Sentinels send clients to it and are in touch with it.

        Not a write and a ``WAIT`` for replicas: where only one Redis of three is up it has none to wait for, and is
        the master all the same."""
        (info, written), touches = await asyncio.gather(
            self._redis[node].ask(INFO, ("SET", CONFIRM_KEY, node)),
            asyncio.gather(*(self._in_touch(sentinel, node) for sentinel in self._sentinels)),
        )
        if isinstance(written, ErrorReply):
            raise Refused(written)
        if 2 * sum(touches) <= len(touches):
            raise Refused(f"{sum(touches)} of {len(touches)} Sentinels name it and are in touch with it")
        found = claim(node, fields(info), self._at)
        return {"term": found["term"], "reign": found["reign"]}

    async def _in_touch(self, sentinel: str, node: str) -> bool:
        try:
            async with asyncio.timeout(TOUCH_S):
                address, record = await self._sentinels[sentinel].ask(ADDRESS, RECORD)
                return node_at(address, self._at) == node and touched(record)
        except (TimeoutError, Refused, Unclear):
            return False

    async def answer(self, question: Question) -> Mapping[str, Any]:
        match question:
            case Opinion(server):
                return opinion(await self._sentinels[server].ask(ADDRESS, RECORD, ADDRESS, RECORD), self._at)
            case Add(via, element):
                return await self._add(via if via in self._redis else await self._named_by(via), element)
            case Members():
                return {"members": await self._members()}

    async def awake(self, machine: str) -> None:
        await (self._redis | self._sentinels)[machine].ask()

    async def clocks(self, machine: str) -> Mapping[str, int]:
        (info,) = await (self._redis | self._sentinels)[machine].ask(("INFO", "server"))
        return clocks(fields(info))

    async def leading_server(self) -> str | None:
        return None

    async def close(self) -> None:
        for client in (*self._redis.values(), *self._sentinels.values()):
            client.close()

    async def _add(self, node: str, element: str) -> Mapping[str, Any]:
        (added,) = await self._redis[node].ask(("SADD", KEPT, element))
        if isinstance(added, ErrorReply):
            raise Refused(added)
        return {"through": node}

    async def _members(self) -> Sequence[str]:
        """The set as the master has it that most Sentinels name."""
        named = await asyncio.gather(*map(self._named_by, self._sentinels))
        node = max(sorted(set(named)), key=named.count)
        (members,) = await self._redis[node].ask(("SMEMBERS", KEPT))
        if not isinstance(members, list):
            raise Refused(str(members))
        return sorted(map(str, members))

    async def _named_by(self, sentinel: str) -> str:
        (address,) = await self._sentinels[sentinel].ask(ADDRESS)
        return node_at(address, self._at)


def fields(info: Reply) -> Mapping[str, str]:
    """The lines ``name:value`` of an INFO."""
    if not isinstance(info, str) or isinstance(info, ErrorReply):
        raise Refused(str(info))
    lines = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in lines if colon}


def clocks(info: Mapping[str, str]) -> Mapping[str, int]:
    """The wall clock as an INFO has it, in ns; its other clock is not told."""
    return {"wall": int(info["server_time_usec"]) * 1_000}


def claim(node: str, info: Mapping[str, str], at: Mapping[str, str]) -> Mapping[str, Any]:
    """What the server claims, from its INFO; ``at`` are the nodes by their addresses."""
    try:
        leading = info["role"] == "master"
        reign = f"{info['run_id'][:8]}/{info['master_replid'][:8]}"
        leader = node if leading else at.get(info["master_host"])
    except KeyError as missing:
        raise Unclear(f"the INFO lacks {missing}") from missing
    return {"leading": leading, "leader": leader, "term": None, "reign": reign if leading else None}


def opinion(replies: Iterable[Reply], at: Mapping[str, str]) -> Mapping[str, Any]:
    """A Sentinel's opinion from its address and its record of the master, each asked for twice.

    The address is whom it sends clients to; the record holds the epoch. They are answered one after the other, so
    only when nothing changed in between do they belong together.
    """
    first_address, first_record, address, record = replies
    epoch = _epoch(record)
    if (first_address, _epoch(first_record)) != (address, epoch):
        raise Unclear("its opinion changed while it was asked")
    return {"leader": node_at(address, at), "epoch": epoch}


def touched(record: Reply) -> bool:
    """Whether a Sentinel, by its record of the master, had an answer of it within the time it takes for down."""
    told = _pairs(record)
    return int(told["last-ok-ping-reply"]) <= int(told["down-after-milliseconds"])


def _epoch(record: Reply) -> int:
    return int(_pairs(record)["config-epoch"])


def _pairs(record: Reply) -> Mapping[str, str]:
    if not isinstance(record, list):
        raise Refused(str(record))
    return {str(name): str(value) for name, value in zip(record[::2], record[1::2], strict=True)}


def node_at(address: Reply, at: Mapping[str, str]) -> str:
    """The node at the address of a Sentinel's answer, [host, port]."""
    if not isinstance(address, list) or str(address[0]) not in at:
        raise Refused(f"it names no node for the master: {address}")
    return at[str(address[0])]
