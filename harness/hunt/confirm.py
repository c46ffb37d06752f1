"""Confirming a find: the same schedule on containers, so often, and how many times it shows the same there.

In simulation the seed decides everything; on containers it decides the schedule and the targets, and chance the rest.
So the answer is a share, and a find that never shows on containers is not refuted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import EnvironmentFailure
from harness.experiment import Experiment, Workload
from harness.hunt.case import WHITE_BOX, Case, Charge, charges_of
from harness.run import perform
from harness.runtimes.base import POWERS, Say, lacking
from harness.runtimes.sim.runtime import Silence

RUNTIME = "docker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """``shown`` of ``of`` runs on containers broke the same promise with the same kind of evidence; ``words`` says
    so, or why there was none."""

    shown: int
    of: int
    words: str


def confirm(case: Case, charge: Charge, times: int, store: Path, say: Say) -> Confirmed:
    """Run the case so often on containers, each time with the next seed; every run is stored.

    Raises EnvironmentFailure where there is no engine.
    """
    missing = unable(case, charge)
    if missing is not None:
        return Confirmed(shown=0, of=0, words=missing)
    experiment = on_containers(case)
    shown = 0
    for at in range(times):
        try:
            judged = perform(
                replace(experiment, seed=case.seed + at), case.schedule, store, Silence(), say, strict=False
            )
        except EnvironmentFailure as failure:
            raise EnvironmentFailure(f"{failure}\nconfirmed so far: {shown} of {at}") from failure
        shown += charge in set(charges_of(judged.judgement))
        say(f"on containers: {shown} of {at + 1}")
    return Confirmed(shown=shown, of=times, words=f"on containers: shown in {shown} of {times} runs")


def unable(case: Case, charge: Charge) -> str | None:
    """Why containers cannot show it, in words; None if they can."""
    if charge.guarantee == WHITE_BOX:
        return f"not confirmed: {charge.property} is seen inside the nodes, which containers do not show"
    found = lacking(case.schedule, POWERS[RUNTIME])
    return f"not confirmed: the runtime {RUNTIME} lacks: {', '.join(found)}" if found else None


def on_containers(case: Case) -> Experiment:
    """The experiment of the case, as containers are observed."""
    experiment = case.experiment
    workload = Workload(probe_timeout_ms=experiment.workload.probe_timeout_ms)
    return replace(experiment, runtime=RUNTIME, workload=workload)
