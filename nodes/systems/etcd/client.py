"""Client for the members of an etcd cluster: claims come from ``GET /debug/vars``, an acknowledgement is a write.

``raft.status`` on that page is taken in Raft's loop at one instant, so a member's state, term, leader and vote belong
together. (``Status`` and the header of every answer pair the present leader with the term of the last applied entry.)

etcd echoes no nonce. Answers on one HTTP connection arrive in the order of the requests, and a connection on which one
is overdue is closed, so that no late answer is ever accepted for a new request.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, Question, with_vote

MEMBERS_PORT = 2379
NO_MEMBER = "0"
SOON_S = 0.2
SECOND_NS = 1_000_000_000
KEY = base64.b64encode(b"splitbrain/confirmed").decode()
VALUE = base64.b64encode(b"1").decode()


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """A member's Raft state at one instant; ``id``, ``lead`` and ``vote`` are member IDs, None for no member."""

    id: str
    term: int
    lead: str | None
    leading: bool
    vote: str | None

    @property
    def reign(self) -> str | None:
        """The reign key: a member leads a Raft term in one stretch, and returns under a new ID if it lost its data."""
        return f"{self.id}-{self.term}" if self.leading else None


def raft_status(page: Any) -> RaftStatus:
    """The Raft status on the page ``/debug/vars``. Raises OutcomeUnknown if it is missing."""
    try:
        raft = page["raft.status"]
        own, lead, vote = str(raft["id"]), str(raft["lead"]), str(raft["vote"])
        if own == NO_MEMBER:  # a member that is shutting down shows an empty status of term 0 once its Raft has stopped
            raise OutcomeUnknown("its Raft has stopped")
        return RaftStatus(
            id=own,
            term=int(raft["term"]),
            lead=None if lead == NO_MEMBER else lead,
            leading=raft["raftState"] == "StateLeader",
            vote=None if vote == NO_MEMBER else vote,
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise OutcomeUnknown(f"/debug/vars: expected the status of Raft: {type(wrong).__name__} {wrong}") from wrong


def clock(headers: Mapping[str, str]) -> Mapping[str, int]:
    """A member's wall clock by the ``Date`` of an answer (RFC 9110, section 6.6.1).

    A date has whole seconds, so the clock is the middle of that second. Raises OutcomeUnknown without a date.
    """
    try:
        began = int(parsedate_to_datetime(headers["Date"]).timestamp()) * SECOND_NS
    except (KeyError, ValueError) as wrong:
        raise OutcomeUnknown(f"expected a Date in the answer: {type(wrong).__name__} {wrong}") from wrong
    return {"wall": began + SECOND_NS // 2, "within": SECOND_NS // 2}


def value_in(answer: Any) -> str | None:
    """The value in the answer to a range request for one key; None without one. Raises OutcomeUnknown if malformed."""
    try:
        return next((base64.b64decode(pair["value"]).decode() for pair in answer.get("kvs", ())), None)
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise OutcomeUnknown(f"expected a range response: {type(wrong).__name__} {wrong}") from wrong


class EtcdMembers:
    """Client for the members of one cluster, by the names of their machines."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._urls = {name: endpoint.url for name, endpoint in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._name_of: dict[str, str] = {}

    async def status(self, member: str) -> RaftStatus:
        status = raft_status(await self._ask("GET", member, "/debug/vars"))
        self._name_of[status.id] = member
        return status

    def named(self, identity: str | None) -> str | None:
        """The machine of the member with that ID; None if it has never answered."""
        return None if identity is None else self._name_of.get(identity)

    async def clocks(self, member: str) -> Mapping[str, int]:
        headers, _ = await self._answer("GET", member, "/version", None)
        return clock(headers)

    async def put(self, member: str) -> None:
        """A write, acknowledged when a quorum has it; followers forward it to their leader."""
        await self._ask("POST", member, "/v3/kv/put", {"key": KEY, "value": VALUE})

    async def value(self, member: str, key: str) -> str | None:
        """The value of the key, or None; a linearizable read."""
        encoded = base64.b64encode(key.encode()).decode()
        return value_in(await self._ask("POST", member, "/v3/kv/range", {"key": encoded}))

    async def leading(self) -> str | None:
        """The member that leads in the highest term, among those that answer."""
        answers = await asyncio.gather(*map(self._status_soon, self._urls))
        found = zip(self._urls, answers, strict=True)
        leaders = [(status.term, name) for name, status in found if status and status.leading]
        return max(leaders)[1] if leaders else None

    async def _status_soon(self, member: str) -> RaftStatus | None:
        """The member's status, or None without an answer within ``SOON_S``, as from a paused member."""
        try:
            async with asyncio.timeout(SOON_S):
                return await self.status(member)
        except (TimeoutError, OperationFailed, OutcomeUnknown):
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
        except aiohttp.ClientConnectorError as failure:
            raise OperationFailed(f"no connection: {failure.strerror or failure}") from failure
        except (aiohttp.ClientError, ValueError) as broken:
            raise OutcomeUnknown(f"incomplete answer: {type(broken).__name__}") from broken
        if response.status != 200:
            error = answer.get("error") if isinstance(answer, dict) else answer
            raise OutcomeUnknown(f"status {response.status}: {error}")
        return response.headers, answer


class EtcdClient:
    """Client for a cluster whose members are the nodes."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._members = EtcdMembers(endpoints)

    async def observe(self, node: str) -> Mapping[str, Any]:
        status = await self._members.status(node)
        claim = {
            "leading": status.leading,
            "leader": self._members.named(status.lead),
            "term": status.term,
            "reign": status.reign,
        }
        return with_vote(claim, self._members.named(status.vote))

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """A write through ``node``, which must lead in the same term before and after it.

        Then the node led in between, did not forward the write, and committed it with its quorum.
        """
        before = await self._members.status(node)
        if not before.leading:
            raise OperationFailed("not leading")
        await self._members.put(node)
        after = await self._members.status(node)
        if after.reign != before.reign:
            raise OutcomeUnknown("deposed during the write, which another leader may have committed")
        return {"term": before.term, "reign": before.reign}

    async def awake(self, machine: str) -> None:
        await self._members.status(machine)

    async def leading_server(self) -> str | None:
        return None

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise OperationFailed(f"not supported by etcd: {question}")

    async def clocks(self, machine: str) -> Mapping[str, int]:
        return await self._members.clocks(machine)

    async def close(self) -> None:
        await self._members.close()
