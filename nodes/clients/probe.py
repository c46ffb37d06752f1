"""Client for systems described by users: their HTTP probe says where in a JSON answer each fact is found.

These systems echo no nonce; a connection on which an answer is overdue is closed, so that every answer belongs to its
request. A leader may be named by a node's name, its address, or a URL or ``host:port`` that contains either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, Question
from splitbrain.nodes.systems.base import HttpProbe


class ProbeClient:
    """Client for the nodes of a described system."""

    def __init__(self, endpoints: Mapping[str, Endpoint], probe: HttpProbe) -> None:
        self._probe = probe
        addresses = {endpoint.address: name for name, endpoint in endpoints.items()}
        self._names = addresses | {name: name for name in endpoints}
        self._urls = {name: endpoint.url for name, endpoint in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def observe(self, node: str) -> Mapping[str, Any]:
        return claim(node, self._probe, await self._ask("GET", self._probe.path, node), self._names)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """The system's acknowledgement; without a confirm path, the node's claim to lead is trusted."""
        if self._probe.confirm_path is not None:
            await self._ask(self._probe.confirm_method, self._probe.confirm_path, node)
            return {"term": None, "reign": None}
        found = await self.observe(node)
        if not found["leading"]:
            raise OperationFailed("not leading")
        return {"term": found["term"], "reign": found["reign"]}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise OperationFailed(f"not supported by the description: {question}")

    async def awake(self, machine: str) -> None:
        await self._ask("GET", self._probe.path, machine)

    async def clocks(self, machine: str) -> Mapping[str, int]:
        return {}

    async def leading_server(self) -> str | None:
        return None

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, path: str, node: str) -> Any:
        try:
            async with self._session.request(method, self._urls[node] + path) as response:
                status, answer = response.status, await response.json(content_type=None)
        except aiohttp.ClientConnectorError as failure:
            raise OperationFailed(f"no connection: {failure.strerror or failure}") from failure
        except (aiohttp.ClientError, ValueError) as broken:
            if isinstance(broken, ValueError) and method != "GET" and status < 300:
                return None  # an acknowledgement needs no body
            raise OutcomeUnknown(f"incomplete answer: {type(broken).__name__}") from broken
        if status >= 300:
            raise OperationFailed(f"status {status}") if status < 500 else OutcomeUnknown(f"status {status}")
        return answer


def claim(node: str, probe: HttpProbe, answer: Any, names: Mapping[str, str]) -> Mapping[str, Any]:
    """The claim in the answer, located by the probe; ``names`` maps every name and address to its node."""
    leading = holds(answer, probe.leading)
    leader = node if leading else named(at(answer, probe.leader), names)
    term, reign = at(answer, probe.term), at(answer, probe.reign)
    if term is not None and type(term) is not int:
        try:
            term = int(term)
        except (TypeError, ValueError):
            raise OutcomeUnknown(f"{probe.term}: expected a whole number, got {term!r}") from None
    return {"leading": leading, "leader": leader, "term": term, "reign": None if reign is None else str(reign)}


def at(answer: Any, path: str | None) -> Any:
    """The value at a dotted path such as ``raft.peers.0``; None if there is none."""
    if path is None:
        return None
    for key in path.split("."):
        match answer:
            case dict():
                answer = answer.get(key)
            case list() if key.isdigit() and int(key) < len(answer):
                answer = answer[int(key)]
            case _:
                return None
    return answer


def holds(answer: Any, test: str) -> bool:
    """Evaluate ``path == value`` on the answer, or the boolean at ``path``."""
    path, equals, value = (part.strip() for part in test.partition("=="))
    found = at(answer, path)
    if equals:
        return str(found).lower() == value.strip("'\"").lower() if found is not None else False
    if type(found) is not bool:
        raise OutcomeUnknown(f"{path}: expected true or false, got {found!r}")
    return found


def named(leader: Any, names: Mapping[str, str]) -> str | None:
    if not isinstance(leader, str):
        return None
    words = [leader, *re.split(r"[/:@]+", leader)]
    return next((names[word] for word in words if word in names), None)
