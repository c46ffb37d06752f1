"""The search: a stream of cases fixed by its seed, which finds planted bugs and no others."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    decks,
    hunt,
    rare_sizes_of,
    sizes,
    without,
    workloads_of,
)
from splitbrain.errors import UsageError
from splitbrain.nemesis.nemeses import NEMESES
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.protocol import Effect, Event, Received, Send, Started, Status
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.user_systems.lookup import find_system

pytestmark = pytest.mark.simulation

CALM = Schedule(steps=(), length_ms=1_000)
DEAF = HuntTarget(system="broken/never-checks-quorum", nodes=3)
SCHEDULES = 200
RAISES = "splitbrain.tests.test_hunt_search:Raises"


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


def test_the_hit_is_the_same_on_one_core_and_on_two_and_the_progress_only_grows() -> None:
    """With this seed the hit is in the second batch, which the second core may finish first."""
    progress: list[tuple[int, float]] = []

    def note(result: SearchResult) -> None:
        progress.append((result.cases, result.simulated_s))

    one = hunt(DEAF, seed=4, schedules=SCHEDULES, cores=1, so_far=note)
    two = hunt(DEAF, seed=4, schedules=SCHEDULES, cores=2)
    assert one.hit is not None and one.hit == two.hit
    assert one.cases > BATCH
    assert (one.cases, one.coverage.states) == (two.cases, two.coverage.states)
    assert len(progress) == 2
    assert progress == sorted(progress)
    assert progress[-1] == (one.cases, one.simulated_s)


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


def test_the_sizes_are_the_smallest_possible_an_even_one_and_the_largest() -> None:
    assert sizes(HuntTarget(system="raft", nodes=5)) == [3, 4, 5]
    assert sizes(HuntTarget(system="raft", nodes=3)) == [3]


def test_sizes_have_three_nodes_at_least_and_only_such_as_the_nemeses_can_have() -> None:
    assert sizes(HuntTarget(system=RAISES, nodes=5)) == [3, 4, 5]
    assert sizes(HuntTarget(system=RAISES, nodes=2)) == [2]
    assert sizes(HuntTarget(system="raft", nodes=5, nemeses=("quorum-loss",))) == [4, 5]
    assert sizes(HuntTarget(system="raft", nodes=3, nemeses=("quorum-loss",))) == []
    assert rare_sizes_of(SYSTEMS["bully"]) == (11, 12)


def test_a_nemesis_is_left_out_by_its_name_or_by_a_class_of_its_faults() -> None:
    target = HuntTarget(system="lease", nodes=5)
    assert {"amnesia", "drift", "server-amnesia", "kill"} <= set(decks(target))
    left = set(without(target, ("state-loss", "drift", "server-state-loss")))
    assert left.isdisjoint({"amnesia", "voter-amnesia", "drift", "server-amnesia"}) and "kill" in left


def test_the_workloads_are_those_that_the_promises_concern() -> None:
    assert workloads_of(SYSTEMS["raft-lease"], None) == ("election", "ledger", "lock")
    assert workloads_of(find_system("raft@quorum"), None) == ("election", "ledger")
    assert workloads_of(SYSTEMS["bully-textbook"], "stall") == ("election",)
    assert workloads_of(SYSTEMS["raft"], "fencing") == ("ledger",)
    assert workloads_of(SYSTEMS["raft"], "epoch-safety") == ()


def test_promised_fencing_is_hunted() -> None:
    target = HuntTarget(system="broken/forgets-everything", nodes=3, wanted="fencing", workloads=("ledger",))
    result = hunt(target, seed=7, schedules=SCHEDULES, cores=1)
    assert result.hit is not None and result.hit.case.workload == "ledger"


def test_each_kind_of_find_is_kept_once_when_a_hunt_keeps_going() -> None:
    target = HuntTarget(system="broken/forgets-everything", nodes=3)
    result = hunt(target, seed=1, schedules=25, cores=1, keep_going=True)
    assert result.cases == 25
    assert len(result.hits) > 1
    assert all(each in run_case(hit.case).signatures() for each, hit in result.hits.items())


@pytest.mark.parametrize(("system", "wanted"), [("bully", "vote-safety"), (RAISES, "one-vote-a-term")])
def test_a_case_that_cannot_break_what_is_wanted_does_not_count_as_tested(system: str, wanted: str) -> None:
    run = run_case(Case(system=system, nodes=3, seed=1, schedule=CALM), white_box=True, wanted=wanted)
    assert wanted not in run.tested


def test_what_is_judged_and_promised_counts_as_tested() -> None:
    tested = run_case(Case(system="raft-lease", nodes=3, seed=1, schedule=CALM), white_box=True).tested
    assert {"term-safety", "one-vote-a-term", "confirmed-by-a-majority", "one-leader-at-an-instant"} <= tested
    assert "highest-leads" not in tested and "fencing" not in tested


class Raises:
    """Raises when it hears from another node."""

    def __init__(self, id: str, peers: Sequence[str], rng: Random, boot: str, state: object) -> None:
        self.peers = peers

    def handle(self, event: Event) -> list[Effect]:
        match event:
            case Started():
                return [Send(peer, "hello", {}) for peer in self.peers]
            case Received():
                raise KeyError("who are you?")
        return []

    def status(self, at: int) -> Status:
        return Status(role="none", leading=False, leader=None, term=None, reign=None)


def test_a_node_of_a_users_class_that_raises_is_a_find_and_ends_its_run() -> None:
    result = hunt(HuntTarget(system=RAISES, nodes=3), seed=1, schedules=3, cores=1)
    assert result.hit is not None
    assert result.hit.signature == FailureSignature("no-node-raises", "white-box")
    run = run_case(result.hit.case)
    assert not run.complete
    (violation,) = run.violations
    assert re.match(r".*raised on Received.*: KeyError: 'who are you\?' \(.*\)$", violation.words)


def test_an_unknown_system_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown system"):
        broken_promises("no-such-system", CALM, nodes=3, seed=0)


def test_what_no_simulation_can_do_is_never_dealt() -> None:
    of_nodes = {name for name, nemesis in NEMESES.items() if nemesis.among == "nodes"}
    assert set(decks(HuntTarget(system="raft", nodes=5))) == of_nodes - {"none", "all", "dns"}
