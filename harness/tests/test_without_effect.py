"""Nemeses that were asked for and had no effect: named in the verdict, which is then no pass."""

from __future__ import annotations

import pytest

from splitbrain.checkers.verdict import Outcome
from splitbrain.core.judging import judge_run, without_effect
from splitbrain.nemesis.nemeses import NEMESES, needs
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.capabilities import CAPABILITIES
from splitbrain.user_systems.judged_run import JudgedRun
from splitbrain.user_systems.runs import run

THREE = "kill,isolated-leader,pause"
SIMULATED = [
    name
    for name, nemesis in NEMESES.items()
    if nemesis.among == "nodes" and name != "none" and needs(nemesis, 5) <= CAPABILITIES["sim"].faults
]


def missing(trial: JudgedRun) -> tuple[str, ...]:
    return without_effect(trial.experiment.nemesis, trial.history, trial.experiment.bounds)


def test_of_three_nemeses_each_takes_effect_within_40_seconds() -> None:
    trial = run("raft", nemesis=THREE, seconds=40, seed=1)
    assert missing(trial) == ()
    assert trial.judgement["coverage"].outcome is Outcome.VALID


def test_nemeses_for_which_there_was_no_time_are_named_and_the_run_is_unknown() -> None:
    trial = run("raft", nemesis=THREE, seconds=15, seed=1)
    assert len(missing(trial)) == 2
    coverage = trial.judgement["coverage"]
    assert (coverage.outcome, trial.verdict) == (Outcome.UNKNOWN, "unknown")
    assert f"asked for, but without effect: {' and '.join(missing(trial))}" in coverage.words


def test_a_nemesis_without_faults_is_never_missing() -> None:
    trial = run("raft", nemesis="none,isolated-leader", seconds=15, seed=1)
    assert (missing(trial), trial.verdict) == ((), "valid")


@pytest.mark.simulation
@pytest.mark.parametrize("name", SIMULATED)
def test_the_faults_of_every_nemesis_are_recognised_in_a_history(name: str) -> None:
    trial = run("raft", nemesis=name, seconds=15, seed=2)
    assert missing(trial) == ()


def test_faults_of_another_nemesis_are_not_mistaken_for_it() -> None:
    trial = run("raft", nemesis="kill", seconds=30, seed=2)
    others = ("pause", "amnesia", "storm", "torn", "isolated-leader", "reject", "skew", "strobe", "rate")
    assert without_effect(others, trial.history, trial.experiment.bounds) == others


def test_a_schedule_that_was_given_asks_for_no_nemesis() -> None:
    trial = run("raft", schedule=Schedule(steps=(), length_ms=5_000), seed=2)
    assert missing(trial) == judge_run(trial.history, trial.experiment).contract.bounds.without_effect == ()
