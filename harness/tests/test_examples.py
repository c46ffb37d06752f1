"""Descriptions of real software in docs/examples, started as a reader would, and the schedules beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.core.experiment import read_schedule
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.runs import run

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
STARTED = ("nats.toml",)
"""Those that no other test starts."""


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.toml")), ids=lambda file: file.stem)
def test_every_example_is_a_description(file: Path) -> None:
    if "mariadb://" in file.read_text():
        pytest.importorskip("pymysql")
    assert find_system(str(file)).help != "a system described by a TOML file", "a line about it, for lists"


def test_the_schedules_beside_them_can_be_aimed_at_five_nodes() -> None:
    for file in EXAMPLES.rglob("schedules/*.json"):
        assert read_schedule(file).steps


@pytest.mark.engine
@pytest.mark.parametrize("name", STARTED)
def test_an_example_is_started_and_all_its_nodes_name_one_leader(name: str, tmp_path: Path) -> None:
    history = run(EXAMPLES / name, nemesis="none", seconds=2, seed=1, store=tmp_path).history
    seen = history.observations
    assert seen.leading[seen.ok].any()
    last_named = {int(node): int(leader) for node, leader in zip(seen.node[seen.ok], seen.leader[seen.ok], strict=True)}
    assert len(last_named) == len(history.nodes) and len(set(last_named.values())) == 1
