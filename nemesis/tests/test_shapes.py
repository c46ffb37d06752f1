"""Named shapes: their links and their fault class for a given leader."""

from __future__ import annotations

from random import Random

import pytest

from splitbrain.nemesis import partitions
from splitbrain.nemesis.partitions import ImpossibleShape
from splitbrain.nemesis.shapes import SHAPES, Drawn, Shape, class_of
from splitbrain.nemesis.strategies import node_names
from splitbrain.nemesis.targets import NoTarget, View
from splitbrain.nemesis.tests.rngs import FirstChoice

ALL = list(SHAPES.values())
NAMES = {
    "halves",
    "random-halves",
    "isolated-node",
    "isolated-leader",
    "minority-leader",
    "majorities-ring",
    "bridge",
    "churn",
    "quorum-loss",
    "constrained-election",
    "chained",
    "leader-deaf",
    "leader-mute",
    "follower-deaf",
    "single-link",
    "one-way-link",
    "flapping",
}


def led(n: int, leader: str = "n2") -> View:
    return View(nodes=node_names(n), leader=leader, term=4)


def drawn(shape: Shape, view: View, seed: int = 0) -> Drawn:
    result = shape.draw(view, Random(seed))
    assert isinstance(result, Drawn), result
    return result


def test_every_documented_shape_exists_under_its_name() -> None:
    assert set(SHAPES) == NAMES
    assert all(name == shape.name for name, shape in SHAPES.items())


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_the_help_is_one_short_line(shape: Shape) -> None:
    assert 10 < len(shape.help) < 80
    assert "\n" not in shape.help


@pytest.mark.parametrize(
    ("name", "nodes", "words"),
    [
        ("isolated-node", ("n1",), "n1 is alone: n1 | n2 n3 n4 n5"),
        ("halves", ("n1", "n2"), "leader n2: n1 n2 | n3 n4 n5"),
        ("random-halves", ("n1", "n2"), "leader n2: n1 n2 | n3 n4 n5"),
        ("isolated-leader", ("n2",), "the leader n2 is alone: n1 n3 n4 n5 | n2"),
        ("flapping", ("n2",), "the leader n2 is alone: n1 n3 n4 n5 | n2"),
        ("minority-leader", ("n1", "n2"), "the leader n2 is on the minority side: n1 n2 | n3 n4 n5"),
        ("leader-deaf", ("n2",), "the leader n2 hears no node"),
        ("leader-mute", ("n2",), "no node hears the leader n2"),
        ("follower-deaf", ("n1",), "the follower n1 hears no node"),
        ("single-link", ("n2", "n1"), "leader n2: n2 and n1 do not see each other"),
        ("one-way-link", ("n2", "n1"), "leader n2: n1 does not hear n2"),
        ("bridge", ("n1",), "two halves meet only in n1: cut n2-n4, n2-n5, n3-n4, n3-n5"),
        (
            "chained",
            node_names(5),
            "a line n2 - n1 - n3 - n4 - n5: cut n1-n4, n1-n5, n2-n3, n2-n4, n2-n5, n3-n5",
        ),
        (
            "majorities-ring",
            node_names(5),
            "every node sees a different majority: cut n1-n3, n1-n4, n2-n4, n2-n5, n3-n5",
        ),
        (
            "quorum-loss",
            ("n2", "n1"),
            "all nodes, the leader n2 too, see only n1: cut n2-n3, n2-n4, n2-n5, n3-n4, n3-n5, n4-n5",
        ),
        (
            "constrained-election",
            ("n2", "n1"),
            "the leader n2 is alone and the rest see only n1: cut n1-n2, n2-n3, n2-n4, n2-n5, n3-n4, n3-n5, n4-n5",
        ),
        (
            "churn",
            ("n4", "n5"),
            "n4 and n5 see one node each of a connected majority: cut n1-n4, n2-n5, n3-n4, n3-n5, n4-n5",
        ),
    ],
)
def test_each_shape_on_five_nodes_led_by_the_second(name: str, nodes: tuple[str, ...], words: str) -> None:
    result = SHAPES[name].draw(led(5), FirstChoice())
    assert isinstance(result, Drawn)
    assert (result.nodes, result.words) == (nodes, words)


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_from_five_nodes_on_a_shape_has_its_intended_fault_class(shape: Shape) -> None:
    for n in range(5, 16):
        for seed in range(5):
            view = led(n, leader=f"n{1 + seed % n}")
            assert class_of(view.nodes, drawn(shape, view, seed).cut, view.leader) == shape.fault_class


@pytest.mark.parametrize("n", [2, 3, 4])
def test_on_fewer_nodes_the_fault_class_follows_from_the_cut(n: int) -> None:
    """A minority with the leader in it is, of three or four nodes, the leader alone; so may a half be."""
    unlike = set()
    for shape in ALL:
        for seed in range(20):
            view = led(n)
            if shape.min_nodes <= n:
                found = class_of(view.nodes, drawn(shape, view, seed).cut, view.leader)
                unlike |= {(shape.name, found)} if found != shape.fault_class else set()
    assert (
        unlike
        == {
            2: {
                ("halves", "leader-isolated"),
                ("random-halves", "leader-isolated"),
                ("isolated-node", "leader-isolated"),
                ("follower-deaf", "leader-mute"),
            },
            3: {("random-halves", "leader-isolated"), ("minority-leader", "leader-isolated")},
            4: {("minority-leader", "leader-isolated")},
        }[n]
    )


@pytest.mark.parametrize(
    ("cut", "leader", "fault_class"),
    [
        (partitions.halves(node_names(5)), "n1", "partition"),
        (partitions.isolate(node_names(5), "n1"), "n1", "leader-isolated"),
        (partitions.isolate(node_names(5), "n1"), "n2", "partition"),
        (partitions.isolate(node_names(5), "n1"), None, "partition"),
        (partitions.split([["n1"], ["n2", "n3"], ["n4", "n5"]]), "n1", "partition"),
        (partitions.deaf(node_names(5), "n1"), "n1", "leader-deaf"),
        (partitions.deaf(node_names(5), "n1"), "n2", "follower-deaf"),
        (partitions.deaf(node_names(5), "n1"), None, "partial-partition"),
        (partitions.mute(node_names(5), "n1"), "n1", "leader-mute"),
        (partitions.mute(node_names(5), "n1"), "n2", "partial-partition"),
        (partitions.one_link("n1", "n2"), "n1", "partial-partition"),
    ],
)
def test_one_cut_is_of_another_class_for_another_leader(
    cut: partitions.Cut, leader: str | None, fault_class: str
) -> None:
    assert class_of(node_names(5), cut, leader) == fault_class


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_without_a_leader_only_shapes_aimed_at_one_say_so(shape: Shape) -> None:
    result = shape.draw(View(nodes=node_names(5), leader=None), Random(1))
    assert isinstance(result, NoTarget) == shape.needs_leader
    if isinstance(result, NoTarget):
        assert result.words == "no leader"


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_a_shape_exists_from_its_least_number_of_nodes_on_and_is_refused_below(shape: Shape) -> None:
    for n in range(shape.min_nodes, 16):
        cut = drawn(shape, led(n)).cut
        assert cut
        assert cut <= partitions.all_links(node_names(n))
    with pytest.raises(ImpossibleShape, match=f"{shape.name} needs at least {shape.min_nodes} nodes"):
        shape.draw(View(nodes=node_names(shape.min_nodes - 1), leader=None), Random(0))


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_the_nodes_a_shape_is_about_are_touched_by_its_cut(shape: Shape) -> None:
    """All but a hub, which is singled out because it is not."""
    for seed in range(10):
        result = drawn(shape, led(5), seed)
        touched = {node for link in result.cut for node in link}
        assert (set(result.nodes) <= touched) == (shape.name not in ("bridge", "quorum-loss"))


@pytest.mark.parametrize("shape", ALL, ids=lambda shape: shape.name)
def test_equal_generators_give_equal_cuts(shape: Shape) -> None:
    assert drawn(shape, led(5), 3) == drawn(shape, led(5), 3)


def test_any_node_may_be_the_hub_of_a_bridge_even_the_leader() -> None:
    hubs = {drawn(SHAPES["bridge"], led(5), seed).nodes for seed in range(100)}
    assert hubs == {(node,) for node in node_names(5)}


def test_a_one_way_link_is_lost_in_either_direction_and_the_leader_is_at_one_end() -> None:
    links = {drawn(SHAPES["one-way-link"], led(5), seed).nodes for seed in range(200)}
    followers = ["n1", "n3", "n4", "n5"]
    assert links == {("n2", f) for f in followers} | {(f, "n2") for f in followers}
