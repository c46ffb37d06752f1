"""Carries out a schedule: injects, verifies and undoes each fault, and records each of these in the history.

A fault is recorded before it is injected, so the history of a run that dies in between still has it. Every step is a
separate task, so one that is slow, or waits for an event that does not come, delays no other's heal. A fault without
a target waits up to a bound and is then recorded as skipped, as is one without its event; one that was not seen to
take effect is recorded as not verified. None of these counts as exercise. A role is filled by a node that no fault
under way has made faulty in the same way already, unless the step asks for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from splitbrain.core.leader_view import LeaderView
from splitbrain.core.recorder import Recorder
from splitbrain.nemesis.plans import Plan, already_faulty, classed, combined_class, plan, shape_of, windows
from splitbrain.nemesis.schedules import Schedule, Step, step_rng
from splitbrain.nemesis.state import state_of
from splitbrain.nemesis.targets import Group, NoTarget, View
from splitbrain.nemesis.triggers import OBSERVED, Trigger
from splitbrain.runtimes.base import Alarm, Cluster, Effect, Rechecked
from splitbrain.units import MS

LEADER_WAIT_NS = 2_000 * MS
LOOK_AGAIN_NS = 10 * MS


class Injector:
    """The nemesis of one run. ``announce`` is called with the faults in force, in words, or None."""

    def __init__(
        self,
        cluster: Cluster,
        recorder: Recorder,
        watch: LeaderView,
        seed: int,
        announce: Callable[[str | None], None],
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._watch = watch
        self._seed = seed
        self._announce = announce
        self._ids = itertools.count()
        self._in_force: dict[int, Plan] = {}
        self._under_way: list[Plan] = []  # those that flap too, while they do not apply
        self._fallen: list[str] = []  # nodes that were aimed at, the latest last

    async def keep_disks(self, schedule: Schedule) -> None:
        """Copy the disks as they are now, if a fault of the schedule restores them."""
        if any(step.fault.needs_disk_copy for step in schedule.steps):
            await self._cluster.keep_disks()

    async def carry_out(self, schedule: Schedule, start: int) -> None:
        """Run the whole schedule, with times from ``start``; return when its last window is healed."""
        end = self._wait_until(start + schedule.length_ms * MS, self._cluster.alarm())
        await self._cluster.run_all(end, [self._carry_out_step(step, start) for step in schedule.steps])

    async def heal(self) -> None:
        """Undo everything on every host, whatever there may be."""
        await self._undo("heal", {}, self._cluster.heal)
        self._in_force.clear()
        self._announce(None)

    async def _carry_out_step(self, step: Step, start: int) -> None:
        alarm = self._cluster.alarm()
        began = start + step.at_ms * MS
        await self._wait_until(began, alarm)
        subject = None
        if step.when is not None:
            subject = await self._subject(step.when, began + step.when.within_ms * MS, alarm)
            if subject is None:
                within = f"no {step.when.event} number {step.when.count} came within {step.when.within_ms} ms"
                self._skip(step, within)
                return
            began = self._cluster.now()
        planned = await self._aim(step, subject, alarm)
        if isinstance(planned, NoTarget):
            self._skip(step, f"{planned.words} observed for {LEADER_WAIT_NS // MS:,} ms")
            return
        self._fallen = [node for node in self._fallen if node not in planned.nodes] + [*planned.nodes]
        self._under_way.append(planned)
        await self._inject(planned, step.among, began + step.for_ms * MS, self._because(step, subject), alarm)
        self._under_way.remove(planned)

    async def _subject(self, trigger: Trigger, give_up: int, alarm: Alarm) -> str | None:
        """The node of the event that is waited for, or None when it has not come in time."""
        if trigger.event not in OBSERVED:
            return await self._cluster.happens(trigger, give_up)
        events = self._watch.events
        seen, left = len(events), trigger.count
        while True:
            for event, node in itertools.islice(events, seen, None):
                left -= event == trigger.event
                if left == 0:
                    return node
            seen = len(events)
            if self._cluster.now() >= give_up:
                return None
            await self._wait_until(self._cluster.now() + LOOK_AGAIN_NS, alarm)

    async def _aim(self, step: Step, subject: str | None, alarm: Alarm) -> Plan | NoTarget:
        give_up = self._cluster.now() + LEADER_WAIT_NS
        while True:
            planned = plan(step.fault, await self._view(step, subject), step_rng(self._seed, step))
            if not isinstance(planned, NoTarget) or self._cluster.now() >= give_up:
                return planned
            await self._wait_until(self._cluster.now() + LOOK_AGAIN_NS, alarm)

    async def _view(self, step: Step, subject: str | None) -> View:
        """The cluster as observed: a node that has just won leads, whatever others claim; a killed node does not."""
        state = state_of(self._in_force.values())
        seen = await self._seen(step.among)
        seen = replace(seen, cut=state.cut, silent=state.down | state.paused | state.frozen, fallen=tuple(self._fallen))
        if not step.again:
            seen = replace(seen, avoid=already_faulty(step.fault, self._under_way, seen))
        if seen.leader in state.down:
            seen = replace(seen, leader=None, term=None)
        match None if step.when is None else step.when.event:
            case "new-leader":
                return replace(seen, leader=subject, subject=subject)
            case "campaign":
                return replace(seen, candidate=subject, subject=subject)
            case _:
                return replace(seen, subject=subject)

    async def _seen(self, among: Group) -> View:
        """The machines of that group as they are now."""
        nodes, servers = tuple(self._cluster.nodes), tuple(self._cluster.servers)
        if among == "nodes":
            return replace(self._watch.view(self._cluster.now()), others=servers)
        leader = await self._cluster.leading_server()
        return View(nodes=servers, leader=leader, others=nodes, group="servers")

    def _because(self, step: Step, subject: str | None) -> dict[str, Any]:
        return {} if step.when is None else {"event": step.when.event, "subject": subject}

    def _skip(self, step: Step, why: str) -> None:
        shape = shape_of(step.fault, step.among)
        value: dict[str, Any] = {"id": next(self._ids), "nodes": [], "links": [], "shape": shape}
        self._note(step.fault.f, "begin", value)
        self._note(step.fault.f, "done", {**value, "skipped": why})

    async def _inject(self, planned: Plan, among: Group, ends: int, because: dict[str, Any], alarm: Alarm) -> None:
        """Inject and undo, in turns if it flaps; a turn that is over before its time has come is left out.

        Each turn is classed anew: the node that a later one isolates may no longer be the leader."""
        began = self._cluster.now()
        for start_ms, end_ms in windows(planned, max(1, -(-(ends - began) // MS))):
            until = min(began + end_ms * MS, ends)
            await self._wait_until(began + start_ms * MS, alarm)
            if self._cluster.now() < until:
                now_seen = classed(planned, await self._seen(among))
                await self._inject_until(now_seen, among, until, because, alarm)

    async def _inject_until(
        self, planned: Plan, among: Group, until: int, because: dict[str, Any], alarm: Alarm
    ) -> None:
        fault = next(self._ids)
        value = {"id": fault, "nodes": list(planned.nodes), "links": planned.recorded_links()}
        described = {"shape": planned.shape, "class": planned.fault_class, "words": planned.words}
        self._in_force[fault] = planned
        described |= await self._combined([*self._in_force.values()], among)
        self._note(planned.f, "begin", {**value, **described, **planned.fault.figures(), **because})
        self._announce_in_force()
        effect = await self._cluster.inflict(planned)
        self._note(planned.f, "done", {**value, **_measured(effect)})
        await self._wait_until(until, alarm)
        undone = {"heals": [fault], "links": planned.recorded_links()}
        if planned.undo_f != "heal":
            undone["nodes"] = list(planned.nodes)
        undone |= await self._combined([left for key, left in self._in_force.items() if key != fault], among)
        await self._undo(planned.undo_f, undone, lambda: self._cluster.undo(planned))
        self._in_force.pop(fault, None)
        self._announce_in_force()

    async def _combined(self, plans: Sequence[Plan], among: Group) -> dict[str, Any]:
        """The class of these plans' cuts as one, where several make another than each alone."""
        combined = combined_class(plans, await self._seen(among)) if len(plans) > 1 else None
        known = {None, *(each.fault_class for each in plans)}
        return {} if combined in known else {"combined_class": combined}

    async def _undo(self, f: str, value: dict[str, Any], undo: Callable[[], Any]) -> None:
        undone = {"id": next(self._ids), **value}
        undone.setdefault("nodes", [])
        self._note(f, "begin", undone)
        ids = dict(self._in_force)
        effect = await undo()
        seen_again = [self._seen_again(ids, plan, rechecked) for plan, rechecked in effect.rechecked]
        again = {"seen_again": seen_again} if seen_again else {}
        self._note(f, "done", {"id": undone["id"], "nodes": undone["nodes"], **_measured(effect), **again})

    def _seen_again(self, ids: dict[int, Plan], plan: Plan, rechecked: Rechecked) -> dict[str, Any]:
        """How often a fault was verified again, the time of the history (ns) at which it was last, and its loss."""
        fault = next(key for key, each in ids.items() if each is plan)
        del ids[fault]
        ago = None if rechecked.last is None else self._cluster.now() - rechecked.last
        return {
            "id": fault,
            "times": rechecked.times,
            "last": None if ago is None else max(0, self._recorder.now() - ago),
            **({"lost": list(rechecked.lost)} if rechecked.lost else {}),
        }

    def _announce_in_force(self) -> None:
        self._announce("; ".join(planned.words for planned in self._in_force.values()) or None)

    async def _wait_until(self, at: int, alarm: Alarm) -> None:
        while self._cluster.now() < at:
            await alarm.wait_until(at)

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
