"""Faults aimed at nodes, groups and links by their names: in JSON, in plans, and on clusters that lack the names."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from splitbrain.nemesis import plans
from splitbrain.nemesis.codec import fault_from_json, fault_to_json
from splitbrain.nemesis.faults import Fault, Kill, Loss, Partition, Pause, ScheduleError
from splitbrain.nemesis.partitions import both_ways, split
from splitbrain.nemesis.plans import Plan, already_faulty, check_aims
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.strategies import node_names
from splitbrain.nemesis.targets import Groups, Links, Named, NoTarget, OfRole, View

LED = View(nodes=node_names(5), leader="n2", term=4)
GROUPS = [["n1", "n2", "n5"], ["n3", "n4"]]


def planned(fault: Fault, view: View = LED) -> Plan:
    found = plans.plan(fault, view, Random(0))
    assert isinstance(found, Plan), found
    return found


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ({"f": "kill", "nodes": ["n3"]}, Kill(target=Named(("n3",)))),
        ({"f": "loss", "percent": 10, "nodes": ["n3"]}, Loss(percent=10, target=Named(("n3",)))),
        ({"f": "loss", "percent": 10, "links": [["n1", "n2"]]}, Loss(percent=10, target=Links((("n1", "n2"),)))),
        ({"f": "partition", "nodes": ["n3", "n4"]}, Partition(shape=Named(("n3", "n4")))),
        ({"f": "partition", "target": "candidate"}, Partition(shape=OfRole("candidate"))),
        ({"f": "partition", "groups": GROUPS}, Partition(shape=Groups((("n1", "n2", "n5"), ("n3", "n4"))))),
        ({"f": "partition", "links": [["n1", "n2"]], "how": "reject"},
         Partition(shape=Links((("n1", "n2"),)), how="reject")),
    ],
)  # fmt: skip
def test_names_are_written_under_keys_of_their_own(written: Any, fault: Fault) -> None:
    assert fault_from_json(written) == fault
    assert json.loads(json.dumps(fault_to_json(fault))) == written


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"f": "kill", "nodes": []}, r"^x\.nodes: expected a list of names, each once, got \[\]$"),
        ({"f": "kill", "nodes": "n3"}, r"^x\.nodes: expected a list of names, each once, got 'n3'$"),
        ({"f": "kill", "nodes": ["n3", "n3"]}, r"^x\.nodes: .*, each once, got \['n3', 'n3'\]$"),
        ({"f": "kill", "nodes": [3]}, r"^x\.nodes: .*, got \[3\]$"),
        (
            {"f": "kill", "nodes": ["n3"], "target": "all"},
            r"^x\.nodes: expected only one of target and nodes, got both$",
        ),
        ({"f": "kill", "groups": GROUPS}, r"^x: expected one of the keys target, nodes, got only f, groups$"),
        ({"f": "kill", "target": "n3"}, r"got 'n3'; nodes by name are written \"nodes\": \[\"n3\"\]$"),
        ({"f": "partition", "groups": [["n1"]]}, r"^x\.groups: expected a list of two groups or more, .*, got"),
        (
            {"f": "partition", "groups": [["n1"], []]},
            r"^x\.groups\[1\]: expected a list of names, each once, got \[\]$",
        ),
        ({"f": "partition", "groups": [["n1"], ["n1"]]}, r"^x\.groups: .*, each once, got \['n1', 'n1'\]$"),
        ({"f": "partition", "links": [["n1"]]}, r"^x\.links\[0\]: expected a link of two names, from and to, got"),
        (
            {"f": "partition", "links": [["n1", "n1"]]},
            r"^x\.links\[0\]: expected a link of two names, from and to, got",
        ),
        ({"f": "partition", "links": []}, r"^x\.links: expected a list of links, such as .*, got \(\)$"),
        ({"f": "partition", "target": "boss"}, r"^x\.target: expected one of follower, .*, got 'boss'; nodes by name"),
        ({"f": "partition", "shape": "n1,n2|n3"}, r'; groups are written "groups": \[\["n1", "n2"\], \["n3"\]\]$'),
        ({"f": "loss", "percent": 1, "links": [["n1", "n2"]], "way": "in"}, r"^x\.way: expected no way beside links"),
    ],
)
def test_names_are_checked_with_the_place(value: Any, message: str) -> None:
    with pytest.raises(ScheduleError, match=message):
        fault_from_json(value, where="x")


def test_groups_are_cut_from_each_other_and_a_node_in_none_keeps_its_links() -> None:
    plan = planned(Partition(shape=Groups((("n1", "n2"), ("n3",)))))
    assert plan.links == split([["n1", "n2"], ["n3"]])
    assert (plan.nodes, plan.shape, plan.words) == (("n3",), "groups", "leader n2: n1 n2 | n3")
    assert plan.fault_class == "partial-partition"
    assert planned(Partition(shape=Groups((("n1", "n3", "n4", "n5"), ("n2",))))).fault_class == "leader-isolated"


def test_links_are_cut_as_they_are_written_those_to_servers_too() -> None:
    view = replace(LED, others=("s1",))
    plan = planned(Partition(shape=Links((("n1", "n2"), ("s1", "n1")))), view)
    assert plan.links == {("n1", "n2"), ("s1", "n1")}
    assert plan.nodes == ("n1", "n2", "s1")
    assert plan.words == "cut n1->n2, s1->n1"


def test_named_nodes_are_cut_off_from_all_others() -> None:
    plan = planned(Partition(shape=Named(("n3", "n4"))))
    assert plan.links == split([["n3", "n4"], ["n1", "n2", "n5"]])
    assert (plan.nodes, plan.shape) == (("n3", "n4"), "isolated-n3,n4")
    assert planned(Partition(shape=OfRole("leader"))).words == "n2 is cut off: n1 n3 n4 n5 | n2"
    assert plans.plan(Partition(shape=Named(LED.nodes)), LED, Random(0)) == NoTarget("no node on the other side")


def test_named_nodes_and_links_have_the_faults_of_roles() -> None:
    plan = planned(Kill(target=Named(("n3",))))
    assert (plan.nodes, plan.shape, plan.words) == (("n3",), "kill-n3", "n3: killed")
    lossy = planned(Loss(percent=10, target=Links((("n1", "n2"),))))
    assert (lossy.nodes, lossy.recorded_links(), lossy.shape) == (("n1", "n2"), [["n1", "n2"]], "loss-links")
    assert lossy.words == "n1->n2: 10 % of packets lost"


@pytest.mark.parametrize(
    ("fault", "among", "message"),
    [
        (Kill(target=Named(("n6",))), "nodes", r"^steps\[0\]\.fault\.nodes: expected one of n1, n2, n3, got 'n6'$"),
        (Kill(target=Named(("s1",))), "nodes", r"^steps\[0\]\.fault\.nodes: expected one of n1, n2, n3.*, got 's1'$"),
        (Kill(target=Named(("n1",))), "servers", r"expected one of s1.*, got 'n1'$"),
        (Partition(shape=Groups((("n1",), ("x",)))), "nodes", r"\.groups: expected one of n1, n2, n3, s1.*, got 'x'$"),
        (Partition(shape=Links((("n1", "n4"),))), "nodes", r"\.links: expected one of n1, n2, n3, s1, got 'n4'$"),
        (Partition(shape="churn"), "nodes", r"\.shape: expected at least 5 machines for churn, got 3$"),
        (Kill(target="minority"), "servers", r"\.target: expected at least 3 machines for the role minority, got 1$"),
        (Partition(shape=OfRole("follower")), "servers", r"\.target: expected at least 2 machines for the role"),
    ],
)
def test_a_schedule_that_the_cluster_cannot_have_is_refused(fault: Fault, among: Any, message: str) -> None:
    schedule = Schedule(steps=(Step(at_ms=0, for_ms=1, fault=fault, among=among),), length_ms=10)
    with pytest.raises(ScheduleError, match=message):
        check_aims(schedule, ("n1", "n2", "n3"), ("s1",))


def test_groups_may_hold_servers() -> None:
    fault = Partition(shape=Groups((("n1", "s1"), ("n2", "n3"))))
    check_aims(Schedule(steps=(Step(at_ms=0, for_ms=1, fault=fault),), length_ms=10), ("n1", "n2", "n3"), ("s1",))


# Faulty in the same way.


def test_what_is_down_is_not_killed_and_what_is_paused_is_not_frozen() -> None:
    down = planned(Kill(target=Named(("n1",))))
    paused = planned(Pause(target=Named(("n2",))))
    assert already_faulty(Kill(target="node"), [down, paused], LED) == {"n1"}
    assert already_faulty(Pause(target="node"), [down, paused], LED) == {"n2"}
    assert already_faulty(Loss(percent=5, target="node"), [down, paused], LED) == frozenset()


def test_a_node_is_cut_off_if_a_cut_is_about_it_and_it_sees_no_majority() -> None:
    minority = planned(Partition(shape="minority-leader"))
    view = replace(LED, cut=minority.links)
    assert already_faulty(Partition(shape="isolated-node"), [minority], view) == frozenset(minority.nodes)
    single = planned(Partition(shape="single-link"))
    view = replace(LED, cut=single.links)
    assert already_faulty(Partition(shape="isolated-node"), [single], view) == frozenset()
    assert single.links == both_ways([single.nodes])  # type: ignore[list-item]  # it has two ends


def test_a_nested_isolation_picks_another_node() -> None:
    first = planned(Partition(shape="isolated-node"))
    view = replace(LED, cut=first.links)
    avoid = already_faulty(Partition(shape="isolated-node"), [first], view)
    for shape in ("isolated-node", "follower-deaf"):
        for seed in range(20):
            second = plans.plan(Partition(shape=shape), replace(view, avoid=avoid), Random(seed))
            assert isinstance(second, Plan)
            assert second.nodes != first.nodes
