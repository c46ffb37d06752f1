"""Files of other people: what is read of them, and what is written into a run's folder."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from splitbrain import cli
from splitbrain.core.experiment import Experiment, asked_for, cluster_of
from splitbrain.core.store import RunDirectory
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import Limits, Machine
from splitbrain.reports import atomic
from splitbrain.runtimes.docker.images import files_within
from splitbrain.user_systems.description import described

LEAST = '[probe]\npath = "/"\nleading = "leading"\n'
NOTE = {"index": 0, "time": 0, "process": "x", "type": "info", "f": "note", "node": None, "value": None}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a history of one note, and a record."""
    (tmp_path / "history.jsonl").write_text(json.dumps(NOTE) + "\n")
    (tmp_path / "experiment.json").write_text(json.dumps({"system": "raft"}))
    return tmp_path


def splitbrain(*words: str) -> Result:
    return CliRunner().invoke(cli.cli, words)


def description(folder: Path, text: str) -> Path:
    file = folder / "system.toml"
    file.write_text('image = "x"\n' + text + LEAST)
    return file


def test_a_record_whose_servers_are_a_text_is_refused(run: Path) -> None:
    (run / "experiment.json").write_text(
        json.dumps({"system": "etcd-election", "server_names": "abcdefghijklmnopqrstuvwxy"})
    )
    refused = splitbrain("check", str(run)).exception
    assert isinstance(refused, UsageError)
    assert str(refused).startswith("experiment.json: server_names: expected a list of names, got 'abcdefghijkl")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "1" * 10_000, '{"system": 1e999}', f'{{"system": "raft", "time_limit_s": 1{"0" * 400}}}']
)
def test_a_record_that_no_decoder_follows_hinders_no_judging(run: Path, content: str) -> None:
    (run / "experiment.json").write_text(content)
    judged = splitbrain("check", str(run))
    assert isinstance(judged.exception, SystemExit | UsageError)


@pytest.mark.parametrize("command", ["check", "replay"])
@pytest.mark.parametrize("name", ["device", "deep", "large"])
def test_a_file_that_is_no_history_and_no_schedule_is_refused(tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "deep").write_text("[" * 100_000)
    (tmp_path / "large").write_text(" " * (65 << 20) if name == "large" else "")
    path = "/dev/full" if name == "device" else str(tmp_path / name)
    assert isinstance(splitbrain(command, path).exception, UsageError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('command = ["{name:>3000000000}"]\n', "command: expected"),
        ('command = ["{name.__class__}"]\n', "command: expected"),
        ('command = ["{name!r}"]\n', "command: expected"),
        ('command = ["{"]\n', "command: expected"),
        ('command = ["{peers}"]\npeer = "{address:>3000000000}"\n', "peer: expected"),
        ("nodes = 30000\n", "nodes: expected a whole number from 1 to 50"),
        (f"ready_s = 1{'0' * 400}\n", "ready_s: expected a whole number from 1 to 3600"),
        (f"ready_s = 1{'0' * 5000}\n", "no TOML"),
        ("port = 65536\n", "port: expected a whole number from 1 to 65535"),
        (f"command = {'[' * 5000}\n", "no TOML"),
        ('capabilities = ["NET_RAW"]\n', "capabilities: expected a list of some of AUDIT_WRITE"),
        ('capabilities = [["CHOWN"]]\n', "capabilities: expected"),
        ("memory_mb = 1\n", "memory_mb: expected a whole number from 8"),
    ],
)
def test_a_description_that_asks_for_too_much_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        described(description(tmp_path, text))


def test_braces_in_a_command_are_doubled(tmp_path: Path) -> None:
    software = described(description(tmp_path, 'command = ["{{{name}}}", "--peer={peer}", "{peers}"]\n')).software
    machine = Machine(name="n1", system="", seed=0, nodes={"n1": "a1", "n2": "a2", "n3": "a3"}, servers={})
    assert software.command(machine) == ["{n1}", "--peer=n2=a2", "--peer=n3=a3", "n2=a2,n3=a3"]


def test_the_rights_of_an_image_are_those_that_it_asks_for(tmp_path: Path) -> None:
    assert "NET_RAW" not in described(description(tmp_path, "")).software.capabilities
    asked = described(description(tmp_path, "capabilities = []\nmemory_mb = 64\npids = 32\n")).software
    assert (asked.capabilities, asked.memory_mb, asked.pids) == ((), 64, 32)


def test_links_out_of_a_folder_are_refused_and_links_within_are_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text("")
    (folder / "also").symlink_to("Dockerfile")
    assert sorted(files_within(folder)) == ["Dockerfile", "also"]
    (folder / "stolen").symlink_to("../secret")
    with pytest.raises(UsageError, match="stolen: expected a file within"):
        files_within(folder)


def test_a_folder_of_devices_gives_none_of_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert files_within(tmp_path) == {}


def test_writing_a_result_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("verdicts.json", ".verdicts.json.new"):
        (run / name).symlink_to("../precious")
    RunDirectory(run).write_json("verdicts.json", {})
    assert (tmp_path / "precious").read_text() == "kept"


def refuse(path: Path, content: bytes) -> Path:
    raise OSError(errno.EROFS, "Read-only file system", str(path))


def test_check_of_a_read_only_run_ends_with_its_verdict(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "write", refuse)
    judged = splitbrain("check", str(run))
    assert judged.exit_code == 2
    assert "UNKNOWN" in judged.stdout
    assert "verdicts.json: cannot be written: Read-only file system; nothing was written" in judged.stderr


def test_report_of_a_read_only_run_prints_the_verdict_and_fails(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "write", refuse)
    drawn = splitbrain("report", str(run))
    assert isinstance(drawn.exception, EnvironmentFailure)
    assert "UNKNOWN" in drawn.stdout
    assert "no report was written: " in str(drawn.exception)


def test_limits_of_a_run_hold_for_all_its_containers_and_are_repeated() -> None:
    etcd, limits = SYSTEMS["etcd"], Limits(memory_mb=300)
    given = asked_for(etcd, ("kill",), "docker", None, 10.0, 1, limits=limits)
    assert given.command.endswith(" --memory 300")
    assert Experiment.from_json(given.to_json(), "experiment.json", lambda name: etcd) == given
    software = cluster_of(given).system.software
    assert (software.memory_mb, software.pids) == (300, etcd.software.pids)
    for servers in Limits(memory_mb=300, pids=90).of(SYSTEMS["zookeeper"]).servers.values():
        assert (servers.software.memory_mb, servers.software.pids) == (300, 90)


def test_a_run_without_limits_of_its_own_has_those_of_its_software() -> None:
    plain = asked_for(SYSTEMS["etcd"], ("kill",), "docker", None, 10.0, 1)
    assert "limits" not in plain.to_json() and "--memory" not in plain.command
    assert cluster_of(plain).system == plain.system


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--memory", "7"), "7 is not in the range x>=8"),
        (("--pids", "0"), "0 is not in the range x>=1"),
        (("--pids", "9", "--runtime", "sim"), "--pids limits a container"),
    ],
)
def test_impossible_limits_are_wrong_usage(options: tuple[str, ...], words: str) -> None:
    refused = splitbrain("test", "raft", *options)
    assert refused.exit_code and words in f"{refused.output}{refused.exception}"


@pytest.mark.parametrize("recorded", [{"memory_mb": -1}, {"pids": True}, {"memory_mb": "1e9"}, {"cpus": 2}, 7])
def test_limits_of_a_record_that_no_container_can_have_are_refused(run: Path, recorded: object) -> None:
    usual = asked_for(SYSTEMS["raft"], ("kill",), "docker", None, 10.0, 1).to_json()
    (run / "experiment.json").write_text(json.dumps(usual | {"limits": recorded}))
    (run / "schedule.json").write_text(json.dumps({"format": 1, "length_ms": 10_000, "steps": []}))
    assert isinstance(splitbrain("replay", str(run)).exception, UsageError)
