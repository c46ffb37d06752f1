"""The search is a stream of cases fixed by its seed: it finds what is there, and accuses nobody else."""

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


def test_a_planted_bug_is_found_and_what_is_found_is_real() -> None:
    haul = hunt(DEAF, seed=8, schedules=SCHEDULES, cores=1)
    assert haul.hit is not None
    assert haul.hit.signature.property == "stall"
    assert haul.hit.signature in run_case(haul.hit.case).signatures()


def test_the_hit_is_the_same_on_one_core_and_on_two() -> None:
    """With this seed the hit is in the second batch, which the second core may have first."""
    one, two = (hunt(DEAF, seed=4, schedules=SCHEDULES, cores=cores) for cores in (1, 2))
    assert one.hit is not None and one.hit == two.hit
    assert one.cases > BATCH
    assert (one.cases, one.coverage.states) == (two.cases, two.coverage.states)


def test_a_correct_system_is_accused_of_nothing() -> None:
    haul = batch(HuntTarget(system="raft", nodes=3), 5, 0)
    assert haul.hit is None
    assert haul.cases == BATCH
    assert haul.simulated_s > haul.cases
    assert haul.coverage.cases == haul.cases


def test_a_search_whose_time_is_over_has_tried_nothing() -> None:
    assert batch(DEAF, 8, 0, until=0.0).cases == 0
    assert hunt(DEAF, seed=8, seconds=0.0, cores=1).hit is None


def test_a_search_ends_after_as_many_schedules_as_asked_for() -> None:
    """The same ones on any number of cores; the last batch is cut short."""
    found = [hunt(HuntTarget(system="raft", nodes=3), seed=5, schedules=BATCH + 3, cores=cores) for cores in (1, 2)]
    assert [each.cases for each in found] == [BATCH + 3] * 2
    assert found[0].coverage.states == found[1].coverage.states


def test_only_what_is_wanted_is_charged() -> None:
    seen = run_case(Case(system="raft", nodes=3, seed=1, schedule=CALM), white_box=True)
    assert seen.signatures() == seen.signatures("votes") == ()
    assert "votes" not in meant(None)
    assert meant("votes") == {"one-vote-a-term", "quorum-behind-win"}
    assert meant("stall") == {"stall"}


def test_votes_that_do_not_count_are_seen_from_inside_when_they_are_asked_for() -> None:
    """Refusals are counted as votes: a split vote makes two leaders of one term, or one without its quorum."""
    votes = HuntTarget(system="broken/counts-refusals", nodes=3, wanted="votes")
    haul = hunt(votes, seed=1, schedules=SCHEDULES, cores=1)
    assert haul.hit is not None
    assert haul.hit.signature == FailureSignature("quorum-behind-win", "white-box")


def test_what_is_told_while_hunting_only_grows() -> None:
    told: list[tuple[int, float]] = []

    def note(haul: SearchResult) -> None:
        told.append((haul.cases, haul.simulated_s))

    haul = hunt(DEAF, seed=4, schedules=SCHEDULES, cores=1, so_far=note)
    assert len(told) == 2
    assert told == sorted(told)
    assert told[-1] == (haul.cases, haul.simulated_s)


def test_the_sizes_are_the_smallest_possible_an_even_one_and_the_one_asked_for() -> None:
    assert sizes(HuntTarget(system="raft", nodes=5)) == [3, 4, 5]
    assert sizes(HuntTarget(system="raft", nodes=3)) == [3]


def test_an_unknown_system_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match="unknown system"):
        broken_promises("no-such-system", CALM, nodes=3, seed=0)
