"""Mutant searches: robust bugs are caught, correct systems are not, searches are repeatable, and the table
matches the searches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

import pandas as pd
import pytest

from splitbrain.campaigns import mutants
from splitbrain.campaigns.mutants import Found, Search, Small, Way, frame_of, run, subject, summary, wilson, wrong
from splitbrain.checkers.judge import PROPERTIES
from splitbrain.nemesis import schedules
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.protocol import Effect, Event, Received, Started, Status, TimerFired
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.wall import OnWallClock
from splitbrain.reports.mutants import steps, survival

pytestmark = pytest.mark.simulation

# Caught by every seed of an aimed search, each by another property.
ROBUST = (
    "asks-twice",
    "asks-only-the-highest",
    "believes-old-leader",
    "counts-answers",
    "counts-pre-votes",
    "ignores-heartbeats",
    "keeps-claiming",
    "keeps-old-vote",
    "lives-by-wall-clock",
    "obeys-old-leaders",
    "elects-whenever-asked",
    "ignores-oks",
    "keeps-results",
    "never-tries-again",
    "overlooks-its-own-token",
    "passes-on-lower-names",
    "picks-from-a-partial-list",
    "raises-on-late-answers",
    "remembers-oks",
    "replies-first",
    "resumes-leadership",
)


def found(system: str, seed: int, caught: bool, simulated_s: float, way: Way = "aimed") -> Found:
    return Found(
        system=system,
        of=subject(system).of.name,
        catches=subject(system).catches,
        way=way,
        seed=seed,
        caught=caught,
        cases=2,
        simulated_s=simulated_s,
        cpu_s=0.1,
        first="term-safety" if caught else None,
        first_s=simulated_s if caught else None,
        faults=seed if caught else None,
        case_seed=7 if caught else None,
        schedule=json.dumps({"format": 1, "length_ms": 100, "steps": []}) if caught else None,
    )


CLAIMS = "broken/keeps-claiming"


@pytest.mark.parametrize("name", ROBUST)
def test_a_robust_bug_is_caught_by_its_property(name: str) -> None:
    result = run(Search(system=f"broken/{name}", way="aimed", seed=3, budget_s=40))
    assert result.caught, result
    assert result.simulated_s < 40 and result.faults is not None


@pytest.mark.parametrize("way", mutants.WAYS)
@pytest.mark.parametrize("name", [name for name, it in SYSTEMS.items() if it.simulated and name != "raft-basic"])
def test_nothing_is_found_in_a_correct_system(name: str, way: Way) -> None:
    result = run(Search(system=name, way=way, seed=3, budget_s=40))
    assert not result.caught and result.first is None
    assert result.simulated_s >= 40


def test_nothing_is_found_in_a_correct_system_that_promises_less() -> None:
    bug = subject("raft-basic")
    for trigger in ("counts-answers", "counts-refusals", "forgets-vote", "keeps-old-vote", "resumes-leadership"):
        assert mutants.look(bug, 3, mutants.aimed(BROKEN[f"broken/{trigger}"].steps)).at == {}


def test_a_leader_of_two_out_of_five_is_seen_by_no_other_property_of_recorded_observations() -> None:
    bug = BROKEN["broken/counts-answers"]
    for seed in range(3):
        fired = mutants.look(bug, seed, mutants.aimed(bug.steps)).at.keys()
        assert fired & {each.name for each in PROPERTIES} == {"election-quorum"}


def test_the_same_search_finds_the_same() -> None:
    search = Search(system="broken/counts-refusals", way="swarm", seed=5, budget_s=50)
    first, again = run(search), run(search)
    assert replace(first, cpu_s=0) == replace(again, cpu_s=0)
    assert replace(first, cpu_s=0) != replace(run(replace(search, seed=6)), cpu_s=0)


def test_the_stored_schedule_of_a_search_reproduces_the_run() -> None:
    result = run(Search(system=CLAIMS, way="swarm", seed=1, budget_s=200))
    assert result.schedule is not None and result.case_seed is not None
    schedule = schedules.from_json(json.loads(result.schedule))
    assert len(schedule.steps) == result.faults
    assert "term-safety" in mutants.look(subject(CLAIMS), result.case_seed, schedule).at


def test_every_bug_has_a_trigger_that_is_a_schedule_and_every_correct_system_is_tried_with_some() -> None:
    for bug in BROKEN.values():
        (schedule,) = mutants.aimed_at(bug)
        assert len(schedule.steps) == len(bug.steps)
        assert bool(bug.steps) != bug.trigger.startswith("none")
    for name in (name for name, system in SYSTEMS.items() if system.simulated):
        assert mutants.aimed_at(subject(name))


def test_a_correct_system_is_tried_with_the_triggers_of_all_its_bugs() -> None:
    bugs = [bug for bug in BROKEN.values() if bug.of is SYSTEMS["raft-lease"]]
    assert len(mutants.aimed_at(subject("raft-lease"))) == len(bugs)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"), [(57, 60, 0.86, 0.98), (60, 60, 0.94, 1.0), (0, 20, 0.0, 0.16)]
)
def test_the_interval_is_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=0.005)


def test_of_nothing_tried_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_summary_counts_by_system_and_way() -> None:
    frame = frame_of([found(CLAIMS, 2, True, 4.0), found(CLAIMS, 1, True, 2.0), found(CLAIMS, 3, False, 9.0)])
    assert list(frame["seed"]) == [1, 2, 3]
    (row,) = summary(frame).to_dict("records")
    assert (row["searches"], row["caught"], row["runs"]) == (3, 2, 6)
    assert row["median_simulated_s"] == 3.0 and row["fewest_faults"] == 1 and row["first"] == "term-safety"
    assert list(mutants.smallest(frame)["seed"]) == [1]


def table(*results: Found) -> list[str]:
    return wrong(summary(frame_of(results)))


def test_an_accused_correct_system_is_reported() -> None:
    assert table(found("raft", 1, False, 9.0)) == []
    assert table(found("raft", 1, True, 9.0)) == [
        "raft was accused 1 times, and nothing is wrong with it: it is correct"
    ]


def test_a_bug_that_no_search_caught_is_reported_as_missed() -> None:
    missed = found(CLAIMS, 1, False, 9.0)
    assert table(missed) == ["broken/keeps-claiming was not caught by term-safety"]
    assert table(missed, found(CLAIMS, 1, True, 9.0, "swarm")) == []


def test_a_harmless_mistake_must_not_be_caught() -> None:
    (words,) = table(found("broken/ignores-rounds", 1, True, 9.0))
    assert "nothing is wrong with it" in words


@dataclass
class Clockwork:
    """Records the time of each event that it receives."""

    heard: list[int] = field(default_factory=list)

    def handle(self, event: Event) -> list[Effect]:
        self.heard.append(event.at)
        return []

    def status(self, at: int) -> Status:
        return Status(role="follower", leading=False, leader=None, term=at, reign=None)


def test_a_node_on_the_wall_clock_is_told_the_time_of_day() -> None:
    node = Clockwork()
    wrapped = OnWallClock(node, lambda: 17)
    events: Sequence[Event] = (Started(1), Received(2, "n2", {}), TimerFired(3, "election"))
    for event in events:
        wrapped.handle(event)
    assert node.heard == [17, 17, 17]
    assert wrapped.status(4).term == 17


def test_a_clock_set_back_lengthens_only_a_lease_that_is_counted_by_it() -> None:
    schedule = mutants.aimed(BROKEN["broken/lives-by-wall-clock"].steps)
    assert "exclusivity" in mutants.look(subject("broken/lives-by-wall-clock"), 1, schedule).at
    assert mutants.look(subject("raft-lease"), 1, schedule).at == {}


def test_a_schedule_is_shrunk_to_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "SHRINK_S", inf)
    two = mutants.aimed((*BROKEN[CLAIMS].steps, *BROKEN["broken/resumes-leadership"].steps))
    small = mutants.smaller(Small(system=CLAIMS, nodes=5, seed=1, schedule=two))
    assert len(small.schedule.steps) == 1 and small.nodes == 3


def test_the_curve_rises_by_one_share_a_catch_and_stays_below_one_if_any_was_missed() -> None:
    frame = frame_of([found(CLAIMS, 2, True, 4.0), found(CLAIMS, 1, True, 2.0), found(CLAIMS, 3, False, 9.0)])
    seconds, shares = steps(frame)
    assert seconds[1:] == [2.0, 4.0, 9.0]
    assert shares == [0.0, pytest.approx(1 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3)]


def test_a_bug_that_was_never_caught_has_a_flat_curve() -> None:
    assert steps(frame_of([found(CLAIMS, 1, False, 9.0)]))[1] == [0.0, 0.0]


def test_every_system_has_a_panel() -> None:
    frame = frame_of([found(CLAIMS, 1, True, 2.0), found("raft", 1, False, 9.0)])
    shown = [panel.get_title() for panel in survival(frame).axes if panel.get_visible()]
    assert shown == ["keeps-claiming", "raft"]


def test_the_command_prints_and_stores_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "mutants"
    chosen = ["--only", "broken/asks-twice", "--only", "broken/ignores-rounds"]
    little = ["--seeds", "2", "--budget", "1", "--aimed-budget", "1", "--cores", "1"]
    status = mutants.main([*chosen, *little, "--folder", str(folder)])
    assert status == 0
    out = capsys.readouterr().out
    assert "broken/asks-twice" in out and "message-count" in out and "4-100 %" in out and "% a run" in out
    assert len(pd.read_csv(folder / "searches.csv")) == 8
    assert len(pd.read_csv(folder / "mutants.csv")) == 4
    assert (folder / "mutants.png").stat().st_size > 1_000
    (kept,) = (folder / "schedules").iterdir()
    assert schedules.loads(kept.read_text()).steps == ()


def test_the_command_fails_when_a_bug_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "run_all", lambda todo, cores: [found(CLAIMS, 1, False, 9.0)])
    assert mutants.main(["--only", CLAIMS, "--cores", "1", "--folder", str(tmp_path)]) == 1


def test_a_search_is_the_same_in_another_process() -> None:
    todo = [Search(system="broken/asks-twice", way="aimed", seed=seed, budget_s=1) for seed in (1, 2)]
    here, there = (sorted((each.seed, each.simulated_s) for each in mutants.run_all(todo, cores)) for cores in (1, 2))
    assert here == there
