"""The combined state of simultaneous plans, independent of their order."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.faults import (
    MILLION,
    Delay,
    Duplicate,
    FailingFsync,
    Fault,
    Kill,
    Loss,
    Partition,
    Pause,
    Skew,
    Slow,
    SlowFsync,
)
from splitbrain.nemesis.partitions import isolate
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.state import Error, Flaws, State, state_of
from splitbrain.nemesis.strategies import faults, node_names
from splitbrain.nemesis.targets import View

NODES = node_names(3)


def planned(fault: Fault, leader: str = "n2") -> Plan:
    made = plan(fault, View(nodes=NODES, leader=leader, subject="n1"), Random(0))
    assert isinstance(made, Plan)
    return made


def test_without_a_plan_every_node_and_link_is_healthy() -> None:
    assert state_of([]) == State()


def test_cuts_unite_and_removing_one_plan_keeps_the_links_of_another() -> None:
    first, second = (planned(Partition(shape="isolated-leader"), leader) for leader in ("n1", "n2"))
    both = state_of([first, second])
    assert both.cut == isolate(NODES, "n1") | isolate(NODES, "n2")
    assert state_of([second]).cut == isolate(NODES, "n2") != both.cut


def test_a_node_is_down_or_paused_for_as_long_as_any_plan_wants_it_so() -> None:
    one, all_of_them = planned(Kill(target="leader")), planned(Kill(target="all"))
    assert state_of([one, all_of_them]).down == {"n1", "n2", "n3"}
    assert state_of([one]).down == {"n2"}
    assert state_of([planned(Pause(target="leader")), one]).paused == {"n2"}


def test_a_part_of_a_node_may_be_down_or_paused_whatever_the_rest_is() -> None:
    killed, paused = planned(Kill(target="leader", process="a*")), planned(Pause(target="leader", process="b"))
    both = state_of([killed, paused, planned(Pause(target="leader"))])
    assert both == State(
        paused=frozenset({"n2"}), partly_down=frozenset({("n2", "a*")}), partly_paused=frozenset({("n2", "b")})
    )
    assert state_of([paused]) == State(partly_paused=frozenset({("n2", "b")}))


def test_probabilities_combine_as_independent_and_delays_add_up() -> None:
    twice = [planned(Loss(percent=50, target="leader")), planned(Loss(percent=50))]
    late = [planned(Delay(ms=5, jitter_ms=1)), planned(Delay(ms=7)), planned(Duplicate(percent=50))]
    flaws = state_of([*twice, *late]).flaws
    assert flaws["n1", "n2"] == Flaws(loss=0.75, duplication=0.5, ms=12, jitter_ms=1)
    assert flaws["n1", "n3"] == Flaws(loss=0.5, duplication=0.5, ms=12, jitter_ms=1)


def test_errors_of_clocks_add_up_each_clock_for_itself() -> None:
    state = state_of(
        [
            planned(Skew(target="leader", offset_ms=500)),
            planned(Skew(target="leader", offset_ms=-200, rate_ppm=3)),
            planned(Skew(target="leader", clock="monotonic", rate_ppm=4)),
        ]
    )
    assert state.errors == {("n2", "wall"): Error(300, 3), ("n2", "monotonic"): Error(0, 4)}
    assert state_of([planned(Slow(target="leader", ms=3)), planned(Slow(target="all", ms=1))]).slow_ms["n2"] == 4


def test_flush_delays_add_up() -> None:
    slow = [planned(SlowFsync(target="leader", ms=20)), planned(SlowFsync(target="all", ms=100))]
    state = state_of([*slow, planned(FailingFsync(target="leader"))])
    assert state.flush_ms == {"n1": 100, "n2": 120, "n3": 100} and state.unflushed == {"n2"}


@given(st.lists(faults(3), max_size=4), st.randoms(use_true_random=False))
def test_the_order_in_which_plans_came_does_not_matter(several: list[Fault], rng: Random) -> None:
    plans = [planned(fault) for fault in several]
    shuffled = rng.sample(plans, len(plans))
    first, second = state_of(plans), state_of(shuffled)
    assert (first.cut, first.down, first.paused, first.errors, first.slow_ms) == (
        second.cut,
        second.down,
        second.paused,
        second.errors,
        second.slow_ms,
    )
    assert first.flaws.keys() == second.flaws.keys()
    assert all(abs(first.flaws[link].loss - second.flaws[link].loss) < 1e-12 for link in first.flaws)


@given(st.lists(st.integers(1 - MILLION, 2 * MILLION), min_size=1, max_size=5))
def test_no_clock_runs_backwards_however_many_slow_it_down(rates: list[int]) -> None:
    """Two faults that each take six tenths of a clock's rate would add up to one that runs backwards."""
    plans = [planned(Skew(target="leader", clock="monotonic", rate_ppm=rate)) for rate in rates]
    (error,) = state_of(plans).errors.values()
    assert error.rate_ppm > -MILLION
    assert error.rate_ppm == max(sum(rates), 1 - MILLION)
