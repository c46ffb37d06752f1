"""Making the nodes' processes what the plans ask for: dead or alive, paused, frozen or short of processor.

The agents answer when the processes have obeyed, as the host's own process table shows; a node that is started again
is awaited until it answers. One that does not, as its software may refuse the disk it finds, is told of in the history,
and the run goes on without it: what the others do then is what a run is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from splitbrain.nemesis.faults import Durable
from splitbrain.nemesis.plans import Crashed, Harm, Killed, OnNodes, Starved, Stopped
from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import (
    CheckMarker,
    CopyFolder,
    DiskLeft,
    DiskLoss,
    GrowMemory,
    KillMatching,
    KillNode,
    Matched,
    NodeKilled,
    PauseMatching,
    PauseNode,
    Request,
    RestoreDisk,
    ResumeNode,
    TerminateNode,
)
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.runtimes.docker.containers import Containers, Spent
from splitbrain.runtimes.docker.loop_devices import KEEPER

FROZEN_MS = 1.0  # what a node may be said to have run while it was frozen: the kernel's account is a little behind
UNEVEN_MS = 50.0  # what the kernel has handed out to its processors already when a ration begins, and a period's share


class Processes:
    """The nodes' processes, by the hand inside each host and by the engine.

    What is ``wanted`` is asked for anew at every step: starting a node may take seconds, in which other changes are
    made, and none of these is to be undone by what was wanted before.
    """

    def __init__(self, hands: AgentPool, containers: Containers, wanted: Callable[[], State]) -> None:
        self._hands = hands
        self._containers = containers
        self._wanted = wanted
        self._down: set[str] = set()
        self._paused: set[str] = set()
        self._frozen: set[str] = set()
        self._partly_down: set[tuple[str, str]] = set()
        self._partly_paused: set[tuple[str, str]] = set()
        self._to_put_back: set[str] = set()
        self._cut: set[str] = set()  # whose disks were put back, and who have not been started since
        self._per_mille: dict[str, int] = {}
        self._at_freeze: dict[str, asyncio.Future[Spent]] = {}  # there from when a freeze is decided on
        self._at_ration: dict[str, Spent] = {}

    async def make(self, harm: OnNodes | None) -> Verification:
        """Kill, start, pause and let go on. Its nodes go down as ``harm`` has it, and all others by what is theirs."""
        wanted = self._wanted()
        kill, revive = wanted.down - self._down, self._down - wanted.down
        if harm is not None:
            kill &= set(harm.nodes)
        thaw = {node for node in self._frozen if node in kill or node not in wanted.frozen}
        freeze = wanted.frozen - wanted.down - self._frozen
        self._down, self._frozen = (self._down | kill) - revive, set(wanted.frozen - wanted.down)
        freezing = {node: asyncio.get_running_loop().create_future() for node in sorted(freeze)}
        self._at_freeze |= freezing
        self._paused -= kill  # a process started again is neither paused nor frozen
        thawed = await self._look_at_frozen(thaw)
        ended, revived, _ = await asyncio.gather(
            self._end(kill, harm),
            self._revive(revive),
            # A frozen process that is killed dies as soon as it is let go, and runs no more.
            asyncio.gather(*(self._thaw(node) for node in sorted(thaw))),
        )
        renewed = await self._renew(kill)
        alive = self._wanted().paused - self._down
        stop, go = alive - self._paused - self._frozen, self._paused - alive - self._frozen
        self._paused = (self._paused | stop) - go
        await self._hands.ask({node: PauseNode() for node in sorted(stop)})
        ended += await self._make_parts(go)
        for frozen in await asyncio.gather(*(self._freeze(node, done) for node, done in freezing.items())):
            ended += frozen
        return thawed + ended + revived + renewed + await self._ration()

    async def _revive(self, nodes: Iterable[str]) -> Verification:
        seen = Verification()
        for each in await asyncio.gather(*(self._revive_one(node) for node in sorted(nodes))):
            seen += each
        return seen

    async def _revive_one(self, node: str) -> Verification:
        """Start a node again; after a cut of its power also see that what was not flushed is gone."""
        seen = await self._containers.revive(node)
        cut = node in self._cut
        self._cut.discard(node)
        if not cut or seen.problems:
            return seen
        folder = self._hands.data[node]
        assert folder is not None, "only a node with a folder has a disk that was cut"
        told = (await self._hands.ask({node: CheckMarker(folder=folder)}))[node]
        return seen + Verification(problems=(f"{node}, started again: {told.problem}",) if told.problem else ())

    async def _freeze(self, node: str, done: asyncio.Future[Spent]) -> Verification:
        seen = await self._gone(node, "frozen")
        if not seen.problems:
            await self._containers.freeze(node)
        done.set_result(await self._containers.spent(node))
        return seen

    async def _thaw(self, node: str) -> None:
        if await self._containers.ended(node) is None:
            await self._containers.thaw(node)

    async def _gone(self, node: str, wanted: str) -> Verification:
        """The problem of a node that is to be frozen or starved, and has ended in its own way."""
        status = await self._containers.ended(node)
        return Verification(
            problems=() if status is None else (f"{node} was not {wanted}: it ended with status {status}",)
        )

    async def _look_at_frozen(self, nodes: Iterable[str]) -> Verification:
        """What nodes that are about to be let go had of the processors while frozen, which is to be nothing.

        One that another change is just freezing is frozen first.
        """
        seen = Verification()
        for node in sorted(nodes):
            began = await self._at_freeze.pop(node)
            ran = (await self._containers.spent(node)).since(began).cpu_ms
            wrong = (f"{node} ran for {ran:.1f} ms while it was frozen",) if ran > FROZEN_MS else ()
            seen += Verification(problems=wrong, facts={f"ran_ms_{node}": round(ran, 3)})
        return seen

    async def _renew(self, killed: AbstractSet[str]) -> Verification:
        """Start nodes again, as wholes, of which no single process is to be dead any more.

        What was done to single processes of these, and of nodes ``killed`` as wholes, is gone with them.
        """
        unsupported = {node for node, _ in self._wanted().partly_down}
        whole = self._down | self._frozen
        renewed = {node for node, _ in self._partly_down} - unsupported - whole - killed
        await self._kill(renewed, "kept", None, sockets=False)
        seen = await self._revive(renewed)
        gone = renewed | killed
        self._paused -= gone
        self._partly_down = {(node, like) for node, like in self._partly_down if node not in gone}
        self._partly_paused = {(node, like) for node, like in self._partly_paused if node not in gone}
        return seen

    async def _make_parts(self, go: AbstractSet[str]) -> Verification:
        """What is asked of single processes, on nodes that run; of those that are to ``go`` on, all but these do."""
        asleep = self._down | self._frozen
        wanted = self._wanted().partly_paused
        still = {part for part in self._partly_paused if part in wanted or part[0] in asleep}
        waking = go | {node for node, _ in self._partly_paused - still if node not in self._paused}
        self._partly_paused = still
        await self._hands.ask(
            {
                node: ResumeNode(but=tuple(sorted(like for held, like in still if held == node)))
                for node in sorted(waking)
            }
        )
        dying = self._part_of(self._wanted().partly_down - self._partly_down)
        self._partly_down |= set(dying)
        killed = await self._ask_parts({part: KillMatching(pattern=part[1]) for part in dying})
        stopping = self._part_of(self._wanted().partly_paused - self._partly_paused)
        self._partly_paused |= set(stopping)
        return killed + await self._ask_parts({part: PauseMatching(pattern=part[1]) for part in stopping})

    def _part_of(self, parts: AbstractSet[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those on nodes that run."""
        return sorted(part for part in parts if part[0] not in self._down | self._frozen)

    async def _ask_parts(self, parts: Mapping[tuple[str, str], Request[Matched]]) -> Verification:
        """One after another, as patterns may overlap. Which processes it were is told, and when it was none."""
        seen = Verification()
        for (node, like), request in parts.items():
            answer = (await self._hands.ask({node: request}))[node]
            problems = [] if answer.pids else [f"{node} runs no process like {like}"]
            if answer.first and isinstance(request, KillMatching):
                problems.append(f"{node} ends as a whole with its first process, which is like {like}")
            facts = {f"pids_{node}": list(answer.pids), f"others_{node}": answer.others}
            seen += Verification(problems=tuple(problems), facts=facts)
        return seen

    async def _end(self, nodes: Iterable[str], harm: Harm | None) -> Verification:
        """Have the nodes' processes end. What did not go as it should is told."""
        match harm:
            case Stopped():
                ended = await self._hands.ask({node: TerminateNode() for node in sorted(nodes)})
                stubborn = [node for node, answer in ended.items() if not answer.obeyed]
                return Verification(
                    problems=tuple(f"{node} did not end when asked to, and was killed" for node in stubborn)
                )
            case Starved():
                seen = Verification()
                for each in await asyncio.gather(*(self._starve(node) for node in sorted(nodes))):
                    seen += each
                return seen
            case Crashed(state=state):
                answers, seen = await self._kill(nodes, state, None, sockets=True)
                left = [node for node, answer in answers.items() if answer.connections_left]
                return seen + Verification(
                    problems=tuple(f"{node} kept connections that peers may hear end" for node in left)
                )
            case Killed(state=state, files=files):
                _, seen = await self._kill(nodes, state, files, sockets=False)
                return seen
            case _:
                _, seen = await self._kill(nodes, "kept", None, sockets=False)
                return seen

    async def _starve(self, node: str) -> Verification:
        """Have the node grow until the kernel ends it, which both the agent and the engine are to have seen."""
        gone = await self._gone(node, "starved")
        if gone.problems:
            return gone
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

    async def _ration(self) -> Verification:
        """A container keeps its ration while it is down. What a node had of it is told when the ration changes."""
        wanted = self._wanted()
        before, self._per_mille = self._per_mille, dict(wanted.per_mille)
        changed = sorted(
            node
            for node in before.keys() | wanted.per_mille.keys()
            if before.get(node, 0) != wanted.per_mille.get(node, 0)
        )

        async def one(node: str) -> Verification:
            taken = wanted.per_mille.get(node, 0)
            seen = await self._look_at_rationed(node, before.get(node, 0))
            done = await self._containers.ration(node, taken)
            if taken and node not in self._down:
                self._at_ration[node] = await self._containers.spent(node)
            return seen + Verification(problems=() if done else (f"{node} should lack {taken}/1000 of a processor",))

        seen = Verification()
        for each in await asyncio.gather(*(one(node) for node in changed)):
            seen += each
        return seen

    async def _look_at_rationed(self, node: str, taken: int) -> Verification:
        """What a node had of its ration, unless it was down at either end of it or was started anew in between."""
        began = self._at_ration.pop(node, None)
        if began is None or node in self._down:
            return Verification()
        had = (await self._containers.spent(node)).since(began)
        if had.cpu_ms < 0:
            return Verification()
        left = (1_000 - taken) / 1_000
        wrong = (
            (f"{node} had {had.cpu_ms:.0f} ms of a processor in {had.at_ms:.0f} ms, and was to have {left:g} of one",)
            if had.cpu_ms > left * had.at_ms + UNEVEN_MS
            else ()
        )
        facts = {
            f"processor_{node}": round(had.cpu_ms / had.at_ms, 4),
            f"throttled_ms_{node}": round(had.throttled_ms, 1),
        }
        return Verification(problems=wrong, facts=facts)

    async def _kill(
        self, nodes: Iterable[str], state: Durable, files: str | None, sockets: bool
    ) -> tuple[dict[str, NodeKilled], Verification]:
        """Have them end, their disks as ``state`` and ``files`` say. The agents' answers, and what they saw there.

        Software that keeps nothing has nothing to lose.
        """

        def disk(node: str) -> DiskLoss | None:
            folder = self._hands.data[node]
            return None if state == "kept" or folder is None else DiskLoss(folder=folder, left=state, pattern=files)

        asked = {node: KillNode(disk=disk(node), sockets=sockets) for node in sorted(nodes)}
        await asyncio.gather(*(self._containers.started(node) for node in asked))
        answers = await self._hands.ask(asked)
        seen = Verification()
        for node, answer in answers.items():
            if answer.disk is not None:
                wrong = (f"{node}: {answer.disk.problem}",) if answer.disk.problem else ()
                seen += Verification(problems=wrong, facts=_left(node, answer.disk))
            elif files is not None:
                seen += Verification(problems=(f"{node}: it keeps no files, so none like {files}",))
        self._to_put_back |= {
            node for node, answer in answers.items() if answer.disk and answer.disk.cut_ms is not None
        }
        return answers, seen

    async def put_back(self, nodes: Iterable[str]) -> Verification:
        """Have their disks be what a cut of their power has left of them, before anybody starts them again."""
        cut = self._to_put_back & set(nodes)
        self._to_put_back -= cut
        self._cut |= cut
        seen = Verification()
        for each in await asyncio.gather(*(self._put_back(node) for node in sorted(cut))):
            seen += each
        return seen

    async def _put_back(self, node: str) -> Verification:
        told = (await self._hands.ask({KEEPER: RestoreDisk(name=node)}))[KEEPER]
        wrong = (f"{node}: {told.problem}",) if told.problem else ()
        return Verification(problems=wrong, facts={f"files_changed_{node}": told.changed})

    async def keep_disks(self) -> None:
        """Have every host copy its node's durable state, one after another, so that no two stand still at once."""
        for node in self._hands.nodes:
            if (folder := self._hands.data[node]) is not None:
                await self._hands.ask({node: CopyFolder(folder=folder)})


def _left(node: str, disk: DiskLeft) -> dict[str, Any]:
    """What was done to the disk of a node, by names for the history."""
    facts = {"files_changed": disk.changed, "cut_ms": disk.cut_ms}
    return {f"{what}_{node}": figure for what, figure in facts.items() if figure is not None}
