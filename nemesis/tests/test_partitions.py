"""Shapes by literal expectation on 3, 4 and 5 nodes, and by their defining property on 3 to 15."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis import partitions as p
from splitbrain.nemesis.strategies import cuts, node_names
from splitbrain.nemesis.tests.rngs import FirstChoice

SIZES = range(3, 16)
THREE, FOUR, FIVE = node_names(3), node_names(4), node_names(5)


def seen_by_all(nodes: Sequence[str], cut: p.Cut) -> dict[str, frozenset[str]]:
    """The nodes that each node sees, by brute force: every pair on every link of the cut."""
    return {a: frozenset(b for b in nodes if a == b or not any(set(link) == {a, b} for link in cut)) for a in nodes}


def is_majorities_ring(nodes: Sequence[str], cut: p.Cut) -> bool:
    """Every node sees a majority, and no two nodes see the same set."""
    seen = seen_by_all(nodes, cut)
    return all(2 * len(group) > len(nodes) for group in seen.values()) and len(set(seen.values())) == len(nodes)


def surplus(nodes: Sequence[str], cut: p.Cut) -> int:
    """How many more nodes are seen, all in all, than bare majorities would need."""
    return sum(len(group) - p.majority(len(nodes)) for group in seen_by_all(nodes, cut).values())


def every_two_way_cut(nodes: Sequence[str]) -> list[p.Cut]:
    pairs = list(combinations(nodes, 2))
    return [p.both_ways(chosen) for size in range(len(pairs) + 1) for chosen in combinations(pairs, size)]


# Literal expectations.


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda n: p.halves(n), ["n1 | n2 n3", "n1 n2 | n3 n4", "n1 n2 | n3 n4 n5"]),
        (lambda n: p.random_halves(n, FirstChoice()), ["n1 | n2 n3", "n1 n2 | n3 n4", "n1 n2 | n3 n4 n5"]),
        (lambda n: p.isolate(n, "n2"), ["n1 n3 | n2", "n1 n3 n4 | n2", "n1 n3 n4 n5 | n2"]),
        (
            lambda n: p.minority_with(n, "n3", FirstChoice()),
            ["n1 n2 | n3", "n1 n2 n4 | n3", "n1 n3 | n2 n4 n5"],
        ),
        (
            lambda n: p.majorities_ring(n, FirstChoice()),
            ["cut n2-n3", "cut n1-n3, n2-n4", "cut n1-n3, n1-n4, n2-n4, n2-n5, n3-n5"],
        ),
        (
            lambda n: p.bridge(n, "n2", FirstChoice()),
            ["cut n1-n3", "cut n1-n3, n1-n4", "cut n1-n4, n1-n5, n3-n4, n3-n5"],
        ),
        (
            lambda n: p.chained(n),
            ["cut n1-n3", "cut n1-n3, n1-n4, n2-n4", "cut n1-n3, n1-n4, n1-n5, n2-n4, n2-n5, n3-n5"],
        ),
        (
            lambda n: p.deaf(n, "n1"),
            ["cut n2->n1, n3->n1", "cut n2->n1, n3->n1, n4->n1", "cut n2->n1, n3->n1, n4->n1, n5->n1"],
        ),
        (
            lambda n: p.mute(n, "n1"),
            ["cut n1->n2, n1->n3", "cut n1->n2, n1->n3, n1->n4", "cut n1->n2, n1->n3, n1->n4, n1->n5"],
        ),
        (lambda n: p.one_link("n1", "n3"), ["cut n1-n3"] * 3),
        (lambda n: p.one_way_link("n3", "n1"), ["cut n3->n1"] * 3),
    ],
)
def test_shapes_cut_exactly_these_links(make: Callable[[Sequence[str]], p.Cut], expected: list[str]) -> None:
    assert [p.describe(nodes, make(nodes)) for nodes in (THREE, FOUR, FIVE)] == expected


def test_quorum_loss_leaves_a_star_around_the_hub_on_four_and_five() -> None:
    assert p.describe(FOUR, p.quorum_loss(FOUR, "n4", "n2")) == "cut n1-n3, n1-n4, n3-n4"
    assert p.describe(FIVE, p.quorum_loss(FIVE, "n3", "n1")) == "cut n2-n3, n2-n4, n2-n5, n3-n4, n3-n5, n4-n5"


def test_constrained_election_leaves_a_star_without_the_leader_on_four_and_five() -> None:
    assert p.describe(FOUR, p.constrained_election(FOUR, "n4", "n2")) == "cut n1-n3, n1-n4, n2-n4, n3-n4"
    assert (
        p.describe(FIVE, p.constrained_election(FIVE, "n3", "n1"))
        == "cut n1-n3, n2-n3, n2-n4, n2-n5, n3-n4, n3-n5, n4-n5"
    )


def test_churn_on_five_is_the_published_example() -> None:
    """1, 2 and 3 are connected, 4 sees only 2, and 5 only 3, the leader."""
    cut = p.churn(("n3", "n2", "n1", "n5", "n4"), "n3", FirstChoice())
    links_left = sorted(pair for pair in combinations(FIVE, 2) if pair not in cut)
    assert links_left == [("n1", "n2"), ("n1", "n3"), ("n2", "n3"), ("n2", "n4"), ("n3", "n5")]


def test_split_takes_any_number_of_groups() -> None:
    assert p.describe(FIVE, p.split([["n1"], ["n2", "n3"], ["n4", "n5"]])) == "n1 | n2 n3 | n4 n5"


def test_a_cut_is_shown_as_a_table() -> None:
    assert p.matrix(THREE, frozenset([("n1", "n2"), ("n3", "n2")])).splitlines() == [
        "   n1 n2 n3",
        "n1  -  x  .",
        "n2  .  -  .",
        "n3  .  x  -",
    ]


def test_an_empty_cut_is_described_as_calm() -> None:
    assert p.describe(THREE, p.NOTHING) == "no link is cut"


def test_both_kinds_of_link_are_described_separately() -> None:
    assert p.describe(THREE, p.one_link("n1", "n2") | p.one_way_link("n3", "n1")) == "cut n1-n2, n3->n1"


# Defining properties, by brute force.


@pytest.mark.parametrize("n", SIZES)
def test_a_majorities_ring_gives_every_node_a_majority_and_no_two_the_same(n: int) -> None:
    nodes = node_names(n)
    for seed in range(20):
        assert is_majorities_ring(nodes, p.majorities_ring(nodes, Random(seed)))


@pytest.mark.parametrize("n", SIZES)
def test_a_majorities_ring_gives_bare_majorities_but_for_one_node_where_parity_forbids_it(n: int) -> None:
    nodes = node_names(n)
    assert surplus(nodes, p.majorities_ring(nodes, Random(n))) == (1 if n in (3, 7, 11, 15) else 0)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_no_graph_makes_a_sparer_majorities_ring(n: int) -> None:
    nodes = node_names(n)
    rings = [cut for cut in every_two_way_cut(nodes) if is_majorities_ring(nodes, cut)]
    assert min(surplus(nodes, cut) for cut in rings) == surplus(nodes, p.majorities_ring(nodes, Random(0)))


def test_two_nodes_have_no_majorities_ring_whatever_is_cut() -> None:
    nodes = node_names(2)
    assert not any(is_majorities_ring(nodes, cut) for cut in every_two_way_cut(nodes))
    with pytest.raises(p.ImpossibleShape, match="only one majority"):
        p.majorities_ring(nodes, Random(0))


def test_a_one_way_ring_of_three_is_no_majorities_ring() -> None:
    """Each node hears the one before it; over links that need both directions no node sees another.

    This is the result of giving each of three nodes a run of two on a circle, as Jepsen does.
    """
    hears = {"n2": "n1", "n3": "n2", "n1": "n3"}
    cut = frozenset((a, b) for a in THREE for b in THREE if a != b and hears[b] != a)
    assert not is_majorities_ring(THREE, cut)
    assert p.quorum_connected(THREE, cut) == ()


def test_neither_the_full_mesh_nor_halves_are_a_majorities_ring() -> None:
    assert not is_majorities_ring(FIVE, p.NOTHING)
    assert not is_majorities_ring(FIVE, p.halves(FIVE))


@pytest.mark.parametrize("n", SIZES)
def test_a_ring_is_symmetric_so_that_seeing_is_two_way(n: int) -> None:
    cut = p.majorities_ring(node_names(n), Random(n))
    assert all((b, a) in cut for a, b in cut)


@pytest.mark.parametrize("n", SIZES)
def test_the_minority_holds_the_leader_and_the_rest_are_a_majority(n: int) -> None:
    nodes = node_names(n)
    for seed in range(10):
        cut = p.minority_with(nodes, "n1", Random(seed))
        minority, rest = sorted(p.components(nodes, cut), key=len)
        assert "n1" in minority
        assert len(rest) == p.majority(n)
        assert cut == p.split([minority, rest])


def test_random_halves_do_not_always_split_alike() -> None:
    assert len({p.random_halves(FIVE, Random(seed)) for seed in range(50)}) == 10  # C(5, 2)


@pytest.mark.parametrize("n", SIZES)
def test_only_the_hub_of_a_bridge_sees_every_node(n: int) -> None:
    nodes = node_names(n)
    seen = seen_by_all(nodes, p.bridge(nodes, "n2", Random(n)))
    assert [node for node in nodes if len(seen[node]) == n] == ["n2"]
    arms = {seen[node] - {"n2"} for node in nodes if node != "n2"}
    assert len(arms) == 2
    assert sorted(map(len, arms)) == [(n - 1) // 2, n // 2]


def churns(nodes: Sequence[str], cut: p.Cut) -> bool:
    """There is a connected majority, and each member is out of sight of some node that sees another."""
    core = p.two_way_majority(nodes, cut)
    seen = seen_by_all(nodes, cut)
    return core is not None and all(
        any(outsider not in seen[member] and seen[outsider] & set(core) for outsider in nodes) for member in core
    )


@pytest.mark.parametrize("n", range(5, 16))
def test_for_every_leader_of_a_churning_majority_some_outsider_does_not_hear_it(n: int) -> None:
    nodes = node_names(n)
    cut = p.churn(nodes, "n3", Random(n))
    seen = seen_by_all(nodes, cut)
    assert churns(nodes, cut)
    outsiders = [node for node in nodes if len(seen[node]) == 2]
    assert len(outsiders) == n - p.majority(n)
    assert len(set.union(*(set(seen[node]) - {node} for node in outsiders))) == len(outsiders)
    assert any("n3" in seen[node] for node in outsiders)


def test_one_outsider_does_not_churn() -> None:
    """On four nodes the one outsider sees a member of the core, which can lead undisturbed."""
    assert not churns(FOUR, p.only(FOUR, [*combinations(FOUR[:3], 2), ("n3", "n4")]))
    assert not churns(FIVE, p.NOTHING)


@pytest.mark.parametrize("n", range(4, 16))
def test_after_quorum_loss_only_the_hub_sees_a_majority_and_it_sees_the_leader(n: int) -> None:
    nodes = node_names(n)
    cut = p.quorum_loss(nodes, "n1", "n4")
    assert p.quorum_connected(nodes, cut) == ("n4",)
    assert p.sees(nodes, cut, "n1") == {"n1", "n4"}
    assert p.two_way_majority(nodes, cut) is None


def test_a_star_of_three_would_not_lose_its_quorum() -> None:
    star = p.only(THREE, [("n2", "n1"), ("n2", "n3")])
    assert p.quorum_connected(THREE, star) == THREE


@pytest.mark.parametrize("n", range(4, 16))
def test_in_a_constrained_election_only_the_hub_sees_a_majority_and_no_node_the_leader(n: int) -> None:
    nodes = node_names(n)
    cut = p.constrained_election(nodes, "n1", "n4")
    assert p.quorum_connected(nodes, cut) == ("n4",)
    assert p.sees(nodes, cut, "n1") == {"n1"}


@pytest.mark.parametrize("n", SIZES)
def test_a_chain_is_connected_and_has_two_ends(n: int) -> None:
    nodes = node_names(n)
    cut = p.chained(nodes)
    seen = seen_by_all(nodes, cut)
    assert len(p.components(nodes, cut)) == 1
    assert [node for node in nodes if len(seen[node]) == 2] == [nodes[0], nodes[-1]]
    assert all(len(seen[node]) <= 3 for node in nodes)


@pytest.mark.parametrize("n", SIZES)
def test_a_deaf_node_is_cut_inwards_only_and_a_mute_one_outwards_only(n: int) -> None:
    nodes = node_names(n)
    assert p.deaf(nodes, "n2") == {(other, "n2") for other in nodes if other != "n2"}
    assert p.mute(nodes, "n2") == {("n2", other) for other in nodes if other != "n2"}
    assert p.deaf(nodes, "n2") | p.mute(nodes, "n2") == p.isolate(nodes, "n2")


# Properties of cuts, against brute force.


@given(cuts(FIVE))
def test_components_are_the_classes_of_two_way_reachability(cut: p.Cut) -> None:
    reach = {a: set(seen) for a, seen in seen_by_all(FIVE, cut).items()}
    for _ in FIVE:
        reach = {a: set().union(*(reach[b] for b in reach[a])) for a in FIVE}
    groups = p.components(FIVE, cut)
    assert sorted(node for group in groups for node in group) == list(FIVE)
    assert all(reach[node] == set(group) for group in groups for node in group)


@given(st.integers(1, 6).map(node_names).flatmap(lambda nodes: st.tuples(st.just(nodes), cuts(nodes))))
def test_a_two_way_majority_is_found_exactly_when_there_is_one(case: tuple[tuple[str, ...], p.Cut]) -> None:
    nodes, cut = case
    exists = any(
        all((a, b) not in cut for a in group for b in group)
        for size in range(len(nodes) // 2 + 1, len(nodes) + 1)
        for group in combinations(nodes, size)
    )
    found = p.two_way_majority(nodes, cut)
    assert (found is not None) == exists
    if found is not None:
        assert 2 * len(found) > len(nodes)
        assert all((a, b) not in cut for a in found for b in found)


def test_a_one_way_link_is_enough_not_to_see() -> None:
    cut = p.one_way_link("n1", "n2")
    assert p.sees(THREE, cut, "n1") == p.sees(THREE, cut, "n1") == {"n1", "n3"}
    assert p.sees(THREE, cut, "n2") == {"n2", "n3"}
    assert not p.is_split(THREE, cut)


def test_a_split_is_distinguished_from_a_partial_partition() -> None:
    assert p.is_split(FIVE, p.halves(FIVE))
    assert not p.is_split(FIVE, p.constrained_election(FIVE, "n1", "n2"))
    assert not p.is_split(FIVE, p.NOTHING)


# Impossible cuts.


@pytest.mark.parametrize(
    ("make", "least"),
    [
        (lambda n: p.halves(n), 2),
        (lambda n: p.isolate(n, n[0]), 2),
        (lambda n: p.minority_with(n, n[0], Random(0)), 3),
        (lambda n: p.majorities_ring(n, Random(0)), 3),
        (lambda n: p.bridge(n, n[0], Random(0)), 3),
        (lambda n: p.chained(n), 3),
        (lambda n: p.quorum_loss(n, n[0], n[-1]), 4),
        (lambda n: p.constrained_election(n, n[0], n[-1]), 4),
        (lambda n: p.churn(n, n[0], Random(0)), 5),
    ],
)
def test_too_few_nodes_are_refused_with_a_reason(make: Callable[[Sequence[str]], p.Cut], least: int) -> None:
    assert make(node_names(least))
    for n in range(1, least):
        with pytest.raises(p.ImpossibleShape, match=rf"at least {least} nodes, not {n}: \w+"):
            make(node_names(n))


def test_an_unknown_node_is_refused() -> None:
    with pytest.raises(ValueError, match="'n9' is not one of the nodes n1 n2 n3"):
        p.isolate(THREE, "n9")


@pytest.mark.parametrize("shape", [p.quorum_loss, p.constrained_election])
def test_the_hub_is_never_the_old_leader(shape: Callable[[Sequence[str], str, str], p.Cut]) -> None:
    with pytest.raises(ValueError, match="must not be the old leader"):
        shape(FIVE, "n1", "n1")
