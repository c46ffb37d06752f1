"""The public interface, as a user of ``import splitbrain`` meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import splitbrain
from splitbrain.checkers.history import History
from splitbrain.core.judging import EVERYTHING_PROMISED
from splitbrain.errors import UsageError

READ_OF_OLD_VALUE = [
    {"process": 0, "type": "invoke", "f": "write", "value": 1},
    {"process": 0, "type": "ok", "f": "write", "value": 1},
    {"process": 1, "type": "invoke", "f": "write", "value": 2},
    {"process": 1, "type": "ok", "f": "write", "value": 2},
    {"process": 2, "type": "invoke", "f": "read", "value": None},
    {"process": 2, "type": "ok", "f": "read", "value": 1},
]


def lines(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    """The entries as complete history lines, one per millisecond."""
    return [{"index": at, "time": at * 1_000_000, "node": None, **entry} for at, entry in enumerate(entries)]


def test_importing_splitbrain_imports_neither_numpy_nor_pandas() -> None:
    code = "import sys, splitbrain; print(sorted({'numpy', 'pandas', 'docker'}.intersection(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]


def test_help_imports_neither_numpy_nor_pandas_nor_rich() -> None:
    code = (
        "import sys\nfrom splitbrain.cli import cli\ncli(['--help'], standalone_mode=False)\n"
        "print(sorted({'numpy', 'pandas', 'docker', 'rich', 'hypothesis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Commands:" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_a_run_of_a_system_can_be_judged_as_a_table() -> None:
    run = splitbrain.run("raft", nodes=3, nemesis="isolated-leader", seconds=8, seed=1)
    assert run.verdict == "valid"
    table = splitbrain.judge(run.history, system="raft").to_dataframe()
    assert set(table["verdict"]) == {"valid"} and "term-safety" in set(table["property"])
    assert list(run.to_dataframe()["property"]) == list(table["property"])


def test_without_a_system_every_guarantee_is_promised() -> None:
    run = splitbrain.run("raft-basic", nodes=3, nemesis="isolated-leader", seconds=8, seed=1)
    assert run.verdict == splitbrain.judge(run.history, system="raft-basic").verdict == "valid"
    assert splitbrain.judge(run.history).verdict == "invalid"


@pytest.mark.parametrize(
    ("system", "nemesis", "message"),
    [
        ("etcd", "partition", "etcd is real software, of which there is no simulation"),
        ("raft", "disk-full", "the runtime sim cannot do all of this schedule; it lacks: full disk"),
    ],
)
def test_a_run_that_the_simulation_cannot_make_is_refused(system: str, nemesis: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        splitbrain.run(system, runtime="sim", nodes=3, nemesis=nemesis, seconds=5)


WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (splitbrain.run, {"runtime": "docker-compose"}, "runtime: expected one of docker, sim, got 'docker-compose'"),
    (splitbrain.run, {"promises": "quorums"}, "promises: expected one of quorum, quorum-with-lease, best-effort, all"),
    (splitbrain.run, {"system": None}, "expected a class, a function that makes nodes, or a System, got None"),
    (splitbrain.run, {"seed": None}, "seed: expected a whole number, got None"),
    (splitbrain.run, {"seed": "7"}, "seed: expected a whole number, got '7'"),
    (splitbrain.run, {"nodes": "3"}, "nodes: expected a whole number, got '3'"),
    (splitbrain.run, {"nodes": True}, "nodes: expected a whole number, got True"),
    (splitbrain.run, {"seconds": "5"}, "seconds: expected a number, got '5'"),
    (splitbrain.run, {"seconds": float("nan")}, "seconds: expected more than 0 and at most 86400, got nan"),
    (splitbrain.run, {"nemesis": 5}, "nemesis: expected a list of names, got 5"),
    (splitbrain.run, {"nemesis": ["kill", 5]}, r"nemesis: expected a list of names, got \['kill', 5\]"),
    (splitbrain.run, {"schedule": {}}, r"schedule: expected a splitbrain.Schedule, got \{\}"),
    (splitbrain.run, {"observe_period_ms": 2.5}, "observe_period_ms: expected a whole number, got 2.5"),
    (splitbrain.run, {"workload": "foo"}, "workload: expected one of election, .*, got 'foo'"),
    (splitbrain.run, {"strict": 1}, "strict: expected True or False, got 1"),
    (splitbrain.judge, {"history": "history.jsonl"}, "history: expected a History"),
    (splitbrain.judge, {"system": 5}, "system: expected a name or a System, got 5"),
    (splitbrain.judge, {"nodes": "n1"}, "nodes: expected a list of names, got 'n1'"),
    (splitbrain.judge, {"servers": None}, "servers: expected a list of names, got None"),
    (splitbrain.judge, {"workload": "foo"}, "workload: expected one of election, .*, got 'foo'"),
    (splitbrain.judge, {"strict": "no"}, "strict: expected True or False, got 'no'"),
    (splitbrain.read_history, {"path": None}, "path: expected a path, got None"),
    (splitbrain.linearizable, {"history": None}, "history: expected a History or its lines, got None"),
    (splitbrain.linearizable, {"history": "[]"}, r"history\[0\]: expected a line as a mapping, got '\['"),
]


@pytest.mark.parametrize(("function", "wrong", "says"), WRONG)
def test_arguments_of_the_wrong_type_are_refused(
    function: Callable[..., object], wrong: dict[str, Any], says: str
) -> None:
    good = {"system": "raft"} if function is splitbrain.run else {"history": History.from_entries([])}
    with pytest.raises(UsageError, match=says):
        function(**(wrong if function is splitbrain.read_history else {**good, **wrong}))


def test_the_machines_and_the_workload_count_without_a_system_too() -> None:
    history = History.from_entries([])
    judged = splitbrain.judge(history, nodes=["n1", "n2"], servers=["s1"], workload="lock")
    assert (judged.contract.bounds.members, judged.contract.bounds.servers) == (("n1", "n2"), ("s1",))
    assert judged.contract.promises["fencing"] == "not-promised"
    assert splitbrain.judge(history).contract == EVERYTHING_PROMISED


def test_a_stored_history_is_read_from_its_file_or_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines(READ_OF_OLD_VALUE)))
    assert splitbrain.read_history(path).lines == splitbrain.read_history(tmp_path).lines == 6
    path.write_text("nonsense\n")
    with pytest.raises(UsageError, match="line 1"):
        splitbrain.read_history(path)


def test_a_read_of_an_old_value_is_not_linearizable() -> None:
    assert splitbrain.linearizable(lines(READ_OF_OLD_VALUE)).outcome.word == "invalid"
    assert splitbrain.linearizable(lines(READ_OF_OLD_VALUE[:4])).outcome.word == "valid"
    with pytest.raises(UsageError):
        splitbrain.linearizable([{"process": 0}])
    assert splitbrain.linearizable(READ_OF_OLD_VALUE).outcome.word == "invalid", "without index and time"


def test_linearizability_is_checked_by_the_model_given() -> None:
    acquires = [{"process": at // 2, "type": kind, "f": "acquire"} for at, kind in enumerate(["invoke", "ok"] * 2)]
    assert splitbrain.linearizable(acquires, model="mutex").outcome.word == "invalid"
    assert splitbrain.linearizable(acquires[:2], model="mutex").outcome.word == "valid"
    with pytest.raises(UsageError, match="model: expected one of register, cas-register, mutex, set, got 'queue'"):
        splitbrain.linearizable(acquires, model="queue")  # type: ignore[arg-type]


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert splitbrain.__version__ == version("splitbrain")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        splitbrain.nothing  # noqa: B018
