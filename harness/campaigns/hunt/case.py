"""A case of a hunt: system, cluster size, seed and schedule, and the promises that its run breaks.

A case is the complete input of a run. It gives the same history and breaks the same promises in any process, on any
machine, and as a run of ``splitbrain replay``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from splitbrain.campaigns.hunt.trace import Trace
from splitbrain.checkers.coverage import PROPERTY as COVERAGE
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import PROPERTIES
from splitbrain.checkers.judgement import Judgement
from splitbrain.checkers.verdict import Outcome
from splitbrain.core.experiment import Experiment, probe_timeout_ms
from splitbrain.core.judging import judge_run
from splitbrain.core.simulate import ColumnsRecorder, simulate
from splitbrain.invariants.accuracy import RunWithTruth, compare
from splitbrain.invariants.events import ElectionRecorder, Violation
from splitbrain.invariants.registry import INVARIANTS, tested, violations
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.sim.ground_truth import TrueReign, overlaps
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.node_class import NodeFailure
from splitbrain.workloads import Kind, Workload

NEMESIS = "hunt"
WHITE_BOX = "white-box"
INSIDE = frozenset(tested.name for tested in PROPERTIES if tested.inside)
VOTE_INVARIANTS = frozenset({"one-vote-a-term", "quorum-behind-win"})
OBSERVE_MS = 100
CONFIRM_MS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """The complete input of a run in simulation."""

    system: str
    nodes: int
    seed: int
    schedule: Schedule
    workload: Kind = "election"

    @property
    def experiment(self) -> Experiment:
        system = find_system(self.system)
        return Experiment(
            system=system,
            nemesis=(NEMESIS,),
            runtime="sim",
            nodes=self.nodes,
            time_limit_s=self.schedule.length_ms / 1000,
            seed=self.seed,
            workload=Workload(
                kind=self.workload,
                observe_period_ms=OBSERVE_MS,
                confirm_period_ms=CONFIRM_MS,
                probe_timeout_ms=probe_timeout_ms(system),
                canary_period_ms=None,
            ),
        )


@dataclass(frozen=True, order=True, slots=True)
class FailureSignature:
    """A broken promise and the kind of evidence for it, both of which shrinking keeps.

    ``guarantee`` is the name of the guarantee, empty for a property without one, or ``white-box`` for one that only a
    simulation can check.
    ``kind`` is the class of the verdict (``proven``, for example), empty where the property has none.
    """

    property: str
    guarantee: str
    kind: str = ""

    def __str__(self) -> str:
        more = [each for each in (self.guarantee, self.kind) if each not in ("", self.property)]
        return f"{self.property} ({', '.join(more)})" if more else self.property


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseRun:
    """The run of a case: its recorded history, the judgement, and the events and reigns inside the nodes.

    ``violations`` are those of invariants of messages, and of a node of a user's class that raised. ``tested`` names
    the properties and invariants that could have been found violated: their promises hold under the faults of the run,
    and the run had the events that they are about. ``complete`` is False if a node of a user's class raised, which
    ends a run.
    """

    case: Case
    history: History
    judgement: Judgement
    trace: Trace
    reigns: tuple[TrueReign, ...]
    simulated_ns: int
    violations: tuple[Violation, ...]
    tested: frozenset[str]
    complete: bool

    @property
    def simulated_s(self) -> float:
        return self.simulated_ns / 1e9

    def overlaps(self) -> tuple[int, int]:
        """The number of pairs of reigns that truly overlapped, and of those that the history proves to have."""
        if not overlaps(self.reigns):
            return 0, 0
        found = compare(RunWithTruth(history=self.history, reigns=self.reigns, zero_ns=START_WITHIN_NS))
        return found.true, len(found.proven)

    def signatures(self, wanted: str | None = None) -> tuple[FailureSignature, ...]:
        """Every broken promise, in a fixed order; with ``wanted`` only those of the properties it selects."""
        found = {
            *signatures_of(self.judgement),
            *(FailureSignature(violation.invariant, WHITE_BOX) for violation in self.violations),
        }
        return tuple(sorted(signature for signature in found if signature.property in meant(wanted)))


def meant(wanted: str | None) -> frozenset[str]:
    """The properties that a name selects.

    ``votes`` selects the invariants of votes, None every property of the judge but ``coverage``, and any other name
    itself.
    """
    match wanted:
        case None:
            return frozenset(tested.name for tested in PROPERTIES) - {COVERAGE}
        case "votes":
            return VOTE_INVARIANTS
        case _:
            return frozenset({wanted})


def needs_white_box(wanted: str | None) -> bool:
    """True if the invariants about messages of known names are wanted, whose recording takes longer."""
    return not meant(wanted).isdisjoint(INVARIANTS.keys())


def signatures_of(judgement: Judgement) -> Iterator[FailureSignature]:
    """The promised guarantees that a judgement found violated, and the violations that need no promise."""
    for judged in judgement.properties:
        for finding in judged.broken:
            guarantee = WHITE_BOX if judged.name in INSIDE else finding.guarantee or ""
            yield FailureSignature(judged.name, guarantee, judged.found.kind or "")


def tested_by(judgement: Judgement) -> frozenset[str]:
    """The properties that were decided, and of which something is guaranteed under the faults of the run, or that need
    no promise."""
    return frozenset(
        judged.name
        for judged in judgement.properties
        if judged.found.outcome is not Outcome.UNKNOWN
        and (not judged.promises or "guaranteed" in judged.promises.values())
    )


def run_case(case: Case, *, white_box: bool = False, wanted: str | None = None) -> CaseRun:
    """Run a case in memory and judge it.

    With ``white_box``, the invariants about messages of known names are checked too. With ``wanted``, only the
    properties it selects are judged. Raises UsageError for an unknown system.
    """
    experiment, recorder, trace = case.experiment, ColumnsRecorder(), Trace()
    recorded = ElectionRecorder() if white_box else Witness()
    raised: tuple[Violation, ...] = ()
    try:
        simulate(experiment, case.schedule, recorder, recorded, trace)
    except NodeFailure as failure:  # the run ends there; a node of our own that raises only dies
        lines = str(failure).splitlines()
        words = ": ".join(dict.fromkeys((lines[0], lines[-1])))
        raised = (Violation("no-node-raises", START_WITHIN_NS + recorder.now(), "", words),)
    now = START_WITHIN_NS + recorder.now()
    history = recorder.history()
    judged = judge_run(history, experiment, only=None if wanted is None else meant(wanted))
    seen = recorded.trace(case.nodes, len(experiment.server_names)) if isinstance(recorded, ElectionRecorder) else None
    return CaseRun(
        case=case,
        history=history,
        judgement=judged.judgement,
        trace=trace,
        reigns=recorded.reigns(now),
        simulated_ns=now,
        violations=(*(() if seen is None else violations(seen)), *raised),
        tested=tested_by(judged.judgement) | (frozenset() if seen is None else tested(seen)),
        complete=not raised,
    )


def broken_promises(
    system: str, schedule: Schedule, *, nodes: int, seed: int, workload: Kind = "election"
) -> frozenset[str]:
    """The names of the promised properties and of the election invariants that a run violates.

    The tests that a hunt generates call this function.
    """
    case = Case(system=system, nodes=nodes, seed=seed, schedule=schedule, workload=workload)
    run = run_case(case, white_box=True)
    broken = {signature.property for signature in signatures_of(run.judgement)}
    return frozenset(broken | {violation.invariant for violation in run.violations})
