"""Asking what speaks as ``nodes.endpoint`` does: ``GET /status`` and ``POST /confirm``, with a nonce that is echoed.

The answer must also carry the node's own name, so that neither an answer to an older question nor one of another node
is ever taken for this one's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, Question, Refused, Unclear, voted

CLAIM = ("leading", "leader", "term", "reign")
CLOCKS: Mapping[str, str] = MappingProxyType({"wall": "wall", "monotonic": "at"})


class HttpClient:
    """A pool of connections to the nodes, and to servers of our own."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._urls = {name: f"http://127.0.0.1:{next(iter(door.ports.values()))}" for name, door in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._nonces = itertools.count(1)

    async def observe(self, node: str) -> Mapping[str, Any]:
        answer = await self._ask("GET", "status", node)
        try:
            claim = {key: answer[key] for key in CLAIM}
        except KeyError as missing:
            raise Unclear(f"the status lacks the key {missing}") from missing
        return voted(claim, answer.get("vote"))

    async def confirm(self, node: str) -> Mapping[str, Any]:
        answer = await self._ask("POST", "confirm", node)
        return {"term": answer.get("term"), "reign": answer.get("reign")}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise Refused(f"no way to ask {question} over HTTP")

    async def awake(self, machine: str) -> None:
        await self._ask("GET", "status", machine)

    async def sent(self, node: str) -> Mapping[str, int]:
        """How many messages of each kind the node has sent since it booted."""
        return await self._counted(node, "sent")

    async def received(self, node: str) -> Mapping[str, int]:
        """The same of what came to it unasked, for those that count that."""
        return await self._counted(node, "received")

    async def _counted(self, node: str, way: str) -> Mapping[str, int]:
        status = await self._ask("GET", "status", node)
        try:
            return dict(status[way])
        except KeyError as missing:
            raise Unclear(f"{node} does not count what it has {way}") from missing

    async def clocks(self, machine: str) -> Mapping[str, int]:
        answer = await self._ask("GET", "status", machine)
        return {clock: answer[key] for clock, key in CLOCKS.items() if key in answer}

    async def leading_server(self) -> str | None:
        return None

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, what: str, node: str) -> Mapping[str, Any]:
        nonce = str(next(self._nonces))
        url = f"{self._urls[node]}/{what}?nonce={nonce}"
        try:
            async with self._session.request(method, url) as response:
                status, answer = response.status, await response.json()
        except aiohttp.ClientConnectorError as refused:
            raise Refused(f"no connection: {refused.strerror or refused}") from refused
        except (aiohttp.ClientError, ValueError) as broken:
            raise Unclear(f"no whole answer: {type(broken).__name__}") from broken
        return _judged(node, nonce, status, answer)


def _judged(node: str, nonce: str, status: int, answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, dict) or answer.get("nonce") != nonce or answer.get("id") != node:
        raise Unclear("an answer to another question, or of another node")
    if status == 200:
        return answer
    error = str(answer.get("error", f"status {status}"))
    raise Refused(error) if status == 409 else Unclear(error)
