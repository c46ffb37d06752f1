"""Pausing nodes, and killing or pausing single processes of a node, by signals from the agent on its host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import (
    KillMatching,
    Matched,
    PauseMatching,
    PauseNode,
    Request,
    ResumeNode,
)
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.intents import Intents

Part = tuple[str, str]
"""A node and the pattern of its processes that a fault is limited to."""


class Signals:
    """The nodes that are paused, and those that are partly paused or partly down.

    ``asleep`` returns the nodes that are down or frozen: they handle no signal, and are left alone until they run.
    ``intents`` are told of stops, and before a process is killed, of which the node may end as a whole.
    """

    def __init__(
        self,
        hands: AgentPool,
        wanted: Callable[[], State],
        asleep: Callable[[], AbstractSet[str]],
        intents: Intents,
    ) -> None:
        self._hands = hands
        self._intents = intents
        self._wanted = wanted
        self._asleep = asleep
        self._paused: AbstractSet[str] = frozenset()
        self._partly_down: AbstractSet[Part] = frozenset()
        self._partly_paused: AbstractSet[Part] = frozenset()

    def forget(self, nodes: Collection[str]) -> None:
        """Drop what was done to nodes that are killed: a process started again is not paused."""
        self._paused = {node for node in self._paused if node not in nodes}
        self._partly_down = {part for part in self._partly_down if part[0] not in nodes}
        self._partly_paused = {part for part in self._partly_paused if part[0] not in nodes}
        for node in nodes:
            self._intents.end(node, "stop")

    def to_restart(self) -> set[str]:
        """The nodes that run with a process killed, and of which no process should be down any more."""
        still = {node for node, _ in self._wanted().partly_down}
        return {node for node, _ in self._partly_down} - still - self._asleep()

    async def make(self) -> Verification:
        """Pause and resume, whole nodes first, then single processes."""
        wanted = self._wanted().paused
        stop, go = wanted - self._paused - self._asleep(), self._paused - wanted - self._asleep()
        self._paused = (self._paused | stop) - go
        self._intend(stop)
        await self._hands.ask({node: PauseNode() for node in sorted(stop)})
        await self._resume(go)
        self._partly_down, killing = self._added(self._partly_down, self._wanted().partly_down)
        seen = await self._signal({part: KillMatching(pattern=part[1]) for part in killing})
        self._partly_paused, stopping = self._added(self._partly_paused, self._wanted().partly_paused)
        self._intend({node for node, _ in stopping})
        return seen + await self._signal({part: PauseMatching(pattern=part[1]) for part in stopping})

    async def _resume(self, go: AbstractSet[str]) -> None:
        """Resume nodes, and processes that no fault pauses any more; others of these nodes stay paused."""
        wanted, asleep = self._wanted().partly_paused, self._asleep()
        still = {part for part in self._partly_paused if part in wanted or part[0] in asleep}
        waking = go | {node for node, _ in self._partly_paused - still if node not in self._paused}
        self._partly_paused = still
        still_paused = {node: tuple(sorted(like for held, like in still if held == node)) for node in sorted(waking)}
        await self._hands.ask({node: ResumeNode(but=patterns) for node, patterns in still_paused.items()})
        for node in waking:
            if node not in self._paused and not still_paused[node]:
                self._intents.end(node, "stop")

    def _intend(self, nodes: AbstractSet[str]) -> None:
        for node in nodes:
            self._intents.begin(node, "stop")

    def _added(self, before: AbstractSet[Part], wanted: AbstractSet[Part]) -> tuple[AbstractSet[Part], list[Part]]:
        """Those before and those wanted on nodes that run; and of the latter those that are new."""
        asleep = self._asleep()
        new = sorted(part for part in wanted - before if part[0] not in asleep)
        return before | set(new), new

    async def _signal(self, requests: Mapping[Part, Request[Matched]]) -> Verification:
        """Signal one part after another, as patterns may overlap. The process ids are facts; none is a problem."""
        seen = Verification()
        for (node, like), request in requests.items():
            if isinstance(request, KillMatching):
                self._intents.begin(node, "die")
            answer = (await self._hands.ask({node: request}))[node]
            problems = [] if answer.pids else [f"{node} runs no process like {like}"]
            if answer.first and isinstance(request, KillMatching):
                problems.append(f"{node} ends as a whole with its first process, which is like {like}")
            facts = {f"pids_{node}": list(answer.pids), f"others_{node}": answer.others}
            seen += Verification(problems=tuple(problems), facts=facts)
        return seen
