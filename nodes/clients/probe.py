"""Client for described systems: each node is asked as the description says, and its claim is found by expressions.

These systems echo no nonce; a connection on which an answer is overdue is closed, so that every answer belongs to its
request. A leader may be named by a node's name, its address, a URL or ``host:port`` that contains either, or by the
words that the description has for it.

Where a claim is put together from several answers, they are of several instants. The further ones are asked for before
and after the first, and the claim holds only if they say the same both times, in what the expressions read of them:
then it is that of the first answer's instant, unless something changed and changed back within that time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from splitbrain.names import COUNTED_REIGN
from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import Add, Endpoint, Members, OperationFailed, OutcomeUnknown, Question
from splitbrain.nodes.clients.claims import Reader, hint
from splitbrain.nodes.clients.confirmations import Confirmation
from splitbrain.nodes.clients.connections import accepts
from splitbrain.nodes.clients.insides import NO_INSIDES, Insides
from splitbrain.nodes.clients.kept_sets import KeptSetClient
from splitbrain.nodes.clients.ways import Asker, Target, asker
from splitbrain.nodes.systems.probes import COUNTED, Probe


class ProbeClient:
    """Client for the nodes of a described system. Its ``servers`` are asked for connections only."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        probe: Probe,
        servers: Collection[str] = (),
        inside: Insides = NO_INSIDES,
    ) -> None:
        self._servers = {name: next(iter(endpoints[name].ports.values())) for name in servers}
        nodes = {name: endpoint for name, endpoint in endpoints.items() if name not in servers}
        own = {
            name: {"name": name, "address": endpoint.address, "index": str(number)}
            for number, (name, endpoint) in enumerate(nodes.items(), 1)
        }
        reader = Reader(probe, own)
        self._probe = probe
        targets = {name: Target(endpoint=nodes[name], own=own[name], inside=inside) for name in nodes}
        self._nodes = {name: _Node(probe, reader, target) for name, target in targets.items()}
        self._kept = None if probe.kept is None else KeptSetClient(probe.kept, targets)

    async def observe(self, node: str) -> Mapping[str, Any]:
        return await self._nodes[node].observe()

    def cost_ns(self, node: str) -> int:
        """The time that an observation takes of the machine of ``node``; 0 where it is too little to count."""
        return self._nodes[node].cost_ns

    def hint(self, node: str) -> str | None:
        """The advice of how to describe ``node``, whose answers are refused; None if there is none."""
        answer = self._nodes[node].last if node in self._nodes else None
        return None if answer is None else hint(self._probe, answer)

    def last_answer(self, node: str) -> str | None:
        """The body of the latest answer to a probe of ``node``, as it came; None if it never answered."""
        answer = self._nodes[node].last
        return None if answer is None else answer.body.decode(errors="replace")

    async def confirm(self, node: str) -> Mapping[str, Any]:
        """The system's acknowledgement. It names no leadership."""
        await self._nodes[node].confirm()
        return {"term": None, "reign": None}

    async def answer(self, question: Question) -> Mapping[str, Any]:
        match question:
            case Add(via, element) if self._kept is not None:
                await self._kept.add(via, element)
                return {"through": via}
            case Members() if self._kept is not None:
                return {"members": await self._kept.read(await self._leader())}
            case _:
                raise OperationFailed(f"not supported by the description: {question}")

    async def _leader(self) -> str:
        """The first node that says that it leads. Raises OperationFailed if none does."""
        for node in self._nodes:
            with contextlib.suppress(OperationFailed, OutcomeUnknown):
                if (await self.observe(node))["leading"]:
                    return node
        raise OperationFailed("no node leads")

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
        for node in self._nodes.values():
            await node.close()


class _Node:
    """One node: its askers, and its latest answer."""

    def __init__(self, probe: Probe, reader: Reader, target: Target) -> None:
        self._name = target.name
        self._reader = reader
        self._first = asker(probe.way, target)
        self._also = {name: asker(further.way, target) for name, further in probe.also.items()}
        self._confirmation = None if probe.confirm is None else Confirmation(probe.confirm, target)
        self._reigns = _Reigns() if probe.reign == COUNTED else None
        self.last: Answer | None = None

    @property
    def cost_ns(self) -> int:
        return self._first.cost_ns + 2 * max((each.cost_ns for each in self._also.values()), default=0)

    async def observe(self) -> Mapping[str, Any]:
        try:
            claim = self._reader.claim(self._name, *await self._answers())
        except BaseException:
            if self._reigns is not None:
                self._reigns.missed()
            raise
        return claim if self._reigns is None else {**claim, "reign": self._reigns.of(claim["leading"])}

    async def _answers(self) -> tuple[Answer, Mapping[str, Answer]]:
        if not self._also:
            self.last = await self._first.ask()
            return self.last, {}
        before = await self._others()
        self.last = await self._first.ask()
        after = await self._others()
        if not self._reader.agree(self._name, before, after):
            raise OutcomeUnknown("no answer: what is put together changed meanwhile")
        return self.last, after

    async def _others(self) -> Mapping[str, Answer]:
        return dict(zip(self._also, await all_of(self._also.values()), strict=True))

    async def confirm(self) -> None:
        if self._confirmation is None:
            raise OperationFailed("the description has no [confirm]")
        await self._confirmation.ask()

    async def close(self) -> None:
        for each in (self._first, *self._also.values()):
            await each.close()
        if self._confirmation is not None:
            await self._confirmation.close()


async def all_of(askers: Iterable[Asker]) -> Sequence[Answer]:
    """The answers of all, asked at once; if one fails, the others are cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.ask()) for each in askers]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


class _Reigns:
    """Counts how often a node began to lead, as far as its answers show it.

    A question without an answer ends a count, since a leadership may have ended and another begun meanwhile. So may
    two between two answers, unseen: a counted reign is contiguous only as far as the node was asked.
    """

    def __init__(self) -> None:
        self._count = 0
        self._leads = False

    def of(self, leading: bool) -> str | None:
        self._count += leading and not self._leads
        self._leads = leading
        return f"{COUNTED_REIGN}{self._count}" if leading else None

    def missed(self) -> None:
        self._leads = False
