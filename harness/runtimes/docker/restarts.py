"""Ending nodes and starting them again, and what their disks then hold.

A node that is started again is awaited until it answers. One that does not, perhaps because its software refuses the
disk it finds, is reported in the history, and the run goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

from splitbrain.nemesis.faults import Durable
from splitbrain.runtimes.docker.agent.messages import (
    CheckMarker,
    CopyFolder,
    DiskLeft,
    DiskLoss,
    GrowMemory,
    KillNode,
    NodeKilled,
    RestoreDisk,
    TerminateNode,
)
from splitbrain.runtimes.docker.agents import AgentPool, Verification, verified
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.loop_devices import KEEPER


class Restarts:
    """The nodes that are ``down``, and those whose disks lost power."""

    def __init__(self, hands: AgentPool, containers: Containers) -> None:
        self._hands = hands
        self._containers = containers
        self.down: set[str] = set()
        self._to_put_back: set[str] = set()
        self._cut: set[str] = set()  # nodes whose disks were put back and which have not been started since

    def decide(self, wanted: Collection[str], only: Collection[str] | None) -> tuple[set[str], set[str]]:
        """The nodes to end and to start, so that those wanted are down; only these nodes are ended, or all if None."""
        end, start = set(wanted) - self.down, self.down - set(wanted)
        if only is not None:
            end &= set(only)
        self.down = (self.down | end) - start
        return end, start

    async def start(self, nodes: Iterable[str]) -> Verification:
        return await verified(self._start(node) for node in sorted(nodes))

    async def _start(self, node: str) -> Verification:
        """Start a node; after a power loss also verify that unflushed data is gone."""
        seen = await self._containers.revive(node)
        cut = node in self._cut
        self._cut.discard(node)
        if not cut or seen.problems:
            return seen
        folder = self._hands.data[node]
        assert folder is not None, "only a node with a disk can lose power"
        answer = (await self._hands.ask({node: CheckMarker(folder=folder)}))[node]
        return seen + Verification(problems=(f"{node}, started again: {answer.problem}",) if answer.problem else ())

    # Ways to end

    async def kill(self, nodes: Iterable[str], state: Durable = "kept", files: str | None = None) -> Verification:
        return (await self._kill(nodes, state, files, sockets=False))[1]

    async def crash(self, nodes: Iterable[str], state: Durable) -> Verification:
        """Kill the nodes and destroy their connections, so that no peer sees one close."""
        answers, seen = await self._kill(nodes, state, None, sockets=True)
        left = [node for node, answer in answers.items() if answer.connections_left]
        return seen + Verification(problems=tuple(f"{node} kept connections that peers may hear end" for node in left))

    async def stop(self, nodes: Iterable[str]) -> Verification:
        self._intend(nodes)
        asked = {node: TerminateNode(signal=self._containers.stop_signal(node)) for node in sorted(nodes)}
        answers = await self._hands.ask(asked)
        stubborn = [node for node, answer in answers.items() if not answer.obeyed]
        return Verification(problems=tuple(f"{node} did not end when asked to, and was killed" for node in stubborn))

    async def starve(self, nodes: Iterable[str]) -> Verification:
        return await verified(self._starve(node) for node in sorted(nodes))

    async def _starve(self, node: str) -> Verification:
        """Have the node grow until the kernel ends it, which both the agent and the engine must have seen."""
        exited = await exit_problem(self._containers, node, "starved")
        if exited.problems:
            return exited
        self._intend([node])
        limit = await self._containers.limit_memory(node)
        answer = (await self._hands.ask({node: GrowMemory(size=limit)}))[node]
        killed = await self._containers.ended_by_kernel(node)
        problems = []
        if answer.problem:
            problems.append(f"{node}: {answer.problem}")
        if not killed:
            problems.append(f"{node} did not end for want of memory, by the kernel's account")
        facts = {f"limit_mb_{node}": round(limit / 1e6, 1), f"oom_killed_{node}": killed}
        return Verification(problems=tuple(problems), facts=facts)

    async def _kill(
        self, nodes: Iterable[str], state: Durable, files: str | None, sockets: bool
    ) -> tuple[dict[str, NodeKilled], Verification]:
        """Kill the nodes and change their disks as ``state`` and ``files`` say; return the agents' answers too.

        Software without durable state has nothing to lose.
        """

        def disk(node: str) -> DiskLoss | None:
            folder = self._hands.data[node]
            return None if state == "kept" or folder is None else DiskLoss(folder=folder, left=state, pattern=files)

        self._intend(nodes)
        asked = {node: KillNode(disk=disk(node), sockets=sockets) for node in sorted(nodes)}
        await asyncio.gather(*(self._containers.started(node) for node in asked))
        answers = await self._hands.ask(asked)
        seen = Verification()
        for node, answer in answers.items():
            if answer.disk is not None:
                wrong = (f"{node}: {answer.disk.problem}",) if answer.disk.problem else ()
                seen += Verification(problems=wrong, facts=_disk_facts(node, answer.disk))
            elif files is not None:
                seen += Verification(problems=(f"{node}: it keeps no files, so none like {files}",))
        self._to_put_back |= {
            node for node, answer in answers.items() if answer.disk and answer.disk.cut_ms is not None
        }
        return answers, seen

    def _intend(self, nodes: Iterable[str]) -> None:
        for node in nodes:
            self._containers.intents.begin(node, "die")

    # Disks

    async def put_back(self, nodes: Iterable[str]) -> Verification:
        """Replace disks that lost power by what was flushed to them, before their nodes start again."""
        cut = self._to_put_back & set(nodes)
        self._to_put_back -= cut
        self._cut |= cut
        return await verified(self._put_back(node) for node in sorted(cut))

    async def _put_back(self, node: str) -> Verification:
        answer = (await self._hands.ask({KEEPER: RestoreDisk(name=node)}))[KEEPER]
        wrong = (f"{node}: {answer.problem}",) if answer.problem else ()
        return Verification(problems=wrong, facts={f"files_changed_{node}": answer.changed})

    async def keep_disks(self) -> None:
        """Copy each node's durable state, one node after another, so that no two stand still at once."""
        for node in self._hands.nodes:
            if (folder := self._hands.data[node]) is not None:
                self._containers.intents.begin(node, "stop")
                await self._hands.ask({node: CopyFolder(folder=folder)})
                self._containers.intents.end(node, "stop")


def _disk_facts(node: str, disk: DiskLeft) -> dict[str, Any]:
    """The changes to the disk of a node, by names with that of the node."""
    facts = {"files_changed": disk.changed, "cut_ms": disk.cut_ms}
    return {f"{name}_{node}": figure for name, figure in facts.items() if figure is not None}


async def exit_problem(containers: Containers, node: str, wanted: str) -> Verification:
    """The problem of a node that is to be frozen or starved and has exited on its own."""
    status = await containers.ended(node)
    return Verification(problems=() if status is None else (f"{node} was not {wanted}: it ended with status {status}",))
