"""keepalived by its description: a virtual address, and a cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.tests.described_runs import run_on_containers


@pytest.mark.engine
def test_a_virtual_address_is_held_twice_while_its_holder_is_cut_off(tmp_path: Path) -> None:
    options = ("--nemesis", "isolated-leader", "--time-limit", "20")
    _, found = run_on_containers("keepalived.toml", tmp_path, *options)
    assert found["exclusivity"]["observed"] == "violated"
    assert found["exclusivity"]["verdict"] == "valid", "a known weakness"
