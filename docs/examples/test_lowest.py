"""Test an election in five lines, and let Hypothesis search for a schedule that breaks it in a few more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from lowest import Lowest

from splitbrain.nemesis.schedules import Schedule
from splitbrain.nemesis.strategies import schedules


class Bold(Lowest):
    """Leads without a majority."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.majority = 1


@pytest.mark.parametrize("nemesis", ["partition", "isolated-leader", "leader-mute"])
def test_one_leader_at_a_time(splitbrain: Any, nemesis: str) -> None:
    run = splitbrain.run(Lowest, nodes=5, nemesis=nemesis, seconds=20, seed=7)
    run.must_hold()


@settings(max_examples=10, deadline=None)
@given(schedule=schedules(nodes=3, max_faults=3))
def test_no_schedule_makes_two_leaders(splitbrain: Any, schedule: Schedule) -> None:
    splitbrain.run(Lowest, nodes=3, schedule=schedule).must_hold("exclusivity")


def test_a_leader_without_a_majority_is_caught(splitbrain: Any) -> None:
    run = splitbrain.run(Bold, nemesis="isolated-leader", seconds=20, seed=7)
    with pytest.raises(AssertionError, match="exclusivity"):
        run.must_hold("exclusivity")
