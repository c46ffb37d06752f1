"""Client for Redis servers and for the Sentinels that choose a master among them.

A server leads when its ``INFO`` says ``role:master``. Its reign is its run (``run_id``, new at every start) with its
replication ID (``master_replid``, new at every promotion; ``replicationUnsetMaster`` in Redis' replication.c). The ID
may also change within a reign, which only splits the reign. A server has no term: config epochs belong to the
Sentinels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.base import (
    Add,
    AskOpinion,
    Endpoint,
    Members,
    OperationFailed,
    OutcomeUnknown,
    Question,
    local_ports,
)
from splitbrain.nodes.clients.resp import RespClient
from splitbrain.nodes.resp import ErrorReply, Reply
from splitbrain.nodes.systems.sentinel.system import MASTER, REDIS_PORT, SENTINEL_PORT

INFO = ("INFO", "server", "replication")
CONFIRM_KEY = "splitbrain:confirm"
KEPT = "splitbrain:set"
ADDRESS = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
RECORD = ("SENTINEL", "MASTER", MASTER)
TOUCH_S = 0.3  # below the timeout of the client that confirms


class RedisClient:
    """Client for the claims of the servers and the opinions of the Sentinels."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._at = {endpoint.address: name for name, endpoint in endpoints.items()}
        self._redis = {name: RespClient(port) for name, port in local_ports(endpoints, REDIS_PORT).items()}
        self._sentinels = {name: RespClient(port) for name, port in local_ports(endpoints, SENTINEL_PORT).items()}

    async def observe(self, node: str) -> Mapping[str, Any]:
        (info,) = await self._redis[node].ask(INFO)
        return claim(node, fields(info), self._at)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write by ``node`` while a majority of Sentinels names it as master and is in touch with it.

        A write with ``WAIT`` for replicas would not do: if only one Redis of three is up, it has no replica to wait
        for, and is the master all the same.
        """
        (info, written), touches = await asyncio.gather(
            self._redis[node].ask(INFO, ("SET", CONFIRM_KEY, node)),
            asyncio.gather(*(self._in_touch(sentinel, node) for sentinel in self._sentinels)),
        )
        if isinstance(written, ErrorReply):
            raise OperationFailed(written)
        if 2 * sum(touches) <= len(touches):
            raise OperationFailed(f"{sum(touches)} of {len(touches)} Sentinels name it and are in touch with it")
        found = claim(node, fields(info), self._at)
        return {"term": found["term"], "reign": found["reign"]}

    async def _in_touch(self, sentinel: str, node: str) -> bool:
        try:
            async with asyncio.timeout(TOUCH_S):
                address, record = await self._sentinels[sentinel].ask(ADDRESS, RECORD)
                return node_at(address, self._at) == node and touched(record)
        except (TimeoutError, OperationFailed, OutcomeUnknown):
            return False

    async def answer(self, question: Question) -> Mapping[str, Any]:
        match question:
            case AskOpinion(server):
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
            raise OperationFailed(added)
        return {"through": node}

    async def _members(self) -> Sequence[str]:
        """The set, read from the master that most Sentinels name."""
        named = await asyncio.gather(*map(self._named_by, self._sentinels))
        node = max(sorted(set(named)), key=named.count)
        (members,) = await self._redis[node].ask(("SMEMBERS", KEPT))
        if not isinstance(members, list):
            raise OperationFailed(str(members))
        return sorted(map(str, members))

    async def _named_by(self, sentinel: str) -> str:
        (address,) = await self._sentinels[sentinel].ask(ADDRESS)
        return node_at(address, self._at)


def fields(info: Reply) -> Mapping[str, str]:
    """The lines ``name:value`` of an INFO reply."""
    if not isinstance(info, str) or isinstance(info, ErrorReply):
        raise OperationFailed(str(info))
    lines = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in lines if colon}


def clocks(info: Mapping[str, str]) -> Mapping[str, int]:
    """The wall clock in an INFO reply, in ns; Redis does not show its monotonic clock."""
    return {"wall": int(info["server_time_usec"]) * 1_000}


def claim(node: str, info: Mapping[str, str], at: Mapping[str, str]) -> Mapping[str, Any]:
    """The server's claim, from its INFO; ``at`` maps addresses to nodes."""
    try:
        leading = info["role"] == "master"
        reign = f"{info['run_id'][:8]}/{info['master_replid'][:8]}"
        leader = node if leading else at.get(info["master_host"])
    except KeyError as missing:
        raise OutcomeUnknown(f"INFO: expected the field {missing}") from missing
    return {"leading": leading, "leader": leader, "term": None, "reign": reign if leading else None}


def opinion(replies: Iterable[Reply], at: Mapping[str, str]) -> Mapping[str, Any]:
    """A Sentinel's opinion from its address and its record of the master, each requested twice.

    The address is the master it sends clients to; the record holds the epoch. They are answered one after the other,
    so they belong together only if nothing changed in between.
    """
    first_address, first_record, address, record = replies
    epoch = _epoch(record)
    if (first_address, _epoch(first_record)) != (address, epoch):
        raise OutcomeUnknown("the opinion changed between two reads")
    return {"leader": node_at(address, at), "epoch": epoch}


def touched(record: Reply) -> bool:
    """True if the master answered the Sentinel within ``down-after-milliseconds``, by the Sentinel's record of it."""
    known = _pairs(record)
    return int(known["last-ok-ping-reply"]) <= int(known["down-after-milliseconds"])


def _epoch(record: Reply) -> int:
    return int(_pairs(record)["config-epoch"])


def _pairs(record: Reply) -> Mapping[str, str]:
    if not isinstance(record, list):
        raise OperationFailed(str(record))
    return {str(name): str(value) for name, value in zip(record[::2], record[1::2], strict=True)}


def node_at(address: Reply, at: Mapping[str, str]) -> str:
    """The node at the address in a Sentinel's answer, [host, port]."""
    if not isinstance(address, list) or str(address[0]) not in at:
        raise OperationFailed(f"expected the address of a node as master, got {address}")
    return at[str(address[0])]
