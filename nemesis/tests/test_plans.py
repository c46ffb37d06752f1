"""Plans: nodes and links, fault class, words, and undo of every fault."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults import (
    CAPABILITY_NAMES,
    FAULTS,
    WAYS,
    Bandwidth,
    Corrupt,
    Crash,
    Delay,
    Dns,
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
from splitbrain.nemesis.partitions import all_links
from splitbrain.nemesis.plans import Plan, classed, plan
from splitbrain.nemesis.shapes import with_servers
from splitbrain.nemesis.strategies import faults, kinds, node_names
from splitbrain.nemesis.targets import NoTarget, View

LED = View(nodes=node_names(3), leader="n2", term=4, subject="n3")


def planned(fault: Fault, view: View = LED) -> Plan:
    result = plan(fault, view, Random(0))
    assert isinstance(result, Plan), result
    return result


@pytest.mark.parametrize(
    ("fault", "fault_class", "undo", "words"),
    [
        (Kill(target="leader"), "crash", "restart", "the leader n2: killed"),
        (
            Kill(target="subject", state="old"),
            "state-loss",
            "restart",
            "n3: killed, the disk as it was in the beginning",
        ),
        (Kill(target="subject", state="lost", files="w*"), "state-loss", "restart", "n3: killed, files like w* lost"),
        (Kill(target="subject", state="lost"), "state-loss", "restart", "n3: killed, all state lost"),
        (
            Kill(target="all", state="torn", after_effects=2),
            "crash",
            "restart",
            "all nodes: killed 2 effects on, what was not flushed lost",
        ),
        (
            Kill(target="leader", flap_ms=50),
            "restart-storm",
            "restart",
            "the leader n2: killed, on and off every 50 ms",
        ),
        (Pause(target="leader"), "pause", "resume", "the leader n2: paused"),
        (Kill(target="leader", process="p*"), "crash", "restart", "the leader n2: processes like p* killed"),
        (Pause(target="leader", process="p*"), "pause", "resume", "the leader n2: processes like p* paused"),
        (Loss(percent=20), "loss", "heal", "all nodes: 20 % of packets lost"),
        (Delay(ms=5, target="leader"), "loss", "heal", "the leader n2: packets 5 ms late"),
        (Delay(ms=5, jitter_ms=10), "loss", "heal", "all nodes: packets 5 to 15 ms late"),
        (Duplicate(percent=3), "loss", "heal", "all nodes: 3 % of packets duplicated"),
        (Skew(target="leader", offset_ms=-500), "clock-jump", "heal", "the leader n2: wall clock -500 ms"),
        (Skew(target="leader", rate_ppm=9), "clock-rate", "heal", "the leader n2: wall clock +9 ppm"),
        (
            Skew(target="leader", clock="monotonic", offset_ms=7),
            "clock-rate",
            "heal",
            "the leader n2: monotonic clock +7 ms",
        ),
        (
            Skew(target="leader", offset_ms=9, flap_ms=80),
            "clock-strobe",
            "heal",
            "the leader n2: wall clock +9 ms, on and off every 80 ms",
        ),
        (Slow(target="leader", ms=3), "throttle", "heal", "the leader n2: 3 ms over everything"),
        (SlowFsync(target="leader", ms=3), "throttle", "heal", "the leader n2: 3 ms over each flush to the disk"),
        (FailingFsync(target="leader"), "crash", "heal", "the leader n2: flushes to the disk fail"),
        (Crash(target="leader"), "crash", "restart", "the leader n2: the whole machine crashed"),
        (
            Crash(target="leader", state="lost"),
            "state-loss",
            "restart",
            "the leader n2: the whole machine crashed, all state lost",
        ),
        (Stop(target="leader"), "crash", "restart", "the leader n2: asked to end"),
        (Oom(target="leader"), "crash", "restart", "the leader n2: out of memory"),
        (Freeze(target="leader", flap_ms=9), "pause", "resume", "the leader n2: frozen, on and off every 9 ms"),
        (Throttle(target="leader", per_mille=990), "throttle", "heal", "the leader n2: 10 ms of processor a second"),
        (Loss(percent=9, burst=5), "loss", "heal", "all nodes: 9 % of packets lost in runs of 5"),
        (
            Loss(percent=9, target="leader", way="in"),
            "loss",
            "heal",
            "the leader n2: 9 % of packets lost, on their way to it",
        ),
        (
            Delay(ms=5, target="leader", way="out"),
            "loss",
            "heal",
            "the leader n2: packets 5 ms late, on their way from it",
        ),
        (Reorder(percent=9, ms=5), "loss", "heal", "all nodes: 9 % of packets held back for 5 ms"),
        (Corrupt(percent=9), "loss", "heal", "all nodes: 9 % of packets corrupted"),
        (Bandwidth(ms_per_kb=50), "loss", "heal", "all nodes: 50 ms over 1,000 bytes"),
    ],
)
def test_every_fault_has_a_class_an_undo_and_words(
    fault: Fault, fault_class: FaultClass, undo: str, words: str
) -> None:
    made = planned(fault)
    assert (made.f, made.fault_class, made.undo_f, made.words) == (fault.f, fault_class, undo, words)
    assert made.shape == fault.kind


def test_a_link_fault_affects_every_link_of_its_target() -> None:
    made = planned(Delay(ms=5, jitter_ms=1, target="leader"))
    assert made.recorded_links() == [["n1", "n2"], ["n2", "n1"], ["n2", "n3"], ["n3", "n2"]]
    assert made.fault == Delay(ms=5, jitter_ms=1, target="leader")
    assert made.links == frozenset((a, b) for a, b in made.recorded_links())
    assert len(planned(Loss(percent=1)).recorded_links()) == len(all_links(LED.nodes))
    assert planned(Pause(target="leader")).recorded_links() == []


def test_a_link_fault_has_the_requested_parameters() -> None:
    assert planned(Loss(percent=9, target="leader", way="in")).recorded_links() == [["n1", "n2"], ["n3", "n2"]]
    assert planned(Loss(percent=9, target="leader", way="out")).recorded_links() == [["n2", "n1"], ["n2", "n3"]]
    everywhere = [planned(Corrupt(percent=9, way=way)).recorded_links() for way in WAYS]
    assert everywhere[0] == everywhere[1] == everywhere[2]


def test_a_crashed_machine_is_cut_off_from_all_others() -> None:
    crash = planned(Crash(target="leader"))
    assert crash.nodes == ("n2",)
    assert crash.links == {("n1", "n2"), ("n2", "n1"), ("n2", "n3"), ("n3", "n2")}
    assert crash.recorded_links() == [], "it is told as what happened to a node"


def test_the_words_of_a_partition_name_its_way_of_cutting_unless_it_drops() -> None:
    refused = planned(Partition(shape="leader-deaf", how="reject"))
    assert refused.fault.figures() == {"how": "reject"}
    assert refused.words == "the leader n2 hears no node, and packets are refused"
    bare = planned(Partition(shape="leader-deaf", how="payload"))
    assert bare.words == "the leader n2 hears no node, but for bare acknowledgements of TCP"
    assert refused.recorded_links() == bare.recorded_links() == planned(Partition(shape="leader-deaf")).recorded_links()


def test_the_figures_of_a_plan_are_its_parameters_without_targets() -> None:
    assert planned(Loss(percent=30)).fault.figures() == {"percent": 30}
    assert planned(Kill(target="leader")).fault.figures() == {"state": "kept"}
    assert planned(Kill(target="leader", after_effects=0)).fault.figures() == {"state": "kept", "after_effects": 0}
    assert planned(Partition(shape="bridge")).fault.figures() == {}


def test_a_fault_without_a_target_is_not_planned() -> None:
    nobody = View(nodes=node_names(3), leader=None)
    for fault in (Kill(target="leader"), Pause(target="follower"), Kill(target="subject")):
        assert isinstance(plan(fault, nobody, Random(0)), NoTarget)
    assert isinstance(plan(Kill(target="node"), nobody, Random(0)), Plan)


def test_two_nodes_have_no_minority() -> None:
    made = planned(Kill(target="minority"), View(nodes=node_names(2), leader="n1"))
    assert (made.nodes, made.words) == ((), "no node: killed")


def test_an_isolated_node_is_the_subject_where_there_is_one() -> None:
    assert planned(Partition(shape="isolated-node")).nodes == ("n3",)


@given(faults(5), st.integers(0, 9))
def test_equal_generators_give_equal_plans_with_nodes_of_the_view_only(fault: Fault, seed: int) -> None:
    view = View(nodes=node_names(5), leader="n4", subject="n1")
    first, second = (plan(fault, view, Random(seed)) for _ in range(2))
    assert first == second
    assert isinstance(first, Plan)
    assert {node for link in first.recorded_links() for node in link} | set(first.nodes) <= set(view.nodes)
    assert bool(first.recorded_links()) == (first.fault.about == "links") or not first.nodes


def test_every_capability_is_required_by_some_fault_and_by_no_milder_one() -> None:
    every: list[Fault] = [
        Partition(shape="bridge"),
        Kill(target="all"),
        Kill(target="all", state="lost"),
        Kill(target="all", state="torn"),
        Kill(target="all", state="old"),
        Kill(target="all", state="lost", files="*"),
        Kill(target="all", after_effects=0),
        Pause(target="all"),
        Kill(target="all", process="*"),
        Pause(target="all", process="*"),
        Loss(percent=0),
        Delay(ms=0),
        Duplicate(percent=0),
        Skew(target="all"),
        Skew(target="all", clock="monotonic"),
        Slow(target="all", ms=0),
        Partition(shape="bridge", how="reject"),
        Partition(shape="bridge", how="payload"),
        Partition(shape="bridge", port=1),
        Dns(),
        Crash(target="all"),
        Stop(target="all"),
        Oom(target="all"),
        Fill(target="all"),
        SlowFsync(target="all", ms=0),
        FailingFsync(target="all"),
        Freeze(target="all"),
        Loss(percent=0, burst=1),
        Reorder(percent=0, ms=0),
        Corrupt(percent=0),
        Bandwidth(ms_per_kb=0),
        Throttle(target="all", per_mille=0),
    ]
    assert {ability for fault in every for ability in fault.required()} == set(CAPABILITY_NAMES)
    assert all(set(fault.required()) <= set(fault.capabilities) for fault in every)
    assert {type(fault) for fault in every} == set(FAULTS)
    assert Kill(target="all").required() == ("kill",)
    assert Kill(target="all", state="lost", after_effects=1).required() == (
        "kill",
        "kill with state lost",
        "kill after some effects",
    )


def test_kinds_are_only_those_that_the_runtime_supports() -> None:
    assert kinds(5, ("pause", "kill")) == ["pause", "kill"]
    assert "amnesia" in kinds(5)
    assert kinds(5)[0] == "isolated-node"


def test_a_cut_and_a_kill_differ_in_their_effects() -> None:
    cut, kill = planned(Partition(shape="isolated-leader")), planned(Kill(target="leader"))
    assert (cut.fault.about, kill.fault.about) == ("links", "nodes")
    assert cut.links and not kill.links


# Systems with servers beside their nodes.

SERVED = View(nodes=node_names(5), leader="n2", others=("s1", "s2", "s3"))
OF_SERVERS = View(nodes=("s1", "s2", "s3"), leader="s3", others=node_names(5), group="servers")


def cut_of(shape: str, view: View, seed: int = 0) -> frozenset[tuple[str, str]]:
    result = plan(Partition(shape=shape), view, Random(seed))
    assert isinstance(result, Plan), result
    return result.links


def test_an_isolated_leader_reaches_no_server_and_all_others_reach_every_server() -> None:
    cut = cut_of("isolated-leader", SERVED)
    assert {("n2", "s1"), ("s1", "n2"), ("n2", "s3"), ("s3", "n2")} <= cut
    assert not any({"n1", "s1"} == set(link) for link in cut)
    assert len(cut) == 2 * 4 + 2 * 3


def test_a_deaf_leader_hears_no_server_and_is_heard_by_all() -> None:
    cut = cut_of("leader-deaf", SERVED)
    assert ("s1", "n2") in cut
    assert ("n2", "s1") not in cut


@given(st.integers(0, 999))
def test_the_servers_stand_with_the_majority(seed: int) -> None:
    cut = cut_of("minority-leader", SERVED, seed)
    served = {node for node in SERVED.nodes if (node, "s1") not in cut}
    assert len(served) == 3
    assert "n2" not in served
    assert served == {node for node in SERVED.nodes if ("s3", node) not in cut}


def test_a_cut_has_its_class_among_the_nodes() -> None:
    assert planned(Partition(shape="isolated-leader"), SERVED).fault_class == "leader-isolated"
    assert (
        classed(planned(Partition(shape="isolated-leader"), SERVED), replace(SERVED, leader="n1")).fault_class
        == "partition"
    )


def test_without_servers_a_cut_is_unchanged() -> None:
    alone = replace(SERVED, others=())
    assert with_servers(all_links(("n1", "n2")), ("n1",), alone, Random(0)) == all_links(("n1", "n2"))


def test_a_fault_among_the_servers_affects_only_servers_and_has_a_server_class() -> None:
    cut = planned(Partition(shape="isolated-leader"), OF_SERVERS)
    assert (cut.fault_class, cut.shape, cut.nodes) == ("server-leader-isolated", "server-isolated-leader", ("s3",))
    assert cut_of("isolated-leader", OF_SERVERS) == {("s3", "s1"), ("s1", "s3"), ("s3", "s2"), ("s2", "s3")}
    assert classed(cut, replace(OF_SERVERS, leader="s1")).fault_class == "server-partition"
    killed = planned(Kill(target="leader"), OF_SERVERS)
    assert (killed.fault_class, killed.nodes, killed.words) == (
        "server-crash",
        ("s3",),
        "of the servers, the leader s3: killed",
    )


def test_packets_between_a_node_and_the_servers_are_lost_too() -> None:
    lossy = planned(Loss(percent=10, target="leader"), SERVED)
    assert ["n2", "s1"] in lossy.recorded_links()
    assert ["s1", "n2"] in lossy.recorded_links()
