"""Asking a system of somebody else's over HTTP, as its description says: where in a JSON answer stands what.

Such a system echoes no nonce, so a connection on which an answer is overdue is closed, and an answer is its own
question's. A leader may be named by a node's name, its address, or a URL or ``host:port`` that holds either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from splitbrain.nodes.clients.base import Endpoint, Question, Refused, Unclear
from splitbrain.nodes.systems.base import HttpProbe


class ProbeClient:
    def __init__(self, endpoints: Mapping[str, Endpoint], probe: HttpProbe) -> None:
        self._probe = probe
        self._names = {door.address: name for name, door in endpoints.items()} | {name: name for name in endpoints}
        self._urls = {name: f"http://127.0.0.1:{next(iter(door.ports.values()))}" for name, door in endpoints.items()}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def observe(self, node: str) -> Mapping[str, Any]:
        return claim(node, self._probe, await self._ask("GET", self._probe.path, node), self._names)

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """What the system itself has for it; without that a node that says it leads is taken at its word."""
        if self._probe.confirm_path is not None:
            await self._ask(self._probe.confirm_method, self._probe.confirm_path, node)
            return {"term": None, "reign": None}
        found = await self.observe(node)
        if not found["leading"]:
            raise Refused("it does not lead")
        return {"term": found["term"], "reign": found["reign"]}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise Refused(f"no way to ask {question} is described")

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
        except aiohttp.ClientConnectorError as refused:
            raise Refused(f"no connection: {refused.strerror or refused}") from refused
        except (aiohttp.ClientError, ValueError) as broken:
            if isinstance(broken, ValueError) and method != "GET" and status < 300:
                return None  # an acknowledgement needs no words
            raise Unclear(f"no whole answer: {type(broken).__name__}") from broken
        if status >= 300:
            raise Refused(f"status {status}") if status < 500 else Unclear(f"status {status}")
        return answer


def claim(node: str, probe: HttpProbe, answer: Any, names: Mapping[str, str]) -> Mapping[str, Any]:
    """What the answer says, by the probe; ``names`` are the nodes by what they may be called."""
    leading = holds(answer, probe.leading)
    leader = node if leading else named(at(answer, probe.leader), names)
    term, reign = at(answer, probe.term), at(answer, probe.reign)
    if term is not None and type(term) is not int:
        try:
            term = int(term)
        except (TypeError, ValueError):
            raise Unclear(f"{probe.term}: expected a whole number, got {term!r}") from None
    return {"leading": leading, "leader": leader, "term": term, "reign": None if reign is None else str(reign)}


def at(answer: Any, path: str | None) -> Any:
    """What stands at the dotted path, such as ``raft.peers.0``; None where there is nothing."""
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
    """Whether ``path == value`` holds of the answer, or what stands at ``path`` is true."""
    path, equals, value = (part.strip() for part in test.partition("=="))
    found = at(answer, path)
    if equals:
        return str(found).lower() == value.strip("'\"").lower() if found is not None else False
    if type(found) is not bool:
        raise Unclear(f"{path}: expected true or false, got {found!r}")
    return found


def named(leader: Any, names: Mapping[str, str]) -> str | None:
    if not isinstance(leader, str):
        return None
    words = [leader, *re.split(r"[/:@]+", leader)]
    return next((names[word] for word in words if word in names), None)
