"""Carries out a schedule: each fault is begun, verified, and healed, and each of these is in the history.

What is about to be hurt is written down before it is hurt, so a run that dies in between still knows. A fault
that finds no leader to aim at waits for one up to a bound and is then recorded as skipped; one that was not seen
to take effect is recorded as not verified. Neither is ever counted as exercise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from harness.recorder import Recorder
from harness.runtimes.base import Cluster, Effect
from harness.units import MS
from harness.watch import Watch
from nemesis.faults import Plan, fault_to_json, plan
from nemesis.schedules import Schedule, Step, dice
from nemesis.targets import NoLeader

LEADER_WAIT_NS = 2_000 * MS
LOOK_AGAIN_NS = 10 * MS


class Injector:
    """The nemesis of one run. ``told`` is called with what is in force, in words, or None."""

    def __init__(
        self,
        cluster: Cluster,
        recorder: Recorder,
        watch: Watch,
        seed: int,
        told: Callable[[str | None], None],
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._watch = watch
        self._seed = seed
        self._told = told
        self._alarm = cluster.alarm()
        self._ids = itertools.count()

    async def carry_out(self, schedule: Schedule) -> None:
        """Run the whole schedule, whose times count from now; ends with its last window healed."""
        start = self._cluster.now()
        for step in schedule.steps:
            await self._carry_out_step(step, start)
        await self._wait_until(start + schedule.length_ms * MS)

    async def heal(self, heals: list[int] | None = None, links: list[list[str]] | None = None) -> None:
        """Undo everything on every host; with nothing named, whatever there may be."""
        value = {"id": next(self._ids), "heals": heals, "links": links, "nodes": []}
        self._note("heal", "begin", {key: given for key, given in value.items() if given is not None})
        effect = await self._cluster.heal()
        self._note("heal", "done", {"id": value["id"], "nodes": [], **_measured(effect)})
        self._told(None)

    async def _carry_out_step(self, step: Step, start: int) -> None:
        began, ends = start + step.at_ms * MS, start + step.end_ms * MS
        await self._wait_until(began)
        planned = await self._aim(step)
        if isinstance(planned, NoLeader):
            self._skip(step, planned)
            return
        turn_ns = (planned.flap_ms or step.for_ms) * MS
        while (now := self._cluster.now()) < ends:
            await self._hurt_until(planned, min(now + turn_ns, ends))
            await self._wait_until(min(self._cluster.now() + turn_ns, ends))

    async def _aim(self, step: Step) -> Plan | NoLeader:
        give_up = self._cluster.now() + LEADER_WAIT_NS
        while True:
            planned = plan(step.fault, self._watch.view(self._cluster.now()), dice(self._seed, step))
            if not isinstance(planned, NoLeader) or self._cluster.now() >= give_up:
                return planned
            await self._wait_until(self._cluster.now() + LOOK_AGAIN_NS)

    def _skip(self, step: Step, why: NoLeader) -> None:
        fault = fault_to_json(step.fault)
        value: dict[str, Any] = {"id": next(self._ids), "nodes": [], "links": [], "shape": fault.get("shape")}
        skipped = f"{why.words}, and nobody led for {LEADER_WAIT_NS // MS} ms"
        self._note(fault["f"], "begin", value)
        self._note(fault["f"], "done", {**value, "skipped": skipped})

    async def _hurt_until(self, planned: Plan, ends: int) -> None:
        fault = next(self._ids)
        links = planned.links()
        value = {"id": fault, "nodes": list(planned.nodes), "links": links}
        self._note(
            planned.f,
            "begin",
            {**value, "shape": planned.shape, "cell": planned.cell, "words": planned.words},
        )
        self._told(planned.words)
        effect = await self._cluster.inflict(planned)
        self._note(planned.f, "done", {**value, **_measured(effect)})
        await self._wait_until(ends)
        await self.heal([fault], links)

    async def _wait_until(self, at: int) -> None:
        while self._cluster.now() < at:
            await self._alarm.wait_until(at)

    def _note(self, f: str, phase: str, value: dict[str, Any]) -> None:
        fault, rest = value["id"], {key: item for key, item in value.items() if key != "id"}
        self._recorder.note("nemesis", f, None, {"id": fault, "phase": phase, **rest})


def _measured(effect: Effect) -> dict[str, Any]:
    return {
        "verified": effect.verified,
        "in_effect_ms": round(effect.in_effect_ns / MS, 3),
        **({"problems": list(effect.problems)} if effect.problems else {}),
        **effect.facts,
    }
