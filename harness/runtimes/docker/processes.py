"""Making the nodes' processes what the plans ask for: dead or alive, paused, frozen or short of processor.

The agents answer when the processes have obeyed, as the host's own process table shows; a node that is started again
is awaited until it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from harness.runtimes.docker.containers import Containers
from harness.runtimes.docker.hands import Hands, Seen
from nemesis.faults import Durable
from nemesis.plans import Crashed, Harm, Killed, Stopped
from nemesis.state import State


class Processes:
    """The nodes' processes, by the hand inside each host and by the engine."""

    def __init__(self, hands: Hands, containers: Containers) -> None:
        self._hands = hands
        self._containers = containers
        self._down: set[str] = set()
        self._paused: set[str] = set()
        self._frozen: set[str] = set()
        self._per_mille: dict[str, int] = {}

    async def make(self, wanted: State, harm: Harm | None) -> Seen:
        """Kill, start, pause and let go on. Those that go down now do so as ``harm`` has it."""
        kill, revive = wanted.down - self._down, self._down - wanted.down
        thaw = {node for node in self._frozen if node in kill or node not in wanted.frozen}
        freeze = wanted.frozen - wanted.down - self._frozen
        self._down, self._frozen = set(wanted.down), set(wanted.frozen - wanted.down)
        self._paused -= kill  # a process started again is neither paused nor frozen
        ended, _ = await asyncio.gather(
            self._end(kill, harm),
            asyncio.gather(
                # A frozen process that is killed dies as soon as it is let go, and runs no more.
                *(self._containers.thaw(node) for node in sorted(thaw)),
                *(self._containers.revive(node) for node in sorted(revive)),
            ),
        )
        alive = wanted.paused - self._down
        stop, go = alive - self._paused - self._frozen, self._paused - alive - self._frozen
        self._paused = (self._paused | stop) - go
        await asyncio.gather(self._ask("stop", stop), self._ask("go", go))
        await asyncio.gather(*(self._containers.freeze(node) for node in sorted(freeze)))
        return ended + await self._ration(wanted)

    async def _end(self, nodes: Iterable[str], harm: Harm | None) -> Seen:
        """Have the nodes' processes end. What did not go as it should is told."""
        match harm:
            case Stopped():
                answers = await self._ask("end", nodes)
                stubborn = [node for node, answer in answers.items() if not answer["obeyed"]]
                return Seen(problems=tuple(f"{node} did not end when asked to, and was killed" for node in stubborn))
            case Crashed(state=state):
                answers, seen = await self._kill(nodes, state, None, sockets=True)
                left = [node for node, answer in answers.items() if answer["left"]]
                return seen + Seen(problems=tuple(f"{node} kept connections that peers may hear end" for node in left))
            case Killed(state=state, files=files):
                _, seen = await self._kill(nodes, state, files, sockets=False)
                return seen
            case _:
                _, seen = await self._kill(nodes, "kept", None, sockets=False)
                return seen

    async def _ration(self, wanted: State) -> Seen:
        """A container keeps its ration while it is down. What was kept from a node is told when it gets it all back."""
        changed = {
            node: wanted.per_mille.get(node, 0)
            for node in sorted(self._per_mille.keys() | wanted.per_mille.keys())
            if wanted.per_mille.get(node, 0) != self._per_mille.get(node, 0)
        }
        self._per_mille = dict(wanted.per_mille)

        async def one(node: str, per_mille: int) -> Seen:
            done = await self._containers.ration(node, per_mille)
            facts = {}
            if not per_mille and node not in self._down:
                facts = {f"throttled_ms_{node}": round(await self._containers.throttled_ms(node), 1)}
            return Seen(problems=() if done else (f"{node} should lack {per_mille}/1000 of a processor",), facts=facts)

        seen = Seen()
        for each in await asyncio.gather(*(one(*item) for item in changed.items())):
            seen += each
        return seen

    async def _kill(
        self, nodes: Iterable[str], state: Durable, files: str | None, sockets: bool
    ) -> tuple[dict[str, dict[str, Any]], Seen]:
        """Have them end, their disks as ``state`` and ``files`` say. The agents' answers, and what they saw there."""

        def disk(node: str) -> Mapping[str, Any] | None:
            folder = self._hands.data[node]
            return None if state == "kept" else {"folder": folder, "left": state, "pattern": files}

        answers = await self._hands.ask(
            "kill", {node: {"disk": disk(node), "sockets": sockets} for node in sorted(nodes)}
        )
        if state == "kept":
            return answers, Seen()
        wrong = tuple(f"{node}: {answer['wrong']}" for node, answer in answers.items() if answer["wrong"])
        return answers, Seen(
            problems=wrong, facts={f"files_changed_{node}": answer["changed"] for node, answer in answers.items()}
        )

    async def keep_disks(self) -> None:
        """Have every host copy its node's durable state, one after another, so that no two stand still at once."""
        for node in self._hands.nodes:
            await self._hands.ask("keep", {node: {"folder": self._hands.data[node]}})

    async def _ask(self, do: str, nodes: Iterable[str], **arguments: Any) -> dict[str, dict[str, Any]]:
        return await self._hands.ask(do, dict.fromkeys(sorted(nodes), arguments))
