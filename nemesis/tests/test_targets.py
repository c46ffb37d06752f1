"""Roles are resolved from the view, and without a leader no node is the target in its place."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.nemesis.strategies import node_names, views
from splitbrain.nemesis.targets import (
    ROLES,
    NoTarget,
    Role,
    View,
    follower_or_any,
    leader_first,
    leader_or_any,
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


@settings(deadline=None)
@given(st.sampled_from(ROLES), views(), st.integers(0, 99))
def test_roles_have_their_size_and_followers_never_lead(role: Role, view: View, seed: int) -> None:
    found = resolve(role, view, Random(seed))
    if isinstance(found, NoTarget):
        assert (view.leader is None and role in ("leader", "follower")) or role == "subject"
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
