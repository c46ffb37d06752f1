"""Statuses: 0, 1 and 2 are verdicts, and nothing else that can happen to a command ends with one of them."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException
from rich.console import Console

from splitbrain import progress, serve
from splitbrain.campaigns.hunt import search
from splitbrain.campaigns.hunt.trace import Trace
from splitbrain.campaigns.matrix import campaign
from splitbrain.campaigns.matrix.entries import entries
from splitbrain.cli import main
from splitbrain.core import lifecycle, run
from splitbrain.core.experiment import asked_for
from splitbrain.core.simulate import ColumnsRecorder, simulate
from splitbrain.errors import EXIT_UNKNOWN, EnvironmentFailure, Interrupted
from splitbrain.invariants.events import ElectionRecorder
from splitbrain.invariants.registry import violations
from splitbrain.nodes.protocol import Effect, Event, Send, Started
from splitbrain.runtimes.docker import engine
from splitbrain.runtimes.docker.images import ImageBuilder
from splitbrain.tests.histories import history_of, two_leaders
from splitbrain.tests.test_node_class import Calm
from splitbrain.user_systems.node_class import system_of

COMMAND = [sys.executable, "-c", "from splitbrain.cli import main; main()"]
SHORT_RUN = ["test", "raft", "--runtime", "sim", "--time-limit", "3", "--seed", "1"]


def status_of(*arguments: object) -> object:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code


def test_a_bug_ends_with_3_and_one_message_and_a_traceback_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(*_: object) -> None:
        raise KeyError("term")

    monkeypatch.setattr(serve, "serve_store", crash)
    assert status_of("serve") == 3
    said = capsys.readouterr().err
    assert said.startswith("splitbrain: a bug of splitbrain, no verdict: KeyError: 'term' (") and said.count("\n") == 1
    assert status_of("serve", "--debug") == 3
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("SPLITBRAIN_DEBUG", "1")
    assert status_of("serve") == 3
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_where_no_handler_is_in_place_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "serve_store", interrupted)
    assert status_of("serve") == 3


@pytest.mark.parametrize("gone", ["full", "closed"])
@pytest.mark.parametrize("arguments", [["--help"], ["systems"], ["check", "history.jsonl"]])
def test_output_that_cannot_be_written_ends_with_3_and_one_line(
    tmp_path: Path, gone: str, arguments: list[str]
) -> None:
    (tmp_path / "history.jsonl").write_text(history_of(two_leaders()))
    if gone == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    try:
        done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(out)
    assert done.returncode == 3
    assert done.stderr.startswith("splitbrain: ") and done.stderr.count("\n") == 1
    if arguments[0] == "check":
        assert "the verdict: INVALID" in done.stderr


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_changes_no_status(tmp_path: Path, closed: str) -> None:
    """The first file opened would have its number: a history, into which the verdict would be printed."""
    (tmp_path / "history.jsonl").write_text("")
    script = f'"$0" -m splitbrain check "$1" {closed}'
    given = [sys.executable, str(tmp_path / "history.jsonl")]
    done = subprocess.run(["sh", "-c", script, *given], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_UNKNOWN and "Traceback" not in done.stderr
    assert (tmp_path / "history.jsonl").read_text() == ""


def test_a_disk_that_is_full_while_drawing_takes_no_verdict_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "report.html")

    monkeypatch.setattr(run, "draw", full)
    assert status_of(*SHORT_RUN, "--store", tmp_path) == 3
    out, err = capsys.readouterr()
    assert "exclusivity" in out and out.splitlines()[-1].startswith("VALID")
    assert "splitbrain: report.html: No space left on device; the verdict: valid" in err


def test_a_history_that_vanishes_during_a_run_is_no_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(*arguments: Any, logs: Path, **more: Any) -> Any:
        facts = lifecycle.carry_out(*arguments, logs=logs, **more)
        (logs.parent / "history.jsonl").unlink()
        return facts

    monkeypatch.setattr(run, "carry_out", lose)
    assert status_of(*SHORT_RUN, "--store", tmp_path) == 3
    assert "history was lost before it was judged" in capsys.readouterr().err


class _FullEngine:
    """An engine that refuses whatever it is asked for."""

    def get(self, tag: str) -> None:
        raise APIError("500 Server Error", explanation="no space left on device")


def test_an_error_of_the_engine_while_images_are_made_is_the_environments() -> None:
    client: Any = SimpleNamespace(images=_FullEngine())
    builder = ImageBuilder(client, lambda words: None, SimpleNamespace(wait=lambda s: False))  # type: ignore[arg-type]
    with pytest.raises(EnvironmentFailure, match="making the images: the engine says: no space left on device"):
        builder.ensure(["images/node"])


@pytest.mark.parametrize(
    ("why", "says"),
    [
        ("('Connection aborted.', PermissionError(13, 'Permission denied'))", "socket refuses this user"),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))", "no Docker engine answers"),
    ],
)
def test_a_socket_that_refuses_the_user_is_not_a_missing_engine(
    monkeypatch: pytest.MonkeyPatch, why: str, says: str
) -> None:
    def refuse(**_: object) -> None:
        raise DockerException(f"Error while fetching server API version: {why}")

    monkeypatch.setattr(docker, "from_env", refuse)
    with pytest.raises(EnvironmentFailure, match=says):
        engine.connect()


def test_containers_of_an_interrupted_run_are_counted_and_those_of_live_runs_are_not() -> None:
    marks = [engine.controller_mark(), f"{engine.controller_mark()}0", "elsewhere/1/1"]
    listed = [SimpleNamespace(labels={engine.CONTROLLER_LABEL: mark}) for mark in marks]
    client: Any = SimpleNamespace(containers=SimpleNamespace(list=lambda **_: listed))
    assert engine.interrupted_containers(client) == 1


def test_a_hunt_of_real_software_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert status_of("hunt", "sentinel", "--schedules", 1, "--cores", 1, "--store", tmp_path) == 64
    assert "real software, of which there is no simulation" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_hunt_that_tried_nothing_found_nothing_out(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    hunt = ["hunt", "raft", "--seconds", 1e-9, "--cores", 1, "--store", tmp_path]
    assert status_of(*hunt) == 2
    assert capsys.readouterr().out.startswith("UNKNOWN: no schedule was run")
    assert status_of(*hunt, "--json") == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "unknown"


def test_a_hunt_prints_the_command_with_its_limits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert (
        status_of("hunt", "raft", "--nodes", 3, "--seed", 4, "--schedules", 1, "--cores", 1, "--store", tmp_path) == 0
    )
    assert "splitbrain hunt raft --nodes 3 --seed 4 --schedules 1" in capsys.readouterr().err


def test_a_worker_of_a_hunt_that_is_killed_ends_the_hunt() -> None:
    gone = frozenset({-1})
    pending = SimpleNamespace(ready=lambda: False, wait=lambda seconds: None)
    with pytest.raises(EnvironmentFailure, match="a worker process of the hunt was killed"):
        search._wait(pending, gone)


def test_a_port_that_cannot_be_is_wrong_usage(tmp_path: Path) -> None:
    assert status_of("serve", "--port", 99_999, "--store", tmp_path) == 64


def test_the_budget_of_a_matrix_holds_in_simulation_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(
        *("matrix", "raft-basic", "--runtime", "sim", "--fault-class", "crash", "--budget", "0s", "--store", tmp_path)
    )
    assert status == 2, "nothing was judged"
    said = capsys.readouterr()
    assert "1 not run" in said.out and "--budget 0s" in said.err


def test_a_bug_in_one_entry_of_a_matrix_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyError("term")

    monkeypatch.setattr(campaign, "history_of", crash)
    (entry,) = entries(["raft-basic"], ["sim"], ["crash"])
    result = campaign.run_in_simulation(entry, 1, tmp_path)
    assert result.status == "failed" and "KeyError: 'term'" in result.words


def test_the_printed_command_is_as_strict_as_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status_of(*SHORT_RUN, "--strict", "--store", tmp_path)
    assert capsys.readouterr().err.rstrip().endswith("--strict")


ODD: tuple[Any, ...] = ({}, {"kind": "vote", "term": "x"}, {"kind": "elected", "origin": []}, "vote", None)


class OddWords(Calm):
    """Sends messages that are named as Raft's and Bully's, and look different."""

    def __init__(self, id: str, peers: Sequence[str], *more: Any) -> None:
        super().__init__(id, peers, *more)
        self.peer = peers[0]

    def handle(self, event: Event) -> list[Effect]:
        kinds = ("vote", "vote_reply", "election", "coordinator", "heartbeat") if isinstance(event, Started) else ()
        return [Send(self.peer, kind, message) for kind in kinds for message in ODD]


def test_messages_of_known_kinds_and_other_fields_hinder_no_instrument() -> None:
    system = system_of(OddWords, "test_statuses:OddWords")
    experiment = asked_for(system, ("none",), "sim", 3, 3.0, 1)
    recorded, trace = ElectionRecorder(), Trace()
    simulate(experiment, experiment.planned(), ColumnsRecorder(), recorded, trace)
    assert recorded.trace(3).sent["vote"] == 3 * len(ODD)
    assert violations(recorded.trace(3)) == ()


def test_the_live_view_shows_no_markup_before_the_first_phase() -> None:
    console = Console(width=60, file=io.StringIO())
    with console.capture() as shown:
        console.print(progress._block(progress.ProgressState()))
    assert shown.get().split() == ["starting", "0", "s", "so", "far"]


class _Gone(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_a_display_that_is_gone_ends_the_command_as_a_hang_up_does(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted("interrupted by SIGHUP")

    stream = _Gone(number)
    monkeypatch.setattr(sys, "stderr", stream)
    before = signal.signal(signal.SIGHUP, interrupt)
    try:
        shown = progress.PlainProgress(progress.display())
        with pytest.raises(Interrupted):
            shown.say("begun")
        shown.say("ended")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert stream.writes == 1, "the rest is not shown, and asks for no second end"


def test_a_display_on_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Gone(errno.ENOSPC))
    progress.PlainProgress(progress.display()).say("begun")
