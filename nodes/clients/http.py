"""Client for nodes with the HTTP interface of ``nodes.endpoint``: ``GET /status`` and ``POST /confirm``.

Every answer must echo the request's nonce and carry the node's name, so that neither an answer to an earlier request
nor an answer from another node is ever accepted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from splitbrain.nodes.clients.answers import Answer, WrongAnswer, text, whole
from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, Question, with_vote
from splitbrain.nodes.clients.web import WebSession

CLAIM = ("leading", "leader", "term", "reign")
CLOCKS: Mapping[str, str] = MappingProxyType({"wall": "wall", "monotonic": "at"})


class HttpClient:
    """Client for nodes, and for servers of our algorithms."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._urls = {name: endpoint.url for name, endpoint in endpoints.items()}
        self._session = WebSession()
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
        return {"term": whole(answer.get("term"), "term"), "reign": text(answer.get("reign"), "reign")}

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
        try:
            return _checked(node, nonce, await self._session.ask(method, f"{self._urls[node]}/{path}?nonce={nonce}"))
        except WrongAnswer as wrong:
            raise OutcomeUnknown(str(wrong)) from wrong


def _checked(node: str, nonce: str, answer: Answer) -> Mapping[str, Any]:
    told = answer.json()
    if not isinstance(told, dict) or told.get("nonce") != nonce or told.get("id") != node:
        raise OutcomeUnknown("an answer to another request, or from another node")
    if answer.status == 200:
        return told
    error = str(told.get("error", f"status {answer.status}"))
    raise OperationFailed(error) if answer.status == 409 else OutcomeUnknown(error)
