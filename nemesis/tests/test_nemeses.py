"""Named nemeses: schedules that fit, are dealt fairly, and depend on the arguments only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis import plans
from splitbrain.nemesis.faults import (
    CAPABILITY_NAMES,
    FAULTS,
    Bandwidth,
    Capability,
    Corrupt,
    Crash,
    Delay,
    Duplicate,
    FailingFsync,
    Fault,
    Fill,
    Freeze,
    Kill,
    Loss,
    Oom,
    Partition,
    Pause,
    Reorder,
    Skew,
    Slow,
    SlowFsync,
    Stop,
    Throttle,
)
from splitbrain.nemesis.nemeses import NEMESES, ONE_ROUND_MS, SHORTEST_MS, WINDOW_MS, NemesisError, build, needs
from splitbrain.nemesis.plans import Plan, check_aims
from splitbrain.nemesis.schedules import Schedule, fault_windows_per_hour
from splitbrain.nemesis.shapes import SHAPES
from splitbrain.nemesis.strategies import node_names, possible_shapes
from splitbrain.nemesis.targets import View

HOUR_MS = 3_600_000


def shapes_of(schedule: Schedule) -> list[str]:
    return [step.fault.kind for step in schedule.steps]


def deals_fairly(dealt: list[str], kinds: int) -> bool:
    """Every kind once before any comes twice: each hand of ``kinds`` holds no repetition."""
    hands = [dealt[i : i + kinds] for i in range(0, len(dealt), kinds)]
    return all(len(set(hand)) == len(hand) for hand in hands)


def test_none_partition_and_every_shape_and_fault_are_nemeses() -> None:
    assert list(NEMESES)[: 2 + len(SHAPES)] == ["none", "partition", *SHAPES]
    assert {"kill", "amnesia", "torn", "storm", "pause", "loss", "delay", "skew", "all"} <= set(NEMESES)
    assert all(nemesis.name == name and nemesis.help for name, nemesis in NEMESES.items())


def test_none_does_nothing() -> None:
    assert build(["none"], Random(1), 5, 60_000) == Schedule(steps=(), length_ms=60_000)


def test_an_hour_of_partitions_holds_about_380_windows() -> None:
    rates = [fault_windows_per_hour(build(["partition"], Random(seed), 5, HOUR_MS)) for seed in range(5)]
    assert all(370 <= rate <= 390 for rate in rates)


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 9])
def test_the_mix_deals_every_possible_shape_once_before_any_twice(nodes: int) -> None:
    dealt = shapes_of(build(["partition"], Random(nodes), nodes, HOUR_MS))
    possible = possible_shapes(nodes)
    assert set(dealt) == set(possible)
    assert deals_fairly(dealt, len(possible))


def test_independent_draws_would_not_deal_fairly() -> None:
    rng = Random(1)
    assert not deals_fairly([rng.choice(possible_shapes(5)) for _ in range(100)], len(possible_shapes(5)))


def test_hands_are_dealt_in_different_orders() -> None:
    dealt = shapes_of(build(["partition"], Random(1), 5, HOUR_MS))
    kinds = len(SHAPES)
    hands = {tuple(dealt[i : i + kinds]) for i in range(0, 20 * kinds, kinds)}
    assert len(hands) == 20


def test_the_first_fault_of_a_mix_hits_the_leader() -> None:
    first = {shapes_of(build(["partition"], Random(seed), 5, 15_000))[0] for seed in range(60)}
    assert first == {"isolated-leader", "flapping", "leader-deaf", "leader-mute"}


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_shape_under_its_own_name_is_repeated(name: str) -> None:
    schedule = build([name], Random(0), SHAPES[name].min_nodes, 60_000)
    assert set(shapes_of(schedule)) == {name}
    assert len(schedule.steps) >= 5


def test_two_nemeses_are_mixed_evenly() -> None:
    dealt = shapes_of(build(["bridge", "isolated-leader"], Random(3), 5, 200_000))
    assert dealt[0] == "isolated-leader"
    assert deals_fairly(dealt, 2)


def test_a_fault_named_twice_is_dealt_twice_as_often() -> None:
    dealt = shapes_of(build(["bridge", "bridge", "halves"], Random(3), 5, HOUR_MS))
    counts = Counter(dealt[: 3 * (len(dealt) // 3)])
    assert counts["bridge"] == 2 * counts["halves"]


@pytest.mark.parametrize("seed", range(30))
def test_each_nemesis_named_is_dealt_once_before_any_twice(seed: int) -> None:
    steps = build(["kill", "isolated-leader", "pause"], Random(seed), 5, 40_000).steps
    assert len(steps) >= 3
    assert {step.fault.f for step in steps[:3]} == {"kill", "partition", "pause"}
    first = steps[0].fault
    assert isinstance(first, Partition) or first.role in ("leader", "all")


def test_none_adds_no_fault_to_a_mix() -> None:
    assert build(["none", "halves"], Random(3), 5, 60_000) == build(["halves"], Random(3), 5, 60_000)


# Windows.


def test_windows_and_the_quiet_between_them_are_of_the_stated_lengths() -> None:
    schedule = build(["partition"], Random(11), 5, HOUR_MS)
    assert schedule.steps[0].at_ms == 2_000
    assert all(5_000 <= step.for_ms <= 6_500 for step in schedule.steps)
    assert all(3_000 <= b.at_ms - a.end_ms <= 4_500 for a, b in pairwise(schedule.steps))
    assert schedule.length_ms - schedule.steps[-1].end_ms >= 3_000


@given(st.integers(SHORTEST_MS, 3 * ONE_ROUND_MS), st.integers(0, 999))
def test_however_short_a_schedule_has_a_fault_and_quiet_around_it(length_ms: int, seed: int) -> None:
    schedule = build(["partition"], Random(seed), 3, length_ms)
    first, last = schedule.steps[0], schedule.steps[-1]
    assert first.at_ms >= min(2_000, length_ms // 8)
    assert first.for_ms >= min(5_000, length_ms // 3)
    assert schedule.length_ms - last.end_ms >= min(3_000, length_ms // 5)


@given(st.integers(SHORTEST_MS, 2 * ONE_ROUND_MS), st.integers(0, 99))
def test_a_flap_fits_its_window_several_times(length_ms: int, seed: int) -> None:
    for step in build(["flapping"], Random(seed), 3, length_ms).steps:
        assert isinstance(step.fault, Partition)
        assert step.fault.flap_ms is not None
        assert 4 * step.fault.flap_ms <= step.for_ms


# Other faults than partitions.


def faults_of(name: str, seeds: int = 6, can: frozenset[Capability] = frozenset(CAPABILITY_NAMES)) -> list[Fault]:
    return [step.fault for seed in range(seeds) for step in build([name], Random(seed), 5, 300_000, can=can).steps]


@pytest.mark.parametrize(
    ("name", "kind_of", "classes"),
    [
        ("kill", Kill, {"crash"}),
        ("amnesia", Kill, {"state-loss"}),
        ("torn", Kill, {"crash"}),
        ("storm", Kill, {"restart-storm"}),
        ("pause", Pause, {"pause"}),
        ("slow", Slow, {"throttle"}),
        ("loss", Loss, {"loss"}),
        ("delay", Delay, {"loss"}),
        ("duplicate", Duplicate, {"loss"}),
        ("skew", Skew, {"clock-jump"}),
        ("strobe", Skew, {"clock-strobe"}),
        ("rate", Skew, {"clock-rate"}),
        ("jitter", Delay, {"loss"}),
        ("reorder", Reorder, {"loss"}),
        ("corrupt", Corrupt, {"loss"}),
        ("bandwidth", Bandwidth, {"loss"}),
        ("loss-oneway", Loss, {"loss"}),
        ("bursts", Loss, {"loss"}),
        ("crash", Crash, {"crash"}),
        ("stop", Stop, {"crash"}),
        ("oom", Oom, {"crash"}),
        ("disk-full", Fill, {"crash"}),
        ("slow-fsync", SlowFsync, {"throttle"}),
        ("failing-fsync", FailingFsync, {"crash"}),
        ("freeze", Freeze, {"pause"}),
        ("throttle", Throttle, {"throttle"}),
    ],
)
def test_a_nemesis_deals_faults_of_the_class_that_it_is_named_for(name: str, kind_of: type, classes: set[str]) -> None:
    view = View(nodes=tuple(f"n{i}" for i in range(5)), leader="n1")
    dealt = faults_of(name)
    assert all(isinstance(fault, kind_of) for fault in dealt)
    planned = [plans.plan(fault, view, Random(1)) for fault in dealt]
    assert {each.fault_class for each in planned if isinstance(each, Plan)} == classes
    assert len({fault.kind for fault in dealt}) == len(NEMESES[name].deck(5)) or name in ("pause", "freeze")


def test_rejecting_and_payload_partitions_are_dealt_as_such() -> None:
    for name in ("reject", "payload"):
        dealt = faults_of(name)
        assert {fault.how for fault in dealt if isinstance(fault, Partition)} == {name}
        assert len({fault.kind for fault in dealt}) == len(NEMESES[name].deck(5))


def test_a_nemesis_requires_the_capabilities_of_all_its_faults() -> None:
    assert needs(NEMESES["bursts"], 5) == {"loss in bursts"}
    assert needs(NEMESES["payload"], 5) == {"partition", "partition of payload"}
    assert needs(NEMESES["voter"], 5) >= {"kill with state torn", "kill after some effects"}
    assert needs(NEMESES["all"], 5) == needs(NEMESES["none"], 5) == set()


def overlaps(schedule: Schedule) -> int:
    return sum(after.at_ms < before.end_ms for before, after in pairwise(schedule.steps))


def test_faults_of_all_overlap_and_those_of_one_kind_do_not() -> None:
    assert overlaps(build(["all"], Random(2), 5, HOUR_MS)) > 100
    assert overlaps(build(["kill"], Random(2), 5, HOUR_MS)) == 0


def test_all_leaves_out_kinds_in_each_schedule_but_none_in_every_schedule() -> None:
    dealt = [{step.fault.f for step in build(["all"], Random(seed), 5, 60_000).steps} for seed in range(40)]
    by_their_own_names_only = {"dns", "oom", "fill", "slow-fsync", "failing-fsync"}
    every = {fault.f for fault in FAULTS} - by_their_own_names_only
    assert set().union(*dealt) == every
    assert all(len(kinds) < len(every) for kinds in dealt)


def test_all_draws_only_faults_that_the_runtime_supports() -> None:
    can: frozenset[Capability] = frozenset({"partition", "pause"})
    assert {fault.f for fault in faults_of("all", 20, can)} == {"partition", "pause"}
    assert {fault.f for fault in faults_of("kill", 1, can)} == {"kill"}  # asked for by name; to be refused


def test_a_fault_that_waits_for_an_event_keeps_to_its_window() -> None:
    schedule = build(["voter"], Random(1), 5, 120_000)
    waiting = [step for step in schedule.steps if step.when is not None]
    assert {step.when.event for step in waiting if step.when} == {"vote-granted"}
    assert all(3_700 <= step.end_ms - step.at_ms <= 6_500 for step in waiting)
    assert {step.for_ms for step in waiting} == {50}


# The same arguments, the same schedule.


def test_the_seed_decides() -> None:
    assert build(["partition"], Random(5), 5, HOUR_MS) == build(["partition"], Random(5), 5, HOUR_MS)
    assert build(["partition"], Random(5), 5, HOUR_MS) != build(["partition"], Random(6), 5, HOUR_MS)


PROGRAM = """
import hashlib
from random import Random
from splitbrain.nemesis import nemeses, plans, schedules
from splitbrain.nemesis.targets import View
digest = hashlib.sha256()
for n in (3, 4, 5, 7):
    view = View(nodes=tuple(f"n{i}" for i in range(n)), leader="n1", term=2, subject="n2")
    schedule = nemeses.build(["partition", "all"], Random(n), n, 600_000)
    digest.update(schedules.dumps(schedule).encode())
    for step in schedule.steps:
        plan = plans.plan(step.fault, view, schedules.step_rng(n, step))
        digest.update(repr((plan.nodes, plan.recorded_links(), plan.words)).encode())
print(digest.hexdigest(), hash("n1"))
"""


def test_schedules_and_plans_are_the_same_whatever_the_hash_seed() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
    digests, hashes = zip(*runs, strict=True)
    assert len(set(hashes)) == 2  # else the two runs were no different, and the next line says nothing
    assert len(set(digests)) == 1


# Wrong usage.


def test_an_unknown_name_is_refused_with_similar_names_and_all_names() -> None:
    with pytest.raises(
        NemesisError,
        match=r"^expected a nemesis, one of none, partition, .*, got 'partitions'; did you mean partition\?$",
    ):
        build(["partitions"], Random(0), 5, 60_000)
    with pytest.raises(NemesisError, match=r"^expected a nemesis, one of none, .*, got 'foo'$"):
        build(["foo"], Random(0), 5, 60_000)


def test_a_shape_that_needs_more_nodes_is_refused() -> None:
    with pytest.raises(NemesisError, match="the nemesis churn needs at least 5 nodes, not 4"):
        build(["halves", "churn"], Random(0), 4, 60_000)


def test_a_single_node_cannot_be_partitioned() -> None:
    with pytest.raises(NemesisError, match="the nemesis partition needs at least 2 nodes, not 1"):
        build(["partition"], Random(0), 1, 60_000)
    assert not build(["none"], Random(0), 1, 60_000).steps


def test_too_short_a_time_is_refused() -> None:
    with pytest.raises(NemesisError, match="99 ms is too short for a fault; at least 100 ms are needed"):
        build(["halves"], Random(0), 3, 99)


def test_an_empty_list_of_names_is_refused() -> None:
    with pytest.raises(NemesisError, match="name at least one nemesis of: none, partition, "):
        build([], Random(0), 3, 60_000)


def test_a_slower_pace_makes_windows_longer_and_fewer() -> None:
    usual = build(["halves"], Random(0), 5, 120_000)
    slow = build(["halves"], Random(0), 5, 120_000, pace=3.0)
    assert min(step.for_ms for step in slow.steps) >= 3 * WINDOW_MS[0] > max(step.for_ms for step in usual.steps)
    assert len(slow.steps) < len(usual.steps)
    cramped = build(["halves"], Random(0), 5, 20_000, pace=9.0)
    assert len(cramped.steps) == 1  # a schedule too short for it is scaled down to hold one round


def test_faults_of_one_card_differ_in_numbers_only() -> None:
    """By all else a history is searched for the faults of a nemesis."""
    for nemesis in NEMESES.values():
        for card in nemesis.cards:
            figures = [card.fault(Random(seed), 1_000).figures() for seed in range(10)]
            words = [{name: item for name, item in each.items() if isinstance(item, str)} for each in figures]
            assert all(each == words[0] for each in words), nemesis.name


# Every number of machines.


@pytest.mark.parametrize("name", NEMESES)
def test_a_nemesis_deals_only_what_so_many_machines_can_have_or_is_refused(name: str) -> None:
    """A shape or a role that cannot be filled is never dealt: not even an empty minority of two."""
    of_servers = NEMESES[name].among == "servers" or name == "all"
    for nodes, servers in product((3,) if name.startswith("server") else range(2, 8), range(6) if of_servers else (0,)):
        try:
            schedule = build([name], Random(7), nodes, HOUR_MS // 10, servers=servers)
        except NemesisError as refused:
            assert f"{name} needs at least {NEMESES[name].min_nodes} {NEMESES[name].among}" in str(refused)
            assert not NEMESES[name].possible(nodes, servers)
            continue
        of = {"nodes": node_names(nodes), "servers": tuple(f"s{at}" for at in range(1, servers + 1))}
        check_aims(schedule, of["nodes"], of["servers"])
        for step in schedule.steps:
            machines, others = of[step.among], of["servers" if step.among == "nodes" else "nodes"]
            subject = None if step.when is None else machines[0]
            view = View(nodes=machines, leader=machines[-1], subject=subject, others=others, group=step.among)
            plan = plans.plan(step.fault, view, Random(1))
            assert isinstance(plan, Plan), (step, plan)
            assert plan.nodes, step
