"""Hostile inputs of every format, and how each is read: by a clear refusal or by a result, and in no other way.

An input is a valid document in which a few places were replaced, removed or repeated, as a value or as bytes.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest import mock

import click

from splitbrain import cli, reports
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.judge import judge
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import judge_stored, read_history
from splitbrain.core.store import RunDirectory
from splitbrain.core.stored_system import stored_system
from splitbrain.errors import EXIT_VALID, SplitbrainError
from splitbrain.nemesis import schedules
from splitbrain.nemesis.faults import ScheduleError
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.reports.store import runs
from splitbrain.tests.histories import history_of
from splitbrain.user_systems.description import described

REFUSALS: Final = (SplitbrainError, HistoryError, ScheduleError, click.ClickException, click.exceptions.Exit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One format: how a hostile input is made, and how it is read, or refused by one of ``REFUSALS``."""

    input: Callable[[Random], Any]
    read: Callable[[Any], object]


# Values and texts that broke one reader or another

NUMBERS: Final = (2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**400, -1, 0, 1, 1.5, 1e300, -0.0, True, False, None)
TEXTS: Final = (
    *("", "n1", "n2", "s1", "nemesis", "watcher", "true", "../..", "{", "{0}", "a" * 5_000),
    *("\x00", "\ud800", "\u2155", "\U0001f600", "\u202e", "n\n1"),
)
TOKENS: Final = (
    *(b"", b"\n", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"#", b"#{", b"#_", b"-", b"= ", b"\r", b"\t:ok\t"),
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xc2\xa0", b"\\ud800", b"1e999", b"NaN", b"null", b"''' ", b'""" '),
    *(b"9" * 5_000, b"[" * 3_000, b'{"a":' * 3_000),
)


def value_of(rng: Random, depth: int = 3) -> Any:
    """A JSON value in a place where another is expected."""
    match rng.randrange(5 if depth else 3):
        case 0:
            return rng.choice(NUMBERS)
        case 1:
            return rng.choice(TEXTS)
        case 2:
            return rng.getrandbits(rng.choice((3, 16, 60)))
        case 3:
            return [value_of(rng, depth - 1) for _ in range(rng.randrange(4))]
        case _:
            return {rng.choice(TEXTS): value_of(rng, depth - 1) for _ in range(rng.randrange(4))}


def changed(rng: Random, document: Any) -> Any:
    """The document with one to four places changed."""
    made = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        made = _changed_once(rng, made)
    return made


def _changed_once(rng: Random, value: Any) -> Any:
    """The value with one place in it changed, which may be all of it."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.03:
        return value_of(rng)
    key = rng.choice([*value] if isinstance(value, dict) else range(len(value)))
    match rng.randrange(5):
        case 0:
            del value[key]
        case 1 if isinstance(value, list):
            value.insert(key, copy.deepcopy(value[key]))
        case 1 if isinstance(value, dict):
            value[rng.choice(TEXTS)] = copy.deepcopy(value[key])
        case _:
            value[key] = _changed_once(rng, value[key])
    return value


def changed_object(rng: Random, document: dict[str, Any]) -> dict[str, Any]:
    """The changed document where it is still an object, as everything that is read from a run's folder."""
    made = changed(rng, document)
    return made if isinstance(made, dict) else {}


def damaged(rng: Random, text: str) -> bytes:
    """The text with one to four stretches of its bytes replaced."""
    made = text.encode()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        start = rng.randint(0, len(made))
        end = min(len(made), start + rng.choice((0, 0, 1, 3, 20, len(made))))
        inserted = rng.choice((rng.choice(TOKENS), rng.choice(TOKENS), rng.randbytes(3), made[:200]))
        made = made[:start] + inserted + made[end:]
    return made


# Valid documents


def _operation(process: int, f: str, node: str | None, sent: Any, outcome: str, answer: Any) -> list[dict[str, Any]]:
    common = {"process": process, "f": f, "node": node}
    return [{"type": "invoke", "value": sent, **common}, {"type": outcome, "value": answer, **common}]


def _fault(id: int, f: str, **value: Any) -> list[dict[str, Any]]:
    common = {"process": "nemesis", "type": "info", "f": f, "node": None}
    return [{**common, "value": {"id": id, "phase": phase, **value}} for phase in ("begin", "done")]


def _claim(leading: bool, term: int) -> dict[str, Any]:
    return {"leading": leading, "leader": "n1", "term": term, "reign": f"b-{term}", "vote": "n1"}


def _lines() -> list[dict[str, Any]]:
    links = [["n1", "n2"], ["n2", "n1"]]
    lines = [
        *_operation(0, "observe", "n1", None, "ok", _claim(True, 1)),
        *_operation(1, "observe", "n2", None, "ok", _claim(False, 1)),
        *_operation(2, "observe", "n3", None, "ok", _claim(False, 1)),
        *_operation(3, "confirm", "n1", None, "ok", {"term": 1, "reign": "b-1"}),
        {"process": "canary", "type": "info", "f": "canary", "node": None, "value": {"late": 1000}},
        *_fault(0, "partition", nodes=["n1"], links=links, shape="isolated-leader", **{"class": "leader-isolated"}),
        *_operation(4, "append", None, {"token": 1, "entry": "n1-1"}, "ok", {"position": 0}),
        *_operation(5, "read-ledger", None, None, "ok", [{"token": 1, "holder": "n1", "entry": "n1-1"}]),
        *_operation(6, "acquire", "n1", {"key": "a"}, "ok", None),
        *_operation(6, "release", "n1", {"key": "a"}, "ok", {"held": True}),
        *_operation(7, "add", None, 1, "ok", None),
        *_operation(7, "read-set", None, None, "ok", [1]),
        *_operation(8, "write", None, 3, "ok", None),
        *_operation(8, "cas", None, {"from": 3, "to": 4}, "ok", {"swapped": True}),
        *_operation(8, "read", None, None, "ok", 4),
        *_operation(9, "opinion", "s1", None, "ok", {"leader": "n2", "epoch": 3}),
        *_fault(1, "heal", heals=[0]),
        {"process": "watcher", "type": "info", "f": "ended", "node": "n2", "value": {"at": 5, "status": 1}},
        {"process": "n2", "type": "info", "f": "led", "node": "n2", "value": {"term": 2, "at": 5}},
        *_operation(0, "observe", "n1", None, "fail", None),
        *_operation(1, "observe", "n2", None, "ok", _claim(True, 2)),
    ]  # fmt: skip
    return [{"index": at, "time": 50_000_000 * at, **line} for at, line in enumerate(lines)]


HISTORY = _lines()
EDN = """{:process 0, :type :invoke, :f :write, :value 1, :time 10}
{:process 0, :type :ok, :f :write, :value 1, :time 20}
#jepsen.history.Op{:index 2, :process 1, :type :invoke, :f :cas, :value [1 2], :time 30}
{:process 1, :type :info, :f :cas, :value [1 2], :time 40, :error [:timeout "late"]}
{:process :nemesis, :type :info, :f :start, :value #{"n1" \\c 1/2 nil}}
{:process 2, :type :invoke, :f :read, :value nil} ; a comment
{:process 2, :type :ok, :f :read, :value 2N}
"""
LOG = (
    "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n1\t:invoke\t:read\tnil\n1\t:ok\t:read\t1\n:nemesis\t:info\t:start\tnil\n"
)
EXPERIMENT: dict[str, Any] = {
    "format": 1,
    "system": "raft",
    "nemesis": ["kill", "partition"],
    "runtime": "sim",
    "nodes": 3,
    "time_limit_s": 20.0,
    "seed": 7,
    "workload": {
        "kind": "election",
        "observe_period_ms": 100,
        "confirm_period_ms": 100,
        "probe_timeout_ms": 400,
        "canary_period_ms": None,
        "write_period_ms": 50,
    },
    "node_names": ["n1", "n2", "n3"],
    "server_names": ["s1"],
    "judged_by": {
        "promises": {"crash": {"exclusivity": "guaranteed"}, "partition": {"exclusivity": "known-weakness"}},
        "stall_bound_ms": 2_100,
        "suspicion_ms": 300,
        "eligibility": "clique",
        "elects": "nodes",
        "round_ms": 300,
        "features": ["votes"],
    },
    "bounds": {"stall_ms": 2_100, "suspicion_ms": 300, "eligibility": "clique", "elects": "nodes", "round_ms": 300},
    "promises": {"exclusivity": "guaranteed"},
    "fault_classes": ["crash"],
    "command": "splitbrain test raft",
    "started_utc": "2026-01-01T00:00:00+00:00",
    "versions": {"splitbrain": "0.2.0"},
    "notes": ["a note"],
    "durations_s": {"faults": 20.0},
}
SCHEDULE: dict[str, Any] = {
    "format": 1,
    "length_ms": 60_000,
    "steps": [
        {"at_ms": 2_000, "for_ms": 5_500, "fault": {"f": "partition", "shape": "isolated-leader"}},
        {"at_ms": 4_000, "for_ms": 50, "fault": {"f": "kill", "target": "subject"}, "when": {"event": "new-leader"}},
        {"at_ms": 9_000, "for_ms": 900, "fault": {"f": "skew", "target": "all", "offset_ms": 500}, "among": "servers"},
        {"at_ms": 12_000, "for_ms": 900, "fault": {"f": "delay", "target": "leader", "ms": 50, "jitter_ms": 5}},
    ],
}
DESCRIPTION = """# a system
image = "mine:1"
command = ["--id", "{name}", "--peer={peer}", "{peers}"]
peer = "{name}={address}:7000"
separator = ","
port = 8000
data = "/data"
nodes = 3
ready_s = 30
stall_bound_ms = 5000
eligibility = "clique"
capabilities = ["CHOWN"]
memory_mb = 100
[probe]
path = "/status"
leading = "role == leader"
term = "raft.term"
[confirm]
path = "/confirm"
method = "PUT"
[promises.all]
exclusivity = "not-promised"
[promises.leader-isolated]
exclusivity = "known-weakness"
"""
COMMANDS: Final = ("test", "replay", "check", "report", "systems", "nemeses", "workloads", "serve")
WORDS: Final = (
    *("raft", "raft-kill", "etcd", "zookeeper", "broken/x", "a:b", "os:getcwd", "x.toml", ".", "", "-", "--"),
    *("/dev/null", "/dev/full", "--nemesis", "kill", "kill,partition", "all", "none", "--runtime", "sim", "docker"),
    *("--nodes", "3", "0", "-1", "9" * 20, "9" * 5_000, "--time-limit", "1", "1e9", "nan", "inf", "--seed"),
    *("--workload", "lock", "--observe-period", "--store", "--json", "--strict", "--system", "--trust", "--property"),
    *("stall", "--model", "mutex", "--port", "--allow-privileged", "-h", "--help", "--version", "--debug"),
)


# How each is read


def as_lines(lines: Any) -> bytes:
    """A changed history as JSON lines; what is no list is one line."""
    return "\n".join(json.dumps(line) for line in (lines if isinstance(lines, list) else [lines])).encode()


def read_lines(lines: bytes) -> None:
    judge(History.from_lines(lines.splitlines(keepends=True)))


def read_foreign(text: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        judge(read_history(Path(file.name)))


def read_record(record: Any) -> None:
    """Judge a small history by the record, read it for a replay, and list it."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "raft-kill" / "20260101T000000Z-7"
        run.mkdir(parents=True)
        (run / "experiment.json").write_text(json.dumps(record))
        runs(Path(scratch))
        stored = RunDirectory(run).read_json("experiment.json")
    judge_stored(PARSED, stored_system(stored, "experiment.json"), stored)
    Experiment.from_json(stored, "experiment.json", lambda name: SYSTEMS["raft"])


def read_verdicts(verdicts: Any) -> None:
    """List a run with these verdicts in the index of its store."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "raft-kill" / "20260101T000000Z-7"
        run.mkdir(parents=True)
        (run / "verdicts.json").write_text(json.dumps(verdicts))
        runs(Path(scratch))


def draw_report(run: tuple[Any, Any, Any]) -> None:
    """Make the page of a run with these verdicts, record and schedule."""
    verdicts, record, schedule = run
    with tempfile.TemporaryDirectory() as scratch:
        reports.render(PARSED, verdicts, record, schedule, Path(scratch))


def read_schedule(schedule: Any) -> None:
    schedules.from_json(schedule)


def read_description(text: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(text)
        file.flush()
        described(Path(file.name))


def read_command(words: list[str]) -> None:
    """Run a command whose work is left out; every failure but a bug has a status and a message of its own."""
    said = io.StringIO()
    with (
        mock.patch.object(cli, "_perform", lambda *_: None),
        mock.patch("splitbrain.serve.serve_store", lambda *_: None),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
    ):
        try:
            cli.main(words)
        finally:
            assert "a bug of splitbrain" not in said.getvalue(), said.getvalue()


TEXT_HISTORY: Final = history_of(HISTORY)
PARSED: Final = History.from_entries(HISTORY)
VERDICTS: Final = judge(PARSED).as_json("run")
JSON: Final = "\n".join(
    json.dumps({key: line[key] for key in ("process", "type", "f", "value")}) for line in HISTORY[17:27]
)


def _words(rng: Random) -> list[str]:
    """A command, mostly a known one, and up to five more words."""
    more = [rng.choice((rng.choice(WORDS), rng.choice(WORDS), _argument(rng))) for _ in range(rng.randrange(6))]
    return [rng.choice(COMMANDS), *more] if rng.random() < 0.9 else more


def _argument(rng: Random) -> str:
    """A text that a command line can hold: no null byte, and no half of a surrogate pair."""
    return rng.choice(TEXTS).replace("\x00", "").replace("\ud800", "")


def _run(rng: Random) -> tuple[Any, Any, Any]:
    return changed_object(rng, VERDICTS), changed_object(rng, EXPERIMENT), changed_object(rng, SCHEDULE)


FORMATS: Final = {
    "history, by bytes": Format(input=lambda rng: damaged(rng, TEXT_HISTORY), read=read_lines),
    "history, by values": Format(input=lambda rng: as_lines(changed(rng, HISTORY)), read=read_lines),
    "EDN": Format(input=lambda rng: damaged(rng, EDN), read=read_foreign),
    "text log": Format(input=lambda rng: damaged(rng, LOG), read=read_foreign),
    "plain JSON": Format(input=lambda rng: damaged(rng, JSON), read=read_foreign),
    "experiment": Format(input=lambda rng: changed(rng, EXPERIMENT), read=read_record),
    "verdicts": Format(input=lambda rng: changed(rng, VERDICTS), read=read_verdicts),
    "report": Format(input=_run, read=draw_report),
    "schedule": Format(input=lambda rng: changed(rng, SCHEDULE), read=read_schedule),
    "TOML": Format(input=lambda rng: damaged(rng, DESCRIPTION), read=read_description),
    "command line": Format(input=_words, read=read_command),
}


def refused_or_read(form: Format, given: Any) -> bool:
    """True if the input was read, False if it was refused. Raises what else happens."""
    try:
        form.read(given)
    except REFUSALS:
        return False
    except SystemExit as ended:
        return ended.code == EXIT_VALID
    return True
