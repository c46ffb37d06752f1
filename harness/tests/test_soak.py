from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from splitbrain.campaigns.soak.runs import GROWN, all_nemeses, grown, rules_of, runs
from splitbrain.cli import cli
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.reports.soak import write


def counted(*rows: dict[str, Any]) -> pd.DataFrame:
    usual = dict.fromkeys(GROWN, 5) | {"memory_mb": 100.0, "processes": 9, "verdict": "valid", "unverified": 0}
    return pd.DataFrame([usual | {"at_s": 60.0 * at} | row for at, row in enumerate(rows)])


def test_equal_counts_have_not_grown() -> None:
    assert grown(counted({}, {}, {}, {})) == []


@pytest.mark.parametrize("name", GROWN)
def test_a_count_above_that_of_the_first_run_has_grown(name: str) -> None:
    assert grown(counted({}, {name: 9}, {name: 6})) == [f"{name.replace('_', ' ')} grew from 5 to 6"]
    assert grown(counted({}, {name: 9}, {name: 5})) == []  # a temporary rise does not count


def test_memory_may_fluctuate_but_not_grow() -> None:
    assert grown(counted({}, {}, {"memory_mb": 120.0}, {"memory_mb": 118.0})) == []
    assert grown(counted({}, {}, {"memory_mb": 110.0}, {"memory_mb": 130.0})) == ["memory grew from 100 to 130 MB"]


def test_rules_of_other_networks_are_not_counted() -> None:
    saved = """*nat
:DOCKER - [0:0]
-A POSTROUTING -s 10.203.4.0/24 ! -o br-0123456789ab -j MASQUERADE
-A POSTROUTING -s 10.205.9.0/24 ! -o br-ba9876543210 -j MASQUERADE
-A DOCKER ! -i br-0123456789ab -p tcp -m tcp --dport 32773 -j DNAT --to-destination 10.203.4.11:8000
-A DOCKER -i docker0 -j RETURN
"""
    assert rules_of({"br-0123456789ab", "br-of-an-earlier-run"}, saved) == 2
    assert rules_of(set(), saved) == 0


def test_disk_faults_are_used_where_the_system_has_data_folders() -> None:
    assert all_nemeses(SYSTEMS["raft"]) == ("all", "oom", "disk-full", "slow-fsync", "failing-fsync")
    assert all_nemeses(SYSTEMS["zookeeper"])[2:] == ("server-disk-full", "server-slow-fsync", "server-failing-fsync")
    with_none = replace(SYSTEMS["raft"], software=replace(SYSTEMS["raft"].software, data=None))
    assert all_nemeses(with_none) == ("all", "oom")


def test_plot_and_table_are_written(tmp_path: Path) -> None:
    plot = write(counted({}, {"verdict": "failed"}), tmp_path)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "soak.csv").read_text().splitlines()) == 3


def test_the_command_has_a_help_text() -> None:
    assert "Run SYSTEMS" in CliRunner().invoke(cli, ["soak", "--help"]).output


@pytest.mark.engine
def test_a_run_leaves_no_container_network_or_volume(tmp_path: Path) -> None:
    (row,) = runs(["raft"], 0.001, 1, tmp_path, Console(quiet=True), run_s=14.0)
    assert row["verdict"] in ("valid", "unknown")
    assert row["faults"] > 0
    assert (row["containers"], row["networks"], row["volumes"]) == (0, 0, 0)
    assert row["host_rules"] == 0
