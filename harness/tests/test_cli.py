"""The command line: one clear message and the right exit status for every mistake."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from splitbrain.cli import main
from splitbrain.tests.histories import clean_history, history_of, partition, two_leaders


class Done(NamedTuple):
    status: int
    out: str
    err: str


class CommandLine:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Done:
        words: Sequence[str] = [str(argument) for argument in arguments]
        try:
            main(words)
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        out, err = self._capsys.readouterr()
        return Done(status, out, err)


@pytest.fixture
def splitbrain(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["test", "paxos"], "unknown system 'paxos': expected one of"),
        (["test", "raft", "--nemesis", "partiton"], "partition"),
        (["test", "raft", "--nodes", "2"], "3 to 15, got 2"),
        (["test", "raft", "--nodes", "16"], "3 to 15, got 16"),
        (["test", "raft", "--nodes", "five"], "'five' is not a valid integer"),
        (["test", "raft", "--nemesis", "churn", "--nodes", "4"], "churn"),
        (["test", "raft", "--runtime", "cloud"], "--runtime: expected docker or sim, got 'cloud'"),
        (["test", "raft", "--time-limit", "0"], "expected 1 to 86400 seconds, got 0"),
        (["test", "raft", "--observe-period", "0"], "--observe-period: expected 1 to"),
        (["test", "raft", "--nemesis", "torn"], "rerun with --allow-privileged: kill with state torn"),
        (["test"], "Missing argument"),
        (["tset"], "No such command 'tset'"),
        (["check", "nowhere"], "nowhere: cannot be read"),
        (["check", "nowhere", "--system", "paxos"], "unknown system"),
        (["report", "nowhere"], "nowhere: expected a run's directory"),
        (["replay", "nowhere.json"], "nowhere.json: cannot be read"),
        (["serve", "--store", "nowhere"], "nowhere: expected a store"),
    ],
)
def test_wrong_usage_exits_with_64_and_one_message(
    splitbrain: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = splitbrain(*arguments)
    assert done.status == 64
    assert says in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == [], "nothing is made for a run that cannot be"


def test_an_invalid_schedule_is_refused_with_the_place(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    step = {"at_ms": 0, "for_ms": -5, "fault": {"f": "partition", "shape": "halves"}}
    path.write_text(json.dumps({"format": 1, "length_ms": 1000, "steps": [step]}))
    done = splitbrain("replay", path, "--store", tmp_path / "store")
    assert done.status == 64
    assert "steps[0].for_ms" in done.err and "-5" in done.err


def test_an_impossible_store_is_refused(splitbrain: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = splitbrain("test", "raft", "--time-limit", "5", "--store", tmp_path / "file")
    assert done.status == 64
    assert "store" in done.err


def test_a_broken_history_is_refused_with_its_line(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    lines = history_of(clean_history()).splitlines(keepends=True)
    path.write_text("".join([*lines[:3], '{"index": 3, "time": "soon"}\n', *lines[4:]]))
    done = splitbrain("check", path)
    assert done.status == 64
    assert "history.jsonl" in done.err and "4" in done.err


def test_a_history_cut_off_in_its_last_line_is_judged(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of(two_leaders())[:-20])
    assert splitbrain("check", path).status in (1, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "history.edn",
            "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n"
            "{:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value 0}\n",
        ),
        ("history.txt", "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n1\t:invoke\t:read\tnil\n1\t:ok\t:read\t0\n"),
        (
            "plain.jsonl",
            '{"process": 0, "type": "invoke", "f": "write", "value": 1}\n'
            '{"process": 0, "type": "ok", "f": "write", "value": 1}\n'
            '{"process": 1, "type": "invoke", "f": "read", "value": null}\n'
            '{"process": 1, "type": "ok", "f": "read", "value": 0}\n',
        ),
    ],
)
def test_a_history_of_jepsen_is_read_and_the_verdict_names_the_model(
    splitbrain: CommandLine, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    done = splitbrain("check", tmp_path / name, "--json")
    found = json.loads(done.out)["properties"]["linearizability"]
    assert (done.status, found["verdict"], found["evidence"]) == (1, "invalid", [3])
    assert found["words"].endswith("(model register)")
    done = splitbrain("check", tmp_path / name, "--json", "--model", "cas-register")
    assert "(model cas-register)" in json.loads(done.out)["properties"]["linearizability"]["words"]
    assert "'queue' is not one of" in splitbrain("check", tmp_path / name, "--model", "queue").err


def test_a_lock_is_judged_as_a_mutex_when_asked(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.txt"
    path.write_text("0\t:invoke\t:acquire\tnil\n0\t:ok\t:acquire\tnil\n")
    judged = json.loads(splitbrain("check", path, "--json").out)
    assert judged["properties"]["linearizability"]["verdict"] == "not judged"
    words = "1 operation on 1 mutex: linearizable (model mutex)"
    assert words in splitbrain("check", path, "--model", "mutex").out


def test_two_leaders_at_one_time_exit_with_1_and_the_evidence(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of(two_leaders()))
    done = splitbrain("check", path, "--json")
    assert done.status == 1
    verdicts = json.loads(done.out)
    assert verdicts["verdict"] == "invalid"
    found = verdicts["properties"]["exclusivity"]
    assert found["verdict"] == "invalid" and found["class"] == "proven"
    assert 2 <= len(found["evidence"]) <= 4
    lines = history_of(two_leaders()).splitlines()
    claims = [json.loads(lines[index]) for index in found["evidence"]]
    assert {claim["node"] for claim in claims} == {"n1", "n2"}
    assert all(claim["value"]["leading"] for claim in claims)


@pytest.mark.parametrize(("system", "verdict"), [("raft-basic", "valid"), ("raft-lease", "invalid")])
def test_two_leaders_of_different_terms_break_a_lease_and_not_raft(
    splitbrain: CommandLine, tmp_path: Path, system: str, verdict: str
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of([*partition("n1", "n2", 0), *two_leaders()]))
    properties = json.loads(splitbrain("check", path, "--json", "--system", system).out)["properties"]
    assert properties["exclusivity"]["verdict"] == verdict
    assert properties["exclusivity"]["class"] == "proven"
    assert properties["term-safety"]["verdict"] == "valid"


def test_without_any_fault_not_even_raft_may_have_two_leaders(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of(two_leaders()))
    assert splitbrain("check", path, "--system", "raft-basic").status == 1


def a_register() -> list[dict[str, Any]]:
    """A value is written, and read six seconds later; no node is named."""
    return [
        {"time": 0, "process": 0, "type": "invoke", "f": "write", "value": 1},
        {"time": 1_000_000, "process": 0, "type": "ok", "f": "write", "value": 1},
        {"time": 6_000_000_000, "process": 0, "type": "invoke", "f": "read", "value": None},
        {"time": 6_001_000_000, "process": 0, "type": "ok", "f": "read", "value": 1},
    ]


def test_a_correct_register_is_valid_and_what_it_says_nothing_about_is_not_judged(
    splitbrain: CommandLine, tmp_path: Path
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of(a_register()))
    done = splitbrain("check", path)
    assert done.status == 0
    assert [line.split()[:2] for line in done.out.splitlines()] == [
        ["valid", "linearizability:"],
        ["not", "judged:"],
        ["VALID:", "linearizability"],
    ]
    properties = json.loads(splitbrain("check", path, "--json").out)["properties"]
    assert properties["linearizability"]["verdict"] == "valid"
    assert properties["stall"]["verdict"] == properties["coverage"]["verdict"] == "not judged"


def test_the_properties_to_judge_can_be_chosen(splitbrain: CommandLine, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.jsonl").write_text(history_of(two_leaders()))
    done = splitbrain("check", run, "--json", "--property", "term-safety,agreement")
    assert (done.status, list(json.loads(done.out)["properties"])) == (0, ["term-safety", "agreement"])
    assert not (run / "verdicts.json").exists()
    wrong = splitbrain("check", run, "--property", "term-saftey")
    assert wrong.status == 64
    assert "got 'term-saftey'; did you mean term-safety?" in wrong.err


def test_a_history_without_faults_is_unknown(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(history_of(clean_history()))
    done = splitbrain("check", path)
    assert done.status == 2
    assert done.out.splitlines()[-1].startswith("UNKNOWN")


def test_an_empty_history_is_unknown(splitbrain: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("")
    assert splitbrain("check", path).status == 2


def test_a_run_is_judged_again_and_drawn_from_its_directory(splitbrain: CommandLine, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "history.jsonl").write_text(history_of(two_leaders()))
    assert splitbrain("check", run).status == 1
    assert json.loads((run / "verdicts.json").read_text())["verdict"] == "invalid"
    done = splitbrain("report", run)
    assert done.status == 0
    assert (run / "report.html").stat().st_size > 1_000
    assert done.out.strip() == str(run / "report.html")


def test_systems_and_nemeses_are_listed_with_descriptions(splitbrain: CommandLine) -> None:
    assert "raft-lease" in splitbrain("systems").out
    listed = splitbrain("nemeses").out
    assert all(name in listed for name in ("partition", "isolated-leader", "leader-deaf", "bridge"))
    assert listed.count("--allow-privileged") == 1, "of power cuts on containers"
