"""Client for systems described by users: their HTTP probe says where in an answer each fact is found.

These systems echo no nonce; a connection on which an answer is overdue is closed, so that every answer belongs to its
request. A leader may be named by a node's name, its address, or a URL or ``host:port`` that contains either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from splitbrain.nodes.clients.answers import WrongAnswer, shown, text, whole
from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown, Question
from splitbrain.nodes.clients.connections import accepts
from splitbrain.nodes.clients.web import WebAnswer, WebSession
from splitbrain.nodes.systems.base import HttpProbe

UNAVAILABLE: Final = 503
"""The status of a node that does not lead, where leaders are found by theirs."""


class ProbeClient:
    """Client for the nodes of a described system. Its ``servers`` are asked for connections only."""

    def __init__(self, endpoints: Mapping[str, Endpoint], probe: HttpProbe, servers: Collection[str] = ()) -> None:
        self._probe = probe
        self._servers = {name: next(iter(endpoints[name].ports.values())) for name in servers}
        nodes = {name: endpoint for name, endpoint in endpoints.items() if name not in servers}
        self._names = {endpoint.address: name for name, endpoint in nodes.items()} | {name: name for name in nodes}
        self._urls = {name: endpoint.url for name, endpoint in nodes.items()}
        self._session = WebSession()
        self._answers: dict[str, WebAnswer] = {}

    async def observe(self, node: str) -> Mapping[str, Any]:
        answer = self._answers[node] = await self._ask("GET", self._probe.path, node)
        return claim(node, self._probe, answer, self._names)

    def last_answer(self, node: str) -> str | None:
        """The body of the latest answer to a probe of ``node``, as it came; None if it never answered."""
        answer = self._answers.get(node)
        return None if answer is None else answer.body.decode(errors="replace")

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """The system's acknowledgement, by its status; it needs no body."""
        if self._probe.confirm_path is None:
            raise OperationFailed("the description has no [confirm]")
        try:
            answer = await self._ask(self._probe.confirm_method, self._probe.confirm_path, node)
        except WrongAnswer as wrong:  # it was asked for, whatever the answer is
            raise OutcomeUnknown(str(wrong)) from wrong
        if answer.status >= 500:
            raise OutcomeUnknown(answer.refusal)
        if answer.status >= 300:
            raise OperationFailed(answer.refusal)
        return {"term": None, "reign": None}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        raise OperationFailed(f"not supported by the description: {question}")

    async def awake(self, machine: str) -> None:
        if machine in self._servers:
            await accepts(self._servers[machine])
        else:
            await self.observe(machine)

    async def clocks(self, machine: str) -> Mapping[str, int]:
        return {}

    async def leading_server(self) -> str | None:
        return None

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, method: str, path: str, node: str) -> WebAnswer:
        return await self._session.ask(method, self._urls[node] + path)


def claim(node: str, probe: HttpProbe, answer: WebAnswer, names: Mapping[str, str]) -> Mapping[str, Any]:
    """The claim in the answer, located by the probe; ``names`` maps every name and address to its node.

    Many systems go on to name the last leader while their term rises. So ``leader_term``, the term of the leader that a
    node follows, is null unless the probe says where it is found. Raises WrongAnswer.
    """
    if answer.status not in answering(probe):
        raise WrongAnswer(answer.refusal)
    status = status_tested(probe.leading)
    paths = (probe.leader, probe.leader_term, probe.term, probe.reign)
    told = answer.json() if status is None or any(paths) else None
    leading = holds(told, probe.leading) if status is None else answer.status == status
    found = {
        "leading": leading,
        "leader": node if leading else named(at(told, probe.leader), names),
        "term": whole(at(told, probe.term), str(probe.term)),
        "reign": text(at(told, probe.reign), str(probe.reign)),
    }
    if leading or not (probe.leader and probe.term):
        return found
    return {**found, "leader_term": whole(at(told, probe.leader_term), str(probe.leader_term))}


def answering(probe: HttpProbe) -> frozenset[int]:
    """The statuses of answers; any other is a refusal."""
    tested = status_tested(probe.leading)
    usual = range(200, 300) if tested is None else (*range(200, 300), tested, UNAVAILABLE)
    return frozenset((*usual, *probe.statuses))


def status_tested(test: str) -> int | None:
    """The status that ``status == 200`` tests; None for a test of the body."""
    found = re.fullmatch(r"status\s*==\s*([1-5][0-9]{2})", test.strip())
    return int(found[1]) if found else None


def at(answer: Any, path: str | None) -> Any:
    """The value at a dotted path such as ``raft.peers.0``; None if there is none."""
    if path is None:
        return None
    for key in path.split("."):
        match answer:
            case dict():
                answer = answer.get(key)
            case list() if re.fullmatch("[0-9]{1,9}", key, re.ASCII) and int(key) < len(answer):
                answer = answer[int(key)]
            case _:
                return None
    return answer


def holds(answer: Any, test: str) -> bool:
    """Evaluate ``path == value`` on the answer, or the boolean at ``path``. Raises WrongAnswer."""
    path, equals, value = (part.strip() for part in test.partition("=="))
    found = at(answer, path)
    if equals:
        if isinstance(found, dict | list):
            raise WrongAnswer(f"{path}: expected a text, a number, true or false, got {shown(found)}")
        return found is not None and str(found).lower() == value.strip("'\"").lower()
    if type(found) is not bool:
        kind = "the text " if isinstance(found, str) else ""
        raise WrongAnswer(f"{path}: expected true or false, got {kind}{shown(found)}")
    return found


def named(leader: Any, names: Mapping[str, str]) -> str | None:
    """The node that a name, an address or a URL names; None if it names none."""
    if not isinstance(leader, str):
        return None
    words = [leader, *re.split(r"[/:@]+", leader)]
    return next((names[word] for word in words if word in names), None)
