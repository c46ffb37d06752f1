"""The agents of all hosts, asked together; and what was seen when what they did was verified."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it needs the engine's client, which the simulation does without
    from splitbrain.runtimes.docker.channel import AgentChannel


@dataclass(frozen=True, slots=True)
class AgentPool:
    """The hosts by their names in a fixed order, their addresses and agents, and where durable state lies, if any."""

    nodes: Sequence[str]
    addresses: Mapping[str, str]
    agents: Mapping[str, AgentChannel]
    data: Mapping[str, str | None]

    async def ask(self, do: str, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Ask the hosts named, all at once, each with its own arguments; their answers by name."""
        names = list(arguments)
        answers = await asyncio.gather(*(self.agents[name].ask(do, **arguments[name]) for name in names))
        return dict(zip(names, answers, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What differs from what was asked for, one sentence each; and figures for the history."""

    problems: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Verification) -> Verification:
        return Verification(problems=self.problems + other.problems, facts={**self.facts, **other.facts})


async def verified(each: Iterable[Awaitable[Verification]]) -> Verification:
    """Await all of these at once and add up what was seen."""
    return sum(await asyncio.gather(*each), Verification())
