"""Client for nodes with the HTTP interface of ``nodes.endpoint``: ``GET /status`` and ``POST /confirm``.

Every answer must echo the request's nonce and carry the node's name, so that neither an answer to an earlier request
nor an answer from another node is ever accepted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, Question, with_vote

CLAIM = ("leading", "leader", "term", "reign")
CLOCKS: Mapping[str, str] = MappingProxyType({"wall": "wall", "monotonic": "at"})


class HttpClient:
    """Client for nodes, and for servers of our algorithms."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._urls = {name: endpoint.url for name, endpoint in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._nonces = itertools.count(1)

    async def observe(self, node: str) -> Mapping[str, Any]:
        answer = await self._ask("GET", "status", node)
        try:
            claim = {key: answer[key] for key in CLAIM}
        except KeyError as missing:
            raise OutcomeUnknown(f"/status: expected the key {missing}") from missing
        return with_vote(claim, answer.get("vote"))

    async def confirm(self, node: str) -> Mapping[str, Any]:
        answer = await self._ask("POST", "confirm", node)
        return {"term": answer.get("term"), "reign": answer.get("reign")}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise OperationFailed(f"not supported over HTTP: {question}")

    async def awake(self, machine: str) -> None:
        await self._ask("GET", "status", machine)

    async def sent(self, node: str) -> Mapping[str, int]:
        """The number of messages of each kind that the node has sent since it booted."""
        return await self._count(node, "sent")

    async def received(self, node: str) -> Mapping[str, int]:
        """The number of unsolicited messages of each kind received since it booted, where the node counts them."""
        return await self._count(node, "received")

    async def _count(self, node: str, direction: str) -> Mapping[str, int]:
        status = await self._ask("GET", "status", node)
        try:
            return dict(status[direction])
        except KeyError as missing:
            raise OutcomeUnknown(f"{node} does not count messages {direction}") from missing

    async def clocks(self, machine: str) -> Mapping[str, int]:
        answer = await self._ask("GET", "status", machine)
        return {clock: answer[key] for clock, key in CLOCKS.items() if key in answer}

    async def leading_server(self) -> str | None:
        return None

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, path: str, node: str) -> Mapping[str, Any]:
        nonce = str(next(self._nonces))
        url = f"{self._urls[node]}/{path}?nonce={nonce}"
        try:
            async with self._session.request(method, url) as response:
                status, answer = response.status, await response.json()
        except aiohttp.ClientConnectorError as failure:
            raise OperationFailed(f"no connection: {failure.strerror or failure}") from failure
        except (aiohttp.ClientError, ValueError) as broken:
            raise OutcomeUnknown(f"incomplete answer: {type(broken).__name__}") from broken
        return _checked(node, nonce, status, answer)


def _checked(node: str, nonce: str, status: int, answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or answer.get("nonce") != nonce or answer.get("id") != node:
        raise OutcomeUnknown("an answer to another request, or from another node")
    if status == 200:
        return answer
    error = str(answer.get("error", f"status {status}"))
    raise OperationFailed(error) if status == 409 else OutcomeUnknown(error)
