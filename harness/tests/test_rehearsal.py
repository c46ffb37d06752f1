"""The command ``splitbrain probe``: what it shows of a described system, and its last words on one that never leads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from splitbrain.checkers.history import History
from splitbrain.cli import cli
from splitbrain.core.experiment import asked_for
from splitbrain.describing.rehearsal import Rehearsal, findings
from splitbrain.errors import SplitbrainError
from splitbrain.user_systems.lookup import find_system

NAIVE = Path(__file__).parents[2] / "docs" / "examples" / "naive.toml"
MS = 1_000_000


def line(index: int, kind: str, time_ms: int, f: str = "observe", **more: object) -> bytes:
    return json.dumps({"index": index, "time": time_ms * MS, "process": 1, "type": kind, "f": f, **more}).encode()


def test_the_figures_of_a_rehearsal_are_told_in_sentences() -> None:
    claim = {"leading": True, "leader": "n1", "term": None, "reign": "a"}
    history = History.from_lines(
        [
            line(0, "invoke", 10, node="n1"),
            line(1, "ok", 14, node="n1", value=claim),
            line(2, "invoke", 20, node="n2"),
            line(3, "info", 21, node="n2", error="leading: expected true or false, got 1"),
        ]
    )
    ended = Rehearsal(
        history=history, leader="n1", quiet_s=60.0, changes=2, elections=(1_010 * MS, 990 * MS), problems=()
    )
    experiment = asked_for(find_system(str(NAIVE)), ("none",), "docker", 3, 1.0, 0)
    assert list(findings(ended, experiment)) == [
        "n1 led; all 3 nodes agreed",
        "an answer takes 4 ms, at most 4 ms (1 answer)",
        "answers that cannot be used: n2: leading: expected true or false, got 1, once",
        "there is no [confirm]: availability rests on the leader that the nodes name",
        "in 60 s without faults the leadership changed twice",
        "leaders killed: 2 times; all others followed another one after 1.01 s and 990 ms",
        "suggested: suspicion_ms = 1100, stall_bound_ms = 3100 (3 times the longest)",
    ]


@pytest.mark.engine
def test_a_description_is_tried_without_faults_and_its_bounds_are_measured() -> None:
    done = CliRunner().invoke(cli, ["probe", str(NAIVE), "--seconds", "2", "--measure"])
    assert done.exit_code in (0, 2), done.output
    assert '{"state": "leader", ' in done.stderr, "the answer as it came"
    assert "leading" in done.stderr and "following n" in done.stderr
    assert "all 3 nodes agreed" in done.stdout
    assert "leaders killed: 3 times; all others followed another one after " in done.stdout
    assert "suggested: suspicion_ms = " in done.stdout


@pytest.mark.engine
def test_a_description_by_which_no_node_leads_is_refused_with_its_answers(tmp_path: Path) -> None:
    text = NAIVE.read_text().replace('folder = "naive"', f'folder = "{NAIVE.parent / "naive"}"')
    wrong = text.replace('"state == leader"', '"mode == leader"')
    assert wrong != text
    file = tmp_path / "wrong.toml"
    file.write_text(f"wait_for_leader_s = 3\n{wrong}")
    done = CliRunner().invoke(cli, ["probe", str(file), "--seconds", "2"])
    assert isinstance(done.exception, SplitbrainError) and done.exception.exit_status == 64
    assert "no answer has anything at 'mode'" in str(done.exception)
