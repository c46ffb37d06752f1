"""Asking the members of an etcd cluster: who leads by ``GET /debug/vars``, an acknowledgement by a write.

``raft.status`` on that page is taken in Raft's own loop in one instant: a member's state, term, leader and vote, all
together.
(``Status`` and the header of every answer have the term of the last entry applied instead, beside a leader of now.)

etcd echoes no nonce. Answers on one HTTP connection come in the order of the questions, and a connection on which one
is overdue is closed with the question, so no late answer is ever taken for a fresh one.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, Question, Refused, Unclear, voted

MEMBERS_PORT = 2379
NOBODY = "0"
SOON_S = 0.2
SECOND_NS = 1_000_000_000
KEY = base64.b64encode(b"splitbrain/confirmed").decode()
VALUE = base64.b64encode(b"1").decode()


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """A member's Raft in one instant; ``id``, ``lead`` and ``vote`` are identities of members, None for nobody."""

    id: str
    term: int
    lead: str | None
    leading: bool
    vote: str | None

    @property
    def reign(self) -> str | None:
        """A node leads a Raft term in one stretch, and a member that lost its data returns with another identity."""
        return f"{self.id}-{self.term}" if self.leading else None


def raft_status(page: Any) -> RaftStatus:
    """What the page ``/debug/vars`` says of Raft. Raises Unclear when it says nothing of it."""
    try:
        raft = page["raft.status"]
        own, lead, vote = str(raft["id"]), str(raft["lead"]), str(raft["vote"])
        if own == NOBODY:  # a member that is ending shows an empty status, of term 0, when its Raft has ended
            raise Unclear("its Raft has ended")
        return RaftStatus(
            id=own,
            term=int(raft["term"]),
            lead=None if lead == NOBODY else lead,
            leading=raft["raftState"] == "StateLeader",
            vote=None if vote == NOBODY else vote,
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise Unclear(f"no status of Raft in /debug/vars: {type(wrong).__name__} {wrong}") from wrong


def clock(headers: Mapping[str, str]) -> Mapping[str, int]:
    """A member's wall clock by an answer's ``Date`` (RFC 9110, 6.6.1), which counts whole seconds: the middle of the
    one that it names. Raises Unclear for an answer without a date."""
    try:
        began = int(parsedate_to_datetime(headers["Date"]).timestamp()) * SECOND_NS
    except (KeyError, ValueError) as wrong:
        raise Unclear(f"no date in the answer: {type(wrong).__name__} {wrong}") from wrong
    return {"wall": began + SECOND_NS // 2, "within": SECOND_NS // 2}


def value_in(answer: Any) -> str | None:
    """The value of the one key that a range was asked for, None where there is none. Raises Unclear for no answer."""
    try:
        return next((base64.b64decode(pair["value"]).decode() for pair in answer.get("kvs", ())), None)
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise Unclear(f"no values in the answer: {type(wrong).__name__} {wrong}") from wrong


class Members:
    """The members of one cluster, by the names of their machines."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._urls = {name: f"http://127.0.0.1:{next(iter(door.ports.values()))}" for name, door in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._name_of: dict[str, str] = {}

    async def status(self, member: str) -> RaftStatus:
        status = raft_status(await self._ask("GET", member, "/debug/vars"))
        self._name_of[status.id] = member
        return status

    def named(self, identity: str | None) -> str | None:
        """The machine of that member, None if it has never answered."""
        return None if identity is None else self._name_of.get(identity)

    async def clocks(self, member: str) -> Mapping[str, int]:
        headers, _ = await self._answer("GET", member, "/version", None)
        return clock(headers)

    async def put(self, member: str) -> None:
        """A write that is acknowledged when a quorum has it; followers pass it on to their leader."""
        await self._ask("POST", member, "/v3/kv/put", {"key": KEY, "value": VALUE})

    async def value(self, member: str, key: str) -> str | None:
        """What is kept under the key, None for nothing; a quorum has seen the question."""
        asked = base64.b64encode(key.encode()).decode()
        return value_in(await self._ask("POST", member, "/v3/kv/range", {"key": asked}))

    async def leading(self) -> str | None:
        """The member that leads in the newest term, by those that answer."""
        answers = await asyncio.gather(*map(self._status_soon, self._urls))
        leaders = [(it.term, name) for name, it in zip(self._urls, answers, strict=True) if it and it.leading]
        return max(leaders)[1] if leaders else None

    async def _status_soon(self, member: str) -> RaftStatus | None:
        """None when there is no answer; a paused member gives none, and is waited for no longer than ``SOON_S``."""
        try:
            async with asyncio.timeout(SOON_S):
                return await self.status(member)
        except (TimeoutError, Refused, Unclear):
            return None

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, member: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        _, answer = await self._answer(method, member, path, body)
        return answer

    async def _answer(
        self, method: str, member: str, path: str, body: Mapping[str, str] | None
    ) -> tuple[Mapping[str, str], Any]:
        try:
            async with self._session.request(method, self._urls[member] + path, json=body) as response:
                answer = await response.json(content_type=None)
        except aiohttp.ClientConnectorError as refused:
            raise Refused(f"no connection: {refused.strerror or refused}") from refused
        except (aiohttp.ClientError, ValueError) as broken:
            raise Unclear(f"no whole answer: {type(broken).__name__}") from broken
        if response.status != 200:
            raise Unclear(f"status {response.status}: {answer.get('error') if isinstance(answer, dict) else answer}")
        return response.headers, answer


class EtcdClient:
    """Asks members that are themselves the nodes."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._members = Members(endpoints)

    async def observe(self, node: str) -> Mapping[str, Any]:
        status = await self._members.status(node)
        claim = {
            "leading": status.leading,
            "leader": self._members.named(status.lead),
            "term": status.term,
            "reign": status.reign,
        }
        return voted(claim, self._members.named(status.vote))

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write through ``node``, counted when it led in one term before and after: then it led all the while,
        and the write was committed by it and its quorum, for it was passed on to nobody."""
        before = await self._members.status(node)
        if not before.leading:
            raise Refused("it does not lead")
        await self._members.put(node)
        after = await self._members.status(node)
        if after.reign != before.reign:
            raise Unclear("it was deposed meanwhile, so another may have taken the write")
        return {"term": before.term, "reign": before.reign}

    async def awake(self, machine: str) -> None:
        await self._members.status(machine)

    async def leading_server(self) -> str | None:
        return None

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise Refused(f"no way to ask {question} of etcd")

    async def clocks(self, machine: str) -> Mapping[str, int]:
        return await self._members.clocks(machine)

    async def close(self) -> None:
        await self._members.close()
