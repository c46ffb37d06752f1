"""The search: a stream of cases fixed by its seed, which finds planted bugs and no others."""

from __future__ import annotations

from random import Random

import pytest

from splitbrain.campaigns.hunt.case import Case, FailureSignature, broken_promises, meant, run_case
from splitbrain.campaigns.hunt.search import (
    BATCH,
    Draw,
    HuntTarget,
    SearchResult,
    batch,
    crowded,
    dealt,
    hunt,
    sizes,
)
from splitbrain.errors import UsageError
from splitbrain.nemesis.schedules import Schedule

pytestmark = pytest.mark.simulation

CALM = Schedule(steps=(), length_ms=1_000)
DEAF = HuntTarget(system="broken/never-checks-quorum", nodes=3)
SCHEDULES = 200


@pytest.mark.parametrize("draw", [dealt, crowded])
def test_a_batch_is_the_same_cases_each_time_and_another_seed_gives_others(draw: Draw) -> None:
    def cases(seed: int) -> list[Case]:
        found: list[Case] = []

        def try_(case: Case) -> bool:
            found.append(case)
            return False

        draw(HuntTarget(system="raft", nodes=5), Random(seed), try_)
        return found

    assert cases(1) == cases(1) != cases(2)
    assert {case.nodes for case in cases(1)} == {3, 4, 5}
    assert len({case.seed for case in cases(1)}) > 10


def test_a_planted_bug_is_found_and_its_case_reproduces_it() -> None:
    result = hunt(DEAF, seed=8, schedules=SCHEDULES, cores=1)
    assert result.hit is not None
    assert result.hit.signature.property == "stall"
    assert result.hit.signature in run_case(result.hit.case).signatures()


def test_the_hit_is_the_same_on_one_core_and_on_two() -> None:
    """With this seed the hit is in the second batch, which the second core may finish first."""
    one, two = (hunt(DEAF, seed=4, schedules=SCHEDULES, cores=cores) for cores in (1, 2))
    assert one.hit is not None and one.hit == two.hit
    assert one.cases > BATCH
    assert (one.cases, one.coverage.states) == (two.cases, two.coverage.states)


def test_a_correct_system_has_no_hit() -> None:
    result = batch(HuntTarget(system="raft", nodes=3), 5, 0)
    assert result.hit is None
    assert result.cases == BATCH
    assert result.simulated_s > result.cases
    assert result.coverage.cases == result.cases


def test_a_search_without_time_runs_no_case() -> None:
    assert batch(DEAF, 8, 0, until=0.0).cases == 0
    assert hunt(DEAF, seed=8, seconds=0.0, cores=1).hit is None


def test_a_search_ends_after_as_many_schedules_as_asked_for() -> None:
    """The same ones on any number of cores; the last batch is cut short."""
    found = [hunt(HuntTarget(system="raft", nodes=3), seed=5, schedules=BATCH + 3, cores=cores) for cores in (1, 2)]
    assert [each.cases for each in found] == [BATCH + 3] * 2
    assert found[0].coverage.states == found[1].coverage.states


def test_only_the_wanted_properties_give_signatures() -> None:
    run = run_case(Case(system="raft", nodes=3, seed=1, schedule=CALM), white_box=True)
    assert run.signatures() == run.signatures("votes") == ()
    assert "votes" not in meant(None)
    assert meant("votes") == {"one-vote-a-term", "quorum-behind-win"}
    assert meant("stall") == {"stall"}


def test_a_hunt_for_votes_finds_a_win_without_a_quorum() -> None:
    """Refusals are counted as votes: a split vote makes two leaders of one term, or one without its quorum."""
    votes = HuntTarget(system="broken/counts-refusals", nodes=3, wanted="votes")
    result = hunt(votes, seed=1, schedules=SCHEDULES, cores=1)
    assert result.hit is not None
    assert result.hit.signature == FailureSignature("quorum-behind-win", "white-box")


def test_the_progress_of_a_hunt_only_grows() -> None:
    progress: list[tuple[int, float]] = []

    def note(result: SearchResult) -> None:
        progress.append((result.cases, result.simulated_s))

    result = hunt(DEAF, seed=4, schedules=SCHEDULES, cores=1, so_far=note)
    assert len(progress) == 2
    assert progress == sorted(progress)
    assert progress[-1] == (result.cases, result.simulated_s)


def test_the_sizes_are_the_smallest_possible_an_even_one_and_the_largest() -> None:
    assert sizes(HuntTarget(system="raft", nodes=5)) == [3, 4, 5]
    assert sizes(HuntTarget(system="raft", nodes=3)) == [3]


def test_an_unknown_system_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown system"):
        broken_promises("no-such-system", CALM, nodes=3, seed=0)
