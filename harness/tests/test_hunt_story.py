"""The story of a finding states its facts; the generated test fails on the buggy system only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from splitbrain.campaigns.hunt.case import Case, FailureSignature, run_case
from splitbrain.campaigns.hunt.snippet import snippet
from splitbrain.campaigns.hunt.story import story, voted_twice
from splitbrain.campaigns.hunt.trace import ProcessStarted, TraceEvent, Voted
from splitbrain.nemesis.faults import Kill, Partition, Pause
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.triggers import Trigger
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
from splitbrain.units import MS

STALLED = FailureSignature("stall", "availability")


def at(ms: int) -> int:
    return START_WITHIN_NS + ms * MS


def cut(shape: str, for_ms: int) -> Schedule:
    step = Step(at_ms=0, for_ms=for_ms, fault=Partition(shape=shape))
    return Schedule(steps=(step,), length_ms=for_ms + 500)


def deaf(system: str = "broken/never-checks-quorum") -> Case:
    return Case(system=system, nodes=3, seed=0, schedule=cut("leader-deaf", 5_200))


def test_the_story_of_a_deposed_leader_is_about_the_reign_that_was_lost() -> None:
    """The leader led an earlier term too, and stepped down then for another reason."""
    twice = Trigger(event="term-change", count=2, within_ms=700)
    steps = (
        Step(at_ms=205, for_ms=2_700, fault=Partition(shape="leader-mute"), when=twice),
        Step(at_ms=205, for_ms=136, fault=Partition(shape="leader-mute")),
        Step(at_ms=522, for_ms=2_492, fault=Kill(target="leader")),
    )
    case = Case(system="raft-basic", nodes=3, seed=1_650_393_708, schedule=Schedule(steps=steps, length_ms=4_000))
    run = run_case(case)
    (finding,) = run.judgement["stability"].found.findings
    words = story(run, FailureSignature("stability", "stability"))
    assert words.startswith(f"{finding.nodes[0]}, leader in term {finding.facts['terms'][0]} and not affected")


def test_the_story_of_a_raising_node_names_the_exception_and_its_line() -> None:
    pause = Step(at_ms=1_000, for_ms=1_000, fault=Pause(target="follower"))
    schedule = Schedule(steps=(pause,), length_ms=2_500)
    case = Case(system="broken/raises-on-late-answers", nodes=3, seed=1, schedule=schedule)
    line = story(run_case(case, white_box=True), FailureSignature("no-node-raises", "white-box"))
    assert "raised KeyError: " in line and "raises_on_late_answers.py, line " in line
    correct = run_case(replace(case, system="raft"), white_box=True)
    assert correct.violations == ()


def test_two_votes_in_one_term_are_explained_by_the_restart_between_them() -> None:
    events: list[TraceEvent] = [
        Voted(at(100), "n1", 4, "n2"),
        ProcessStarted(at(231), "n1", 2),
        Voted(at(300), "n1", 4, "n3"),
    ]
    assert voted_twice(events) == (
        "n1 voted twice in term 4, for n2 at 0.10 s and for n3 at 0.30 s: it lost its vote in the restart at 0.23 s"
    )


def test_two_votes_without_a_restart_between_them_name_no_restart() -> None:
    events: list[TraceEvent] = [
        ProcessStarted(at(50), "n1", 1),
        Voted(at(100), "n1", 4, "n1"),
        Voted(at(300), "n1", 4, "n3"),
    ]
    assert voted_twice(events) == "n1 voted twice in term 4, for itself at 0.10 s and for n3 at 0.30 s"


def test_votes_for_one_candidate_or_in_two_terms_are_not_reported() -> None:
    events = [Voted(at(1), "n1", 4, "n2"), Voted(at(2), "n1", 4, "n2"), Voted(at(3), "n1", 5, "n3")]
    assert voted_twice(events) is None


def test_the_story_of_a_stall_names_the_fault_in_force() -> None:
    line = story(run_case(deaf()), STALLED)
    assert line.startswith("no working leader from 0.30 s to 5.30 s: no candidacy, ")
    assert line.endswith("while the leader n1 hears no node")


def test_the_story_of_a_stale_leader_names_both_leaders_and_the_fault() -> None:
    found = Case(system="broken/keeps-claiming", nodes=3, seed=1, schedule=cut("isolated-leader", 2_000))
    run = run_case(found, white_box=True)
    lines = [story(run, signature) for signature in run.signatures()]
    assert lines, "the bug was not shown"
    assert all("leaders" in line and "while the leader" in line for line in lines)


def test_a_promise_that_was_not_broken_has_no_story() -> None:
    with pytest.raises(ValueError, match="was not broken"):
        story(run_case(deaf("raft")), STALLED)
    with pytest.raises(ValueError, match="was not broken"):
        story(run_case(deaf("raft"), white_box=True), FailureSignature("one-vote-a-term", "white-box"))


def the_test_in(source: str) -> Callable[[], None]:
    module: dict[str, Any] = {}
    exec(compile(source, "snippet", "exec"), module)
    (test,) = (value for name, value in module.items() if name.startswith("test_"))
    run: Callable[[], None] = test
    return run


def test_the_printed_test_fails_on_the_buggy_node_and_passes_on_the_correct_one() -> None:
    source = snippet(deaf(), STALLED)
    body = [line for line in source.splitlines() if line]
    assert len(body) <= 10
    with pytest.raises(AssertionError):
        the_test_in(source)()
    the_test_in(source.replace("broken/never-checks-quorum", "raft"))()
