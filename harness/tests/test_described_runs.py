"""Descriptions of the tutorial, run on containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.tests.described_runs import run_on_containers


@pytest.mark.engine
def test_the_example_runs_and_shows_its_two_leaders(tmp_path: Path) -> None:
    _, found = run_on_containers("naive.toml", tmp_path, "--nemesis", "isolated-leader", "--time-limit", "8")
    assert found["exclusivity"]["observed"] == "violated"
    assert found["stall"]["facts"]["claims_backed"] > 0
    assert (tmp_path / "naive-isolated-leader").is_dir()


@pytest.mark.engine
def test_a_store_that_is_paused_excuses_the_nodes_that_contend_on_it(tmp_path: Path) -> None:
    _, found = run_on_containers("lock.toml", tmp_path, "--nemesis", "server-pause", "--time-limit", "12")
    assert found["coverage"]["facts"]["faults_by_class"] == {"server-pause": 1}
    assert found["stall"]["facts"]["longest_unavailable_ns"] > 2 * 10**9
    assert found["stall"]["verdict"] != "invalid" and found["stability"]["verdict"] != "invalid"
