"""Confirm a finding: run its schedule on containers several times, and count the runs that break the same promise.

In simulation the seed decides everything. On containers it decides the schedule and the targets; the rest is chance.
So the result is a share, and a finding that no run on containers shows is not refuted.

A schedule may need a capability that containers lack, such as a fault triggered by a vote. Then a simulation search
looks for the nearest schedule that they support: its fault is triggered by an event that observers see, or at about
the time of the original event.
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
SECONDS: Final = 20.0  # limit of the search for a schedule that containers support
SEEDS: Final = 20
LATER_MS: Final = (
    0,
    5,
    20,
    -5,
    -20,
)  # after the event; on containers a fault takes effect some time after it is triggered
ROLES_OF_A_SUBJECT: Final[tuple[Role, ...]] = ("follower", "leader", "node")


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """The result of a confirmation: ``shown`` of ``of`` runs broke the same promise with the same kind of evidence.

    ``words`` states it, or the reason why nothing was run. ``case`` is the case that was run, if any.
    """

    shown: int
    of: int
    words: str
    case: Case | None

    def as_json(self) -> dict[str, Any]:
        return {"shown": self.shown, "of": self.of, "words": self.words}


def confirm(case: Case, signature: FailureSignature, times: int, store: Path, say: Say) -> Confirmed:
    """Run the case, or the nearest one that containers support, ``times`` times on containers and store every run.

    Raises EnvironmentFailure if there is no engine.
    """
    if signature.guarantee == WHITE_BOX:
        words = (
            f"not confirmed: {signature.property} needs the inner state of the nodes, which containers do not expose"
        )
        return Confirmed(shown=0, of=0, words=words, case=None)
    missing = ", ".join(unsupported(case.schedule, CAPABILITIES[RUNTIME]))
    supported = nearest(case, signature, CAPABILITIES[RUNTIME])
    if supported is None:
        words = (
            f"not confirmed: the runtime {RUNTIME} lacks {missing}; no similar schedule without it breaks the promise"
        )
        return Confirmed(shown=0, of=0, words=words, case=None)
    instead = f", with the nearest supported schedule (the runtime {RUNTIME} lacks {missing})" if missing else ""
    experiment = on_containers(supported)
    shown = 0
    for at in range(times):
        try:
            stored = perform(experiment, supported.schedule, store, say=say)
        except EnvironmentFailure as failure:
            raise EnvironmentFailure(f"{failure}\nconfirmed so far: {shown} of {at}") from failure
        shown += signature in set(signatures_of(stored.judged.judgement))
        say(f"on containers: {shown} of {at + 1}")
    words = f"on containers: shown in {shown} of {times} runs{instead}"
    return Confirmed(shown=shown, of=times, words=words, case=supported)


def on_containers(case: Case) -> Experiment:
    """The experiment of the case, with the observation periods of containers."""
    experiment = case.experiment
    workload = Workload(probe_timeout_ms=experiment.workload.probe_timeout_ms)
    return replace(experiment, runtime=RUNTIME, workload=workload)


# The nearest supported schedule


def nearest(
    case: Case, signature: FailureSignature, capabilities: Capabilities, seconds: float = SECONDS
) -> Case | None:
    """The case itself if these capabilities suffice, else the first similar one that they suffice for.

    It breaks the same promise in simulation, perhaps with another seed. None if none is found within the time.
    """
    if not unsupported(case.schedule, capabilities):
        return case
    until = time.monotonic() + seconds
    tried: set[Case] = set()
    for steps in _alternatives(case, capabilities):
        schedule = _scheduled(steps, case.schedule.length_ms)
        if schedule is None or unsupported(schedule, capabilities):
            continue
        for seed in (case.seed, *range(SEEDS)):
            other = replace(case, schedule=schedule, seed=seed)
            if time.monotonic() >= until:
                return None
            if other not in tried and still(other, signature):
                return other
            tried.add(other)
    return None


def _alternatives(case: Case, capabilities: Capabilities) -> Iterator[tuple[Step, ...]]:
    """Every combination of the steps, with each unsupported step replaced by its variants."""
    history = run_case(case).history
    injected = [(str(fault.asked.get("event")), fault.begin // MS) for fault in history.faults]
    return product(*([*_variants(step, capabilities, injected)] for step in case.schedule.steps))


def _variants(step: Step, capabilities: Capabilities, injected: Sequence[tuple[str, int]]) -> Iterator[Step]:
    """The variants of a step, the step itself first; ``injected`` has (event, ms) of each original fault."""
    for fault in _milder(step.fault, capabilities):
        if step.when is None or step.when.event in capabilities.triggers:
            yield replace(step, fault=fault)
            continue
        for event in sorted(OBSERVED & capabilities.triggers):
            yield replace(step, fault=fault, when=replace(step.when, event=event, count=1))
        for aimed in _at_a_role(fault):
            for at_ms in [at for event, at in injected if event == step.when.event]:
                for later in LATER_MS:
                    yield Step(at_ms=max(0, at_ms + later), for_ms=step.for_ms, fault=aimed)


def _milder(fault: Fault, capabilities: Capabilities) -> Iterator[Fault]:
    """The fault if it is supported, else its milder variants."""
    if capabilities.faults.issuperset(fault.required()):
        yield fault
    else:
        yield from fault.milder()


def _at_a_role(fault: Fault) -> Iterator[Fault]:
    """The fault with a role as its target in place of the subject of an event; a timed step has no subject."""
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
