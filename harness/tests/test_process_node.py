"""Nodes that are run by a program: the protocol, its mistakes, and the example in C."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from splitbrain.errors import UsageError
from splitbrain.nodes.protocol import ConfirmAsked, Led, Persist, Received, Send, SetTimer, Started, Status
from splitbrain.user_systems import process_node
from splitbrain.user_systems.lookup import find_recorded, find_system
from splitbrain.user_systems.node_class import NodeFailure
from splitbrain.user_systems.process_node import NodeProgram, ProcessNode, WrongProgram
from splitbrain.user_systems.runs import run

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
ECHO = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    status = {"leading": False, "term": request.get("at"), "role": "echo"}
    effects = [] if "start" in request else [
        {"effect": "persist", "state": request},
        {"effect": "send", "to": "n2", "kind": "echo", "message": [request]},
        {"effect": "set_timer", "timer": "t", "after": 5},
        {"effect": "led", "reign": "r"},
    ]
    print(json.dumps({"status": status, "effects": effects, "timed": "start" in request}), flush=True)
"""


def program(source: str) -> NodeProgram:
    return NodeProgram((sys.executable, "-I", "-S", "-c", source), "/")


def node(source: str) -> ProcessNode:
    return program(source)("n1", ("n2",), Random(0), "boot", None)


def answering(line: str) -> str:
    """A program that answers every request after the first with that line."""
    return (
        f"import sys\nprint('{{\"status\": {{}}}}', flush=True)\nfor _ in sys.stdin:\n    print({line!r}, flush=True)"
    )


def test_events_go_to_the_program_and_its_effects_come_back() -> None:
    echo = node(ECHO)
    assert echo.handle(Started(7)) == [
        Persist({"event": "started", "at": 7}),
        Send("n2", "echo", [{"event": "started", "at": 7}]),
        SetTimer("t", 5),
        Led(None, "r"),
    ]
    (sent,) = echo.handle(Received(8, "n2", {"x": [1, "ü"]}))[1:2]
    assert isinstance(sent, Send)
    assert sent.message == [{"event": "received", "at": 8, "sender": "n2", "message": {"x": [1, "ü"]}}]
    echo.handle(ConfirmAsked(9, 3))
    assert echo.status(10) == Status(role="echo", leading=False, leader=None, term=10, reign=None)


def test_a_process_is_kept_for_the_next_node_of_its_name() -> None:
    made = program(ECHO)
    first, again, other = (made(name, (), Random(0), "boot", None) for name in ("n1", "n1", "n2"))
    assert first._process is again._process is not other._process


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import sys; sys.exit('no such cluster')",
            r"the program ended with status 1; its last words: no such cluster",
        ),
        ("import os; os.abort()", "the program was ended by SIGABRT"),
        (answering("effects"), "expected a line of JSON"),
        (answering("[]"), r"expected an object, got \[\]"),
        (answering("{}"), "status: expected an object, got None"),
        (
            answering('{"status": {"leader": "n1", "lead": 1}}'),
            "status: there is no field lead: expected role, leading",
        ),
        (answering('{"status": {}, "effects": {}}'), "effects: expected a list"),
        (answering('{"status": {}, "effects": [{"effect": "sent"}]}'), 'with "effect" one of persist, send'),
        (
            answering('{"status": {}, "effects": [{"effect": "led", "when": 1}]}'),
            "effects: led has no field when: expected term, reign",
        ),
        ("print('x' * 2_000_000, flush=True)", "expected an answer of at most 1048576 bytes"),
    ],
)
def test_a_program_that_breaks_the_protocol_is_told_how(source: str, says: str) -> None:
    with pytest.raises(WrongProgram, match=says):
        node(source).handle(Started(0))


def test_a_program_that_does_not_answer_is_given_up_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_node, "ANSWER_SECONDS", 0.2)
    silent = NodeProgram(("sleep", "600"), "/")
    with pytest.raises(WrongProgram, match="no answer within 0 s"):
        silent("n1", (), Random(0), "boot", None)
    assert not process_node._processes[(os.getpid(), silent, "n1")].running


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(WrongProgram, match=r"\./missing cannot be started: No such file"):
        NodeProgram(("./missing",), "/")("n1", (), Random(0), "boot", None)


def described(folder: Path, source: str) -> str:
    """The file that describes a system whose nodes are run by a Python program."""
    (folder / "node.py").write_text(source)
    file = folder / "node.toml"
    file.write_text(f"[simulation]\ncommand = [{sys.executable!r}, '-I', '-S', 'node.py']\n")
    return str(file)


def test_a_description_with_a_program_runs_in_simulation_only(tmp_path: Path) -> None:
    file = described(tmp_path, ECHO)
    assert find_system(file).simulated
    with pytest.raises(UsageError, match="runs in simulation only: expected runtime sim, got docker"):
        run(file, runtime="docker", nodes=3, seconds=1)


def test_a_program_that_ends_in_a_run_fails_as_a_node_class_does(tmp_path: Path) -> None:
    with pytest.raises(NodeFailure, match=r"as n\d raised .*: the program ended with status 3"):
        run(described(tmp_path, "import sys; sys.exit(3)"), nodes=3, nemesis="none", seconds=1)


def test_a_record_starts_no_program_unless_it_is_trusted(tmp_path: Path) -> None:
    file = described(tmp_path, ECHO)
    record = {"origin": dict(find_system(file).origin)}
    with pytest.raises(UsageError, match="the run names a program, which would be run: add --trust"):
        find_recorded(file, record, trusted=False)
    assert find_recorded(file, record, trusted=True).simulated


@pytest.mark.simulation
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_example_in_c_has_the_history_of_the_one_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(EXAMPLES / "in_c", tmp_path / "in_c")
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-o", "lowest", "lowest.c"], cwd=folder, check=True)
    monkeypatch.chdir(EXAMPLES)
    in_c, in_python = (
        run(system, nemesis="isolated-leader,kill,pause", nodes=5, seconds=20, seed=7)
        for system in (folder / "lowest.toml", "lowest:Lowest")
    )
    in_c.must_hold("exclusivity", "stall")
    assert in_c.entries == in_python.entries  # type: ignore[union-attr]
