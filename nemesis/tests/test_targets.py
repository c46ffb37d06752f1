"""Roles are resolved from the view, and without a leader no node is the target in its place."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.partitions import both_ways, deaf, split
from splitbrain.nemesis.strategies import node_names, views
from splitbrain.nemesis.targets import (
    ROLES,
    NoTarget,
    Role,
    View,
    follower_or_any,
    leader_first,
    leader_or_any,
    pick_follower,
    resolve,
)
from splitbrain.nemesis.tests.rngs import FirstChoice

LED = View(nodes=node_names(5), leader="n3", term=7)
LEADERLESS = View(nodes=node_names(5), leader=None)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("leader", ("n3",)),
        ("follower", ("n1",)),
        ("node", ("n1",)),
        ("majority", ("n1", "n2", "n3")),
        ("minority", ("n1", "n2")),
        ("all", ("n1", "n2", "n3", "n4", "n5")),
    ],
)
def test_each_role_is_filled_from_the_view(role: Role, expected: tuple[str, ...]) -> None:
    assert resolve(role, LED, FirstChoice()) == expected


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_without_a_leader_neither_leader_nor_follower_is_named(role: Role) -> None:
    assert isinstance(resolve(role, LEADERLESS, Random(0)), NoTarget)


@given(st.sampled_from(ROLES), views(), st.integers(0, 99))
def test_roles_have_their_size_and_followers_never_lead(role: Role, view: View, seed: int) -> None:
    found = resolve(role, view, Random(seed))
    if isinstance(found, NoTarget):
        of_a_leader = ("leader", "follower", "leader-side")
        assert (view.leader is None and role in of_a_leader) or role in (
            "subject",
            "candidate",
            "last-to-lead",
            "outside-majority",
        )
        return
    n = len(view.nodes)
    sizes = {"majority": n // 2 + 1, "minority": n - n // 2 - 1, "all": n}
    assert len(found) == sizes.get(role, 1)
    assert [node for node in view.nodes if node in found] == list(found)
    assert (found == (view.leader,)) if role == "leader" else True
    assert (found != (view.leader,)) if role == "follower" else True


def test_every_follower_is_drawn_sooner_or_later_and_the_leader_never() -> None:
    drawn = {follower_or_any(LED, Random(seed)) for seed in range(100)}
    assert drawn == {"n1", "n2", "n4", "n5"}


def test_without_a_leader_any_node_will_do() -> None:
    assert {follower_or_any(LEADERLESS, Random(seed)) for seed in range(100)} == set(LEADERLESS.nodes)
    assert {leader_or_any(LEADERLESS, Random(seed)) for seed in range(100)} == set(LEADERLESS.nodes)


def test_the_leader_is_first_and_every_node_occurs_once() -> None:
    for seed in range(20):
        order = leader_first(LED, Random(seed))
        assert order[0] == "n3"
        assert sorted(order) == list(LED.nodes)


def test_the_subject_of_an_event_is_the_target_without_a_substitute() -> None:
    of_event = View(nodes=node_names(3), leader=None, subject="n2")
    assert resolve("subject", of_event, Random(0)) == ("n2",)
    assert isinstance(resolve("subject", LED, Random(0)), NoTarget)
    with pytest.raises(ValueError, match="the subject 'n9' is not one of the nodes n1 n2 n3"):
        View(nodes=node_names(3), leader=None, subject="n9")


def test_a_leader_outside_the_view_is_refused() -> None:
    with pytest.raises(ValueError, match="'n9' is not one of the nodes n1 n2 n3"):
        View(nodes=node_names(3), leader="n9")


def test_a_node_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="named twice: n1 n1"):
        View(nodes=("n1", "n1"), leader=None)


# Roles by what is in force.

SIDES = View(nodes=node_names(5), leader="n3", cut=split([["n1", "n2", "n5"], ["n3", "n4"]]))


def test_a_node_on_the_side_of_the_leader_exchanges_messages_with_it() -> None:
    assert resolve("leader-side", SIDES, Random(0)) == ("n4",)
    line = replace(SIDES, cut=split([["n1", "n2"], ["n3", "n4", "n5"]]) | both_ways([("n3", "n5")]))
    assert {resolve("leader-side", line, Random(seed)) for seed in range(20)} == {("n4",), ("n5",)}
    assert resolve("leader-side", replace(SIDES, silent=frozenset({"n4"})), Random(0)) == NoTarget(
        "no other node on the side of a leader"
    )


def test_a_node_outside_the_majority_sees_none_while_another_does() -> None:
    assert {resolve("outside-majority", SIDES, Random(seed)) for seed in range(20)} == {("n3",), ("n4",)}
    deafened = replace(SIDES, cut=deaf(SIDES.nodes, "n5"))
    assert resolve("outside-majority", deafened, Random(0)) == ("n5",)
    halves = View(nodes=node_names(4), leader=None, cut=split([["n1", "n2"], ["n3", "n4"]]))
    for view in (LED, halves, replace(SIDES, silent=frozenset({"n1"}))):
        assert isinstance(resolve("outside-majority", view, Random(0)), NoTarget)


def test_candidates_and_earlier_leaders_are_as_observed() -> None:
    seen = replace(LED, candidate="n1", last_to_lead="n5")
    assert resolve("candidate", seen, Random(0)) == ("n1",)
    assert resolve("last-to-lead", seen, Random(0)) == ("n5",)


def test_nodes_fall_by_turns() -> None:
    assert resolve("next-to-fall", LED, Random(0)) == ("n1",)
    assert resolve("next-to-fall", replace(LED, fallen=("n2", "n1")), Random(0)) == ("n3",)
    assert resolve("next-to-fall", replace(LED, fallen=("n4", "n5", "n1", "n2", "n3")), Random(0)) == ("n4",)
    assert resolve("next-to-fall", replace(LED, avoid=frozenset({"n1"})), Random(0)) == ("n2",)


# Nodes that are faulty in the same way already.


@pytest.mark.parametrize("role", ["follower", "node", "minority", "majority", "next-to-fall"])
def test_a_node_to_avoid_is_never_drawn(role: Role) -> None:
    view = replace(LED, avoid=frozenset({"n1", "n2"}))
    for seed in range(20):
        found = resolve(role, view, Random(seed))
        assert not isinstance(found, NoTarget)
        assert view.avoid.isdisjoint(found)


def test_where_all_are_to_be_avoided_there_is_no_target() -> None:
    view = replace(LED, avoid=frozenset({"n1", "n2", "n4", "n5"}))
    assert resolve("follower", view, Random(0)) == NoTarget("no follower that is not faulty in the same way already")
    assert pick_follower(view, Random(0)) == resolve("follower", view, Random(0))
    assert resolve("minority", view, Random(0)) == ("n3",)


def test_a_role_without_a_choice_is_taken_as_it_is() -> None:
    view = replace(LED, avoid=frozenset(LED.nodes), subject="n1")
    assert resolve("leader", view, Random(0)) == ("n3",)
    assert resolve("subject", view, Random(0)) == ("n1",)
    assert resolve("all", view, Random(0)) == LED.nodes
