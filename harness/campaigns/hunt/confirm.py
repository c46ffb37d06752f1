"""Confirming a find: the same schedule on containers, so often, and how many times it shows the same there.

In simulation the seed decides everything; on containers it decides the schedule and the targets, and chance the rest.
So the answer is a share, and a find that never shows on containers is not refuted.

A schedule may ask for what containers cannot do, such as to strike at a vote. Then the nearest one that they can do
is looked for, in simulation: it strikes at what observers see instead, or at about the time at which the event came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

from splitbrain.campaigns.hunt.case import WHITE_BOX, Case, FailureSignature, run_case, signatures_of
from splitbrain.campaigns.hunt.shrink import still
from splitbrain.core.experiment import Experiment
from splitbrain.core.run import perform
from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.faults import Fault, ScheduleError
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.targets import Role
from splitbrain.nemesis.triggers import OBSERVED
from splitbrain.runtimes.base import Say
from splitbrain.runtimes.capabilities import CAPABILITIES, Capabilities, unsupported
from splitbrain.units import MS
from splitbrain.workloads import Workload

RUNTIME: Final = "docker"
SECONDS: Final = 20.0  # to look for a schedule that containers can run
SEEDS: Final = 20
LATER_MS: Final = (0, 5, 20, -5, -20)  # of an event's time: until containers have been struck, the event is over
ROLES_OF_A_SUBJECT: Final[tuple[Role, ...]] = ("follower", "leader", "node")


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """``shown`` of ``of`` runs on containers broke the same promise with the same kind of evidence; ``words`` says
    so, or why there was none. ``case`` is what was run, None if nothing was."""

    shown: int
    of: int
    words: str
    case: Case | None

    def as_json(self) -> dict[str, Any]:
        return {"shown": self.shown, "of": self.of, "words": self.words}


def confirm(case: Case, signature: FailureSignature, times: int, store: Path, say: Say) -> Confirmed:
    """Run the case so often on containers, or what comes nearest to it; every run is stored.

    Raises EnvironmentFailure where there is no engine.
    """
    if signature.guarantee == WHITE_BOX:
        words = f"not confirmed: {signature.property} is seen inside the nodes, which containers do not show"
        return Confirmed(shown=0, of=0, words=words, case=None)
    missing = ", ".join(unsupported(case.schedule, CAPABILITIES[RUNTIME]))
    able = nearest(case, signature, CAPABILITIES[RUNTIME])
    if able is None:
        words = f"not confirmed: the runtime {RUNTIME} lacks: {missing}; no schedule near it does without"
        return Confirmed(shown=0, of=0, words=words, case=None)
    instead = f", with what comes nearest to it there (it lacks: {missing})" if missing else ""
    experiment = on_containers(able)
    shown = 0
    for at in range(times):
        try:
            stored = perform(experiment, able.schedule, store, say=say)
        except EnvironmentFailure as failure:
            raise EnvironmentFailure(f"{failure}\nconfirmed so far: {shown} of {at}") from failure
        shown += signature in set(signatures_of(stored.judged.judgement))
        say(f"on containers: {shown} of {at + 1}")
    words = f"on containers: shown in {shown} of {times} runs{instead}"
    return Confirmed(shown=shown, of=times, words=words, case=able)


def on_containers(case: Case) -> Experiment:
    """The experiment of the case, as containers are observed."""
    experiment = case.experiment
    workload = Workload(probe_timeout_ms=experiment.workload.probe_timeout_ms)
    return replace(experiment, runtime=RUNTIME, workload=workload)


# What comes nearest


def nearest(case: Case, signature: FailureSignature, powers: Capabilities, seconds: float = SECONDS) -> Case | None:
    """The case itself if those powers suffice; else the first found that they suffice for and that breaks the same
    promise in simulation, perhaps with another seed. None if there is none within the time."""
    if not unsupported(case.schedule, powers):
        return case
    until = time.monotonic() + seconds
    tried: set[Case] = set()
    for steps in _within(case, powers):
        schedule = _scheduled(steps, case.schedule.length_ms)
        if schedule is None or unsupported(schedule, powers):
            continue
        for seed in (case.seed, *range(SEEDS)):
            other = replace(case, schedule=schedule, seed=seed)
            if time.monotonic() >= until:
                return None
            if other not in tried and still(other, signature):
                return other
            tried.add(other)
    return None


def _within(case: Case, powers: Capabilities) -> Iterator[tuple[Step, ...]]:
    """The steps with each that is beyond these powers put in other ways, in every combination."""
    history = run_case(case).history
    struck = [(str(fault.asked.get("event")), fault.begin // MS) for fault in history.faults]
    return product(*([*_ways(step, powers, struck)] for step in case.schedule.steps))


def _ways(step: Step, powers: Capabilities, struck: Sequence[tuple[str, int]]) -> Iterator[Step]:
    """A step in the ways in which it may be put, its own first; ``struck``: when a fault struck at which event."""
    for fault in _milder(step.fault, powers):
        if step.when is None or step.when.event in powers.triggers:
            yield replace(step, fault=fault)
            continue
        for event in sorted(OBSERVED & powers.triggers):
            yield replace(step, fault=fault, when=replace(step.when, event=event, count=1))
        for aimed in _at_a_role(fault):
            for at_ms in [at for event, at in struck if event == step.when.event]:
                for later in LATER_MS:
                    yield Step(at_ms=max(0, at_ms + later), for_ms=step.for_ms, fault=aimed)


def _milder(fault: Fault, powers: Capabilities) -> Iterator[Fault]:
    """The fault if it is supported, else its milder variants."""
    if powers.faults.issuperset(fault.required()):
        yield fault
    else:
        yield from fault.milder()


def _at_a_role(fault: Fault) -> Iterator[Fault]:
    """The fault without its event's subject, which a step at a time has not."""
    if fault.role == "subject":
        yield from (fault.with_role(role) for role in ROLES_OF_A_SUBJECT)
    else:
        yield fault


def _scheduled(steps: Sequence[Step], length_ms: int) -> Schedule | None:
    try:
        return Schedule(
            steps=tuple(sorted(steps, key=lambda step: step.at_ms)),
            length_ms=max([length_ms, *(step.end_ms + 1 for step in steps)]),
        )
    except ScheduleError:
        return None
