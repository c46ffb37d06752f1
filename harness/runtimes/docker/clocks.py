"""Making the clocks of the nodes' machines wrong as the plans ask, and verifying that they are.

Verified twice: the agent reads back the offset in each process's memory, and a node that shows its clocks is asked for
them. A node's answer is compared with the agent's clocks, which no fault moves; the controller's clock only measures
the time between the two, so it need not agree with the engine's machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from splitbrain.nemesis.faults import MILLION, ClockName
from splitbrain.nemesis.state import Error, State
from splitbrain.runtimes.docker.agent.messages import ClockReport, ReadClocks, SetClocks
from splitbrain.runtimes.docker.agents import AgentPool, Verification
from splitbrain.units import MS

RIGHT = Error()
TRIES = 3
CLOCK_NS = 1 * MS  # how exactly a clock must be as asked, beyond the uncertainty of asking

Shown = Mapping[str, int]
"""The clocks that a node shows at one instant, each in ns; those that it does not show are missing. ``within`` is
by how much they may be off where it shows no more digits."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The last request to one host: its wall clock's error, and the rate of its monotonic clock in ppm."""

    wall: Error = RIGHT
    monotonic_ppm: int = 0


class Clocks:
    """The clocks of all hosts. ``shows`` asks a node for its own; none when it does not answer."""

    def __init__(self, hands: AgentPool, shows: Callable[[str], Awaitable[Shown]]) -> None:
        self._hands = hands
        self._shows = shows
        self._asked: dict[str, Asked] = {}  # of each host whose clocks were ever wrong

    async def make(self, wanted: State, jumps_ms: Mapping[str, int]) -> None:
        """Set the clocks that are not as wanted, and move the monotonic clocks of these nodes ahead once."""
        requests: dict[str, SetClocks] = {}
        for node in self._hands.nodes:
            wall, rate_ppm = _error(wanted, node, "wall"), _error(wanted, node, "monotonic").rate_ppm
            jump_ms, asked = jumps_ms.get(node, 0), Asked(wall, rate_ppm)
            if jump_ms or asked != self._asked.get(node, Asked()):
                self._asked[node] = asked
                requests[node] = SetClocks(
                    wall_ns=wall.offset_ms * MS,
                    wall_ppm=wall.rate_ppm,
                    jump_ns=jump_ms * MS,
                    monotonic_ppm=rate_ppm,
                )
        await self._hands.ask(requests)

    async def verify(self, wanted: State, nodes: Iterable[str] | None = None) -> Verification:
        """Verify the clocks of these nodes, None: all that were ever wrong. Silent nodes are not asked."""
        silent = wanted.down | wanted.paused | wanted.frozen
        looked_at = sorted(self._asked if nodes is None else self._asked.keys() & set(nodes))
        each = await asyncio.gather(*(self._look(node, node in silent) for node in looked_at))
        facts = {node: seen.facts for node, seen in zip(looked_at, each, strict=True)}
        return Verification(
            problems=tuple(
                f"{node}: {words}" for node, seen in zip(looked_at, each, strict=True) for words in seen.problems
            ),
            facts={"clocks": facts} if facts else {},
        )

    async def lost(self, nodes: Iterable[str]) -> tuple[str, ...]:
        """The clocks that are not as set in the memory of these nodes' processes; the nodes are not asked."""
        reports = await self._hands.ask({node: ReadClocks() for node in sorted(nodes)})
        return tuple(
            f"{node}: {words}"
            for node, found in reports.items()
            for words in (*found.problems, *self._not_as_asked(node, found))
        )

    async def _look(self, node: str, silent: bool) -> Verification:
        seen = Verification()
        for _ in range(TRIES):  # an answer may be long on its way, and a process only just started
            seen = await self._look_once(node, silent)
            if not seen.problems:
                break
        return seen

    async def _look_once(self, node: str, silent: bool) -> Verification:
        began = time.monotonic_ns()
        shown = {} if silent else await self._shows(node)
        found = (await self._hands.ask({node: ReadClocks()}))[node]
        # The node read its clocks in the first part of this time, the agent in the second: half of it lay between, or
        # up to so much more or less.
        apart = within = (time.monotonic_ns() - began) // 2
        facts: dict[str, Any] = {"stopped_ms": round(found.stopped_ns / MS, 3), "new_programs": _reach(found)}
        problems = [*found.problems, *self._not_as_asked(node, found)]
        for clock, state in (("wall", found.wall), ("monotonic", found.monotonic)):
            expected, ppm = state.off_ns, state.ppm
            facts[f"{clock}_ms"], facts[f"{clock}_ppm"] = round(expected / MS, 3), ppm
            if clock in shown:
                off = shown[clock] + apart - state.now_ns
                drifted = apart * ppm // MILLION
                facts[f"{clock}_shown_ms"] = round(off / MS, 3)
                if abs(off - expected + drifted) > CLOCK_NS + within + shown.get("within", 0):
                    problems.append(
                        f"its {clock} clock should be off by {expected / MS:.3f} ms, and shows {off / MS:.3f}"
                    )
        return Verification(problems=tuple(problems), facts=facts)

    def _not_as_asked(self, node: str, found: ClockReport) -> Iterator[str]:
        asked = self._asked[node]
        for clock, figure, had, wanted in (
            ("wall", "set_ns", found.wall.set_ns, asked.wall.offset_ms * MS),
            ("wall", "ppm", found.wall.ppm, asked.wall.rate_ppm),
            ("monotonic", "ppm", found.monotonic.ppm, asked.monotonic_ppm),
        ):
            if had != wanted:
                yield f"its {clock} clock has {figure} {had} where {wanted} was asked for"


def _error(wanted: State, node: str, clock: ClockName) -> Error:
    return wanted.errors.get((node, clock), RIGHT)


def _reach(found: ClockReport) -> str:
    """From when on new programs of the node show the skewed time, in words."""
    if found.late:
        return f"within some 5 ms of their start: {'; '.join(found.late)}"
    return f"from their start, {found.started} so far"
