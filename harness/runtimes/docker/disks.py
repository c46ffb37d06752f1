"""Making the nodes' disks full, slow to flush or failing to flush, and verifying that they are.

For a disk that can be full, a node's data folder is a separate volume of fixed size, which its host mounts too: the
agent takes all its free space. The kernel asks the agent before each flush, which delays or refuses it. Software that
exited meanwhile is restarted when its disk works, as an operator would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import FillDisk, FlushReport, FreeDisk, SetFlushes
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.containers import Containers


class Flushing(NamedTuple):
    """How the flushes of one node go."""

    ms: int = 0
    fail: bool = False


CALM = Flushing()


class Disks:
    """The disks of all hosts. ``wanted`` is asked anew at every step, as changes may overlap."""

    def __init__(self, hands: AgentPool, containers: Containers, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._containers = containers
        self._wanted = wanted
        self._full: set[str] = set()
        self._flushing: dict[str, Flushing] = {}  # of nodes with slow or failing flushes

    async def make(self) -> Verification:
        wanted = self._wanted()
        before, self._flushing = self._flushing, _flushing(wanted)
        fill, free = wanted.full - self._full, self._full - wanted.full
        self._full = set(wanted.full)
        seen = await self._free(free) + await self._fill(fill) + await self._flush(before)
        return seen + await self._revive(free | {node for node, how in before.items() if how.fail})

    async def _fill(self, nodes: Iterable[str]) -> Verification:
        having = self._having(nodes)
        answers = await self._hands.ask({node: FillDisk() for node in having})
        wrong = [f"on {node} {answer.left} bytes are left" for node, answer in answers.items() if answer.left]
        facts = {f"filled_mb_{node}": round(answer.taken / 1e6, 1) for node, answer in answers.items()}
        return self._lacking(nodes, "it has no disk to be full") + Verification(problems=tuple(wrong), facts=facts)

    async def _free(self, nodes: Iterable[str]) -> Verification:
        answers = await self._hands.ask({node: FreeDisk() for node in self._having(nodes)})
        return Verification(
            problems=tuple(f"{node} has no room" for node, answer in answers.items() if not answer.left)
        )

    async def _flush(self, before: dict[str, Flushing]) -> Verification:
        """Change how flushes go where that is not as wanted; report the flushes until then."""
        now = self._flushing
        changed = {node for node in before.keys() | now.keys() if before.get(node, CALM) != now.get(node, CALM)}
        seen = self._lacking(changed & now.keys(), "it never flushes")
        how = {node: now.get(node, CALM) for node in self._having(changed)}
        asked = {node: SetFlushes(ms=each.ms, fail=each.fail) for node, each in how.items()}
        for node, answer in (await self._hands.ask(asked)).items():
            wrong = [f"{node}: {words}" for words in answer.problems]
            if node in now and not answer.processes and node not in self._wanted().down:
                wrong.append(f"{node}: it has no process that could flush")
            seen += Verification(problems=tuple(wrong), facts=_flush_facts(node, answer) if node in before else {})
        return seen

    def _having(self, nodes: Iterable[str]) -> list[str]:
        """Those with a disk."""
        return sorted(node for node in nodes if self._hands.data[node] is not None)

    def _lacking(self, nodes: Iterable[str], so: str) -> Verification:
        """The problem of nodes without durable state that should have a faulty disk."""
        without = sorted(node for node in nodes if self._hands.data[node] is None)
        return Verification(problems=tuple(f"{node} keeps nothing, so {so}" for node in without))

    async def _revive(self, nodes: Iterable[str]) -> Verification:
        seen = Verification()
        for node in self._having(nodes):
            if node in self._full or self._flushing.get(node, CALM).fail:
                continue
            status = await self._containers.ended(node)
            if status is not None and node not in self._wanted().down:
                seen += Verification(facts={f"ended_{node}": status}) + await self._containers.revive(node)
        return seen


def _flushing(wanted: State) -> dict[str, Flushing]:
    faulty = wanted.unflushed | wanted.flush_ms.keys()
    return {node: Flushing(wanted.flush_ms.get(node, 0), node in wanted.unflushed) for node in sorted(faulty)}


def _flush_facts(node: str, answer: FlushReport) -> dict[str, Any]:
    """How many flushes were delayed, for how long, and how many were refused, by names with that of the node."""
    facts = {"held": answer.held, "took_ms": answer.took_ms, "most_ms": answer.most_ms, "refused": answer.refused}
    return {f"fsync_{name}_{node}": figure for name, figure in facts.items() if figure is not None}
