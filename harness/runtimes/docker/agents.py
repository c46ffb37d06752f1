"""The agents of all hosts, and the outcome of verifying what they did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from splitbrain.runtimes.docker.agent.messages import Request

if TYPE_CHECKING:  # it needs the engine's client, which the simulation does without
    from splitbrain.runtimes.docker.channel import AgentChannel

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class AgentPool:
    """The hosts in a fixed order, their addresses and agents by name, and the folder of durable state, if any."""

    nodes: Sequence[str]
    addresses: Mapping[str, str]
    agents: Mapping[str, AgentChannel]
    data: Mapping[str, str | None]

    async def ask(self, requests: Mapping[str, Request[R]]) -> dict[str, R]:
        """Send each host its request, all concurrently, and return the replies by host."""
        replies = await asyncio.gather(*(self.agents[name].ask(request) for name, request in requests.items()))
        return dict(zip(requests, replies, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """Differences from what was requested, one sentence each, and figures for the history."""

    problems: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Verification) -> Verification:
        return Verification(problems=self.problems + other.problems, facts={**self.facts, **other.facts})


async def verified(each: Iterable[Awaitable[Verification]]) -> Verification:
    """Await all of these at once and add up what was seen."""
    return sum(await asyncio.gather(*each), Verification())
