"""Faults: planning on nodes and links, round trip through JSON, and errors for invalid ones."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis import plans
from splitbrain.nemesis.codec import fault_from_json, fault_to_json, trigger_from_json, trigger_to_json
from splitbrain.nemesis.faults import DEFAULT_FLAP_MS, Fault, Kill, Partition, Pause, ScheduleError
from splitbrain.nemesis.partitions import ImpossibleShape, isolate
from splitbrain.nemesis.plans import Plan, windows
from splitbrain.nemesis.strategies import faults, node_names, possible_shapes, triggers, views
from splitbrain.nemesis.targets import NoTarget, View
from splitbrain.nemesis.triggers import Trigger

LED = View(nodes=node_names(3), leader="n2", term=4)


def planned(fault: Fault, view: View = LED) -> Plan:
    result = plans.plan(fault, view, Random(0))
    assert isinstance(result, Plan), result
    return result


def test_a_plan_has_all_data_to_carry_it_out() -> None:
    assert planned(Partition(shape="isolated-leader")) == Plan(
        fault=Partition(shape="isolated-leader"),
        nodes=("n2",),
        links=isolate(LED.nodes, "n2"),
        fault_class="leader-isolated",
        shape="isolated-leader",
        words="the leader n2 is alone: n1 n3 | n2",
    )


def test_the_links_of_a_plan_are_written_from_and_to_in_order() -> None:
    assert planned(Partition(shape="leader-deaf")).recorded_links() == [["n1", "n2"], ["n3", "n2"]]


def test_a_fault_aimed_at_a_leader_is_not_planned_without_one() -> None:
    leaderless = View(nodes=node_names(3), leader=None)
    assert isinstance(plans.plan(Partition(shape="leader-deaf"), leaderless, Random(0)), NoTarget)
    assert planned(Partition(shape="halves"), leaderless).words == "n1 | n2 n3"


def test_a_shape_for_more_nodes_is_refused() -> None:
    with pytest.raises(ImpossibleShape, match="churn needs at least 5 nodes, not 3"):
        plans.plan(Partition(shape="churn"), LED, Random(0))


@given(views(min_nodes=5), st.sampled_from(possible_shapes(5)), st.integers(0, 99))
def test_equal_generators_give_equal_plans_with_nodes_of_the_view_only(view: View, shape: str, seed: int) -> None:
    first, second = (plans.plan(Partition(shape=shape), view, Random(seed)) for _ in range(2))
    assert first == second
    if isinstance(first, Plan):
        assert {node for link in first.recorded_links() for node in link} | set(first.nodes) <= set(view.nodes)
        assert all(sender != receiver for sender, receiver in first.recorded_links())


# Flapping.


def test_a_cut_that_stays_is_one_window() -> None:
    assert windows(planned(Partition(shape="halves")), 5_000) == ((0, 5_000),)


def test_a_cut_that_flaps_begins_with_the_cut_and_ends_with_the_fault() -> None:
    plan = planned(Partition(shape="flapping", flap_ms=200))
    assert windows(plan, 900) == ((0, 200), (400, 600), (800, 900))
    assert plan.words == "the leader n2 is alone: n1 n3 | n2, on and off every 200 ms"


def test_the_flapping_shape_always_flaps_and_others_on_request() -> None:
    assert planned(Partition(shape="flapping")).fault.turn_ms == DEFAULT_FLAP_MS
    assert planned(Partition(shape="halves", flap_ms=80)).fault.turn_ms == 80
    assert planned(Partition(shape="halves")).fault.turn_ms is None


@given(st.integers(1, 50), st.integers(1, 500))
def test_windows_are_in_order_apart_and_within_the_fault(flap_ms: int, for_ms: int) -> None:
    found = windows(planned(Partition(shape="flapping", flap_ms=flap_ms)), for_ms)
    down = [any(start <= ms < end for start, end in found) for ms in range(for_ms)]
    assert down == [(ms // flap_ms) % 2 == 0 for ms in range(for_ms)]
    assert all(0 <= start < end <= for_ms for start, end in found)


# JSON.


def test_a_fault_is_written_with_only_the_keys_it_has() -> None:
    assert fault_to_json(Partition(shape="bridge")) == {"f": "partition", "shape": "bridge"}
    assert fault_to_json(Partition(shape="flapping", flap_ms=250)) == {
        "f": "partition",
        "shape": "flapping",
        "flap_ms": 250,
    }


@given(st.builds(Partition, shape=st.sampled_from(possible_shapes(9)), flap_ms=st.none() | st.integers(1)))
def test_a_fault_survives_a_round_trip_through_json(fault: Partition) -> None:
    assert fault_from_json(fault_to_json(fault)) == fault


@given(faults(5))
def test_every_kind_of_fault_survives_a_round_trip_through_json(fault: Fault) -> None:
    assert fault_from_json(json.loads(json.dumps(fault_to_json(fault)))) == fault


def test_default_values_are_not_written() -> None:
    assert fault_to_json(Kill(target="leader")) == {"f": "kill", "target": "leader"}
    assert fault_to_json(Kill(target="leader", state="lost", after_effects=0)) == {
        "f": "kill",
        "target": "leader",
        "state": "lost",
        "after_effects": 0,
    }


@given(triggers())
def test_a_trigger_survives_a_round_trip_through_json(trigger: Trigger) -> None:
    assert trigger_from_json(json.loads(json.dumps(trigger_to_json(trigger)))) == trigger


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"f": "kill"}, r"^x: expected one of the keys target, nodes, got only f$"),
        ({"f": "kill", "target": "laeder"}, r"^x\.target: expected one of .*, got 'laeder'; did you mean leader\?$"),
        (
            {"f": "kill", "target": "leader", "state": "gone"},
            r"^x\.state: expected one of kept, lost, torn, old, got 'gone'$",
        ),
        (
            {"f": "kill", "target": "leader", "after_effects": -1},
            r"^x\.after_effects: expected a whole number of effects, at least 0, got -1$",
        ),
        ({"f": "loss", "percent": 101}, r"^x\.percent: expected a whole number of percent, 0 to 100, got 101$"),
        ({"f": "loss", "percent": 10, "target": None}, r"^x\.target: expected one of .*, got None$"),
        (
            {"f": "delay", "ms": 1, "jitter_ms": -1},
            r"^x\.jitter_ms: expected a whole number of ms, at least 0, got -1$",
        ),
        ({"f": "duplicate"}, r"^x\.percent: expected this key, got nothing$"),
        ({"f": "pause", "target": "all", "flap_ms": 0}, r"^x\.flap_ms: expected .*, at least 1, got 0$"),
        (
            {"f": "skew", "target": "all", "clock": "monotonic", "offset_ms": -1},
            r"^x\.offset_ms: expected a whole number of ms, at least 0, got -1$",
        ),
        (
            {"f": "skew", "target": "all", "rate_ppm": -1_000_000},
            r"^x\.rate_ppm: expected a whole number of millionths, at least -999999, got -1000000$",
        ),
        ({"f": "slow", "target": "all", "ms": "5"}, r"^x\.ms: expected a whole number of ms, at least 0, got '5'$"),
    ],
)
def test_faults_of_each_kind_are_checked_field_by_field(value: Any, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        fault_from_json(value, where="x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, r"^when\.event: expected this key, got nothing$"),
        ({"event": "new-leder"}, r"^when\.event: expected one of .*, got 'new-leder'; did you mean new-leader\?$"),
        ({"event": "votes"}, r"^when\.event: expected one of .*, got 'votes'; did you mean voted\?$"),
        ({"event": "campaign", "count": 0}, r"^when\.count: expected a whole number of events, at least 1, got 0$"),
        ({"event": "campaign", "within_ms": 0}, r"^when\.within_ms: expected .*, at least 1, got 0$"),
    ],
)
def test_an_invalid_trigger_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        trigger_from_json(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"^x: expected an object with f, got \[\]$"),
        ({}, r"^x\.f: expected this key, got nothing$"),
        ({"f": "partiton"}, r"^x\.f: expected one of partition, .*, got 'partiton'; did you mean partition\?$"),
        ({"f": 3}, r"^x\.f: expected one of partition, .*throttle, got 3$"),
        ({"f": "partition"}, r"^x: expected one of the keys shape, target, nodes, groups, links, got only f$"),
        (
            {"f": "partition", "shape": "isolated-lead"},
            r"^x\.shape: expected one of .*churn, got 'isolated-lead'; did you mean isolated-leader\?$",
        ),
        ({"f": "partition", "shape": ["bridge"]}, r"^x\.shape: expected one of .*, got \['bridge'\]$"),
        (
            {"f": "partition", "shape": "bridge", "flap_ms": 0},
            r"^x\.flap_ms: expected a whole number of ms, at least 1, got 0$",
        ),
        ({"f": "partition", "shape": "bridge", "flap_ms": True}, r"^x\.flap_ms: .*, got True$"),
        ({"f": "partition", "shape": "bridge", "flap_ms": 1.5}, r"^x\.flap_ms: .*, got 1\.5$"),
        (
            {"f": "partition", "shape": "bridge", "flap": 5},
            r"^x\.flap: expected no other keys than f, shape, .*, how, port, got 'flap'; did you mean flap_ms\?$",
        ),
    ],
)
def test_an_invalid_fault_is_refused_with_expected_got_and_where(value: Any, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        fault_from_json(value, where="x")


def test_an_error_keeps_its_parts() -> None:
    with pytest.raises(ScheduleError) as caught:
        Partition(shape="bridge", flap_ms=-1)
    assert (caught.value.where, caught.value.got) == ("flap_ms", "-1")


def test_an_unknown_shape_is_refused_when_the_fault_is_made() -> None:
    with pytest.raises(ScheduleError, match=r"got 'halfs'; did you mean halves\?"):
        Partition(shape="halfs")


@pytest.mark.parametrize("fault", [Kill(target="leader", process="p*"), Pause(target="leader", process="p*")])
def test_single_processes_are_written_down_and_read_back(fault: Kill | Pause) -> None:
    assert fault_to_json(fault) == {"f": fault.f, "target": "leader", "process": "p*"}
    assert fault_from_json(fault_to_json(fault)) == fault


@pytest.mark.parametrize(
    "wrong",
    [
        {"f": "pause", "process": ""},
        {"f": "pause", "process": 7},
        {"f": "kill", "process": "p*", "state": "lost"},
        {"f": "kill", "process": "p*", "after_effects": 1},
    ],
)
def test_invalid_patterns_and_single_processes_that_lose_a_disk_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError, match=r"fault\.process: expected a pattern"):
        fault_from_json({"target": "leader", **wrong})
