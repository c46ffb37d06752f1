"""The script that starts a member of etcd: which members it asks, and when it takes a place anew."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from splitbrain.nodes.systems.base import Machine
from splitbrain.nodes.systems.etcd.image import member
from splitbrain.nodes.systems.etcd.system import ETCD_PRE_VOTE_SYSTEM, ETCD_SYSTEM
from splitbrain.nodes.systems.etcd_election.system import ETCD_ELECTION_SYSTEM

NODES = {"n1": "10.0.0.11", "n2": "10.0.0.12"}


class Replaced(Exception):
    pass


def flags(name: str = "n1") -> Sequence[str]:
    return ETCD_SYSTEM.software.command(Machine(name=name, system="etcd", seed=1, nodes=NODES, servers={}))


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments that etcd was started with."""
    found: list[str] = []
    monkeypatch.setattr(os, "execvp", lambda file, arguments: found.extend(arguments))
    monkeypatch.setattr(member, "STARTED", tmp_path / "started")
    return found


def test_a_member_that_starts_for_the_first_time_makes_the_cluster(executed: list[str]) -> None:
    member.main([*flags(), "--data-dir", "/nowhere"])
    assert executed[-2:] == ["--initial-cluster-state", "new"]
    assert "n1=http://10.0.0.11:2380,n2=http://10.0.0.12:2380" in executed


def test_one_that_comes_back_with_its_data_takes_no_place_anew_and_one_without_does(
    executed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, Any]] = []

    def answer(client: str, what: str, body: Any) -> Any:
        asked.append((client, what, body))
        return {"members": [{"ID": "77", "peerURLs": ["http://10.0.0.11:2380"]}, {"ID": "78", "peerURLs": ["x"]}]}

    monkeypatch.setattr(member, "call", answer)
    member.STARTED.touch()
    (tmp_path / "member").mkdir()
    member.main([*flags(), "--data-dir", str(tmp_path)])
    assert executed[-2:] == ["--initial-cluster-state", "new"] and not asked
    (tmp_path / "member").rmdir()
    member.main([*flags(), "--data-dir", str(tmp_path)])
    assert executed[-2:] == ["--initial-cluster-state", "existing"]
    at = "10.0.0.12:2379"
    added = {"peerURLs": ["http://10.0.0.11:2380"]}
    assert asked == [(at, "list", {}), (at, "remove", {"ID": "77"}), (at, "add", added)]


def test_pre_vote_is_a_flag_and_servers_are_members_of_a_cluster_of_their_own() -> None:
    nodes = Machine(name="n2", system="etcd", seed=1, nodes=NODES, servers={})
    assert "--pre-vote" in ETCD_PRE_VOTE_SYSTEM.software.command(nodes)
    assert "--pre-vote" not in flags()
    servers = Machine(name="s1", system="etcd-election", seed=1, nodes=NODES, servers={"s1": "10.0.0.13"})
    assert "s1=http://10.0.0.13:2380" in ETCD_ELECTION_SYSTEM.software_on("s1").command(servers)
    contender = ETCD_ELECTION_SYSTEM.software.command(Machine(**{**vars_of(servers), "name": "n1"}))
    assert "--server=10.0.0.13:2379" in contender


def vars_of(machine: Machine) -> dict[str, Any]:
    return {name: getattr(machine, name) for name in ("name", "system", "seed", "nodes", "servers")}
