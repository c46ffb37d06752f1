"""Asking a node over HTTP, through the port its host publishes on 127.0.0.1: a way that no cut ever touches.

Each question carries a nonce that the answer must echo, together with the node's own name, so that an answer to
an older question, or of another node, is never taken for this one's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import aiohttp

from harness.runtimes.base import Fail, Ok, Reply, Unknown


class Probes:
    """A pool of connections to the nodes. Open it inside a running event loop; close it there too."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._urls = {node: f"http://127.0.0.1:{port}" for node, port in ports.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._nonces = itertools.count(1)

    async def close(self) -> None:
        await self._session.close()

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        reply = await self._ask("GET", "status", node, timeout_ns)
        if not isinstance(reply, Ok):
            return reply
        answer = reply.value
        try:
            return Ok({key: answer[key] for key in ("leading", "leader", "term", "reign")})
        except KeyError as missing:
            return Unknown(f"the status lacks the key {missing}")

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        reply = await self._ask("POST", "confirm", node, timeout_ns)
        if not isinstance(reply, Ok):
            return reply
        return Ok({"term": reply.value.get("term"), "reign": reply.value.get("reign")})

    async def _ask(self, method: str, what: str, node: str, timeout_ns: int) -> Reply:
        nonce = str(next(self._nonces))
        url = f"{self._urls[node]}/{what}?nonce={nonce}"
        timeout = aiohttp.ClientTimeout(total=timeout_ns / 1e9)
        try:
            async with self._session.request(method, url, timeout=timeout) as response:
                status, answer = response.status, await response.json()
        except TimeoutError:
            return Unknown("no answer in time")
        except aiohttp.ClientConnectorError as refused:
            return Fail(f"no connection: {refused.strerror or refused}")
        except (aiohttp.ClientError, ValueError) as broken:
            return Unknown(f"no whole answer: {type(broken).__name__}")
        return _judged(node, nonce, status, answer)


def _judged(node: str, nonce: str, status: int, answer: Any) -> Reply:
    if not isinstance(answer, dict) or answer.get("nonce") != nonce or answer.get("id") != node:
        return Unknown("an answer to another question, or of another node")
    if status == 200:
        return Ok(answer)
    error = str(answer.get("error", f"status {status}"))
    return Fail(error) if status == 409 else Unknown(error)
