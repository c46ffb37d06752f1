"""The agent's kills and pauses of single processes, with processes of the test in the node's place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.messages import Matched


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of two processes ``sleep 1001`` and one ``cat``."""
    commands = (("sleep", "1001"), ("sleep", "1001"), ("cat",))
    started = [subprocess.Popen(command, stdin=subprocess.PIPE) for command in commands]
    pids = [each.pid for each in started]
    monkeypatch.setattr(processes, "node_processes", lambda: [pid for pid in pids if processes.state(pid) not in "ZX"])
    yield pids
    for each in started:
        each.kill()
        each.wait()
        assert each.stdin is not None
        each.stdin.close()


@pytest.mark.parametrize("pattern", ["sleep", "sl*", "*1001", "sleep 1???"])
def test_processes_that_match_the_pattern_are_killed_and_others_live_on(node: list[int], pattern: str) -> None:
    assert processes.kill_matching(pattern) == Matched(pids=tuple(node[:2]), others=1, first=False)
    assert [processes.state(pid) in "ZX" for pid in node] == [True, True, False]


@pytest.mark.parametrize("pattern", ["slee", "1001", "SLEEP", "postgres*"])
def test_a_pattern_without_a_match_affects_no_process(node: list[int], pattern: str) -> None:
    assert processes.kill_matching(pattern) == Matched(pids=(), others=3, first=False)
    assert processes.pause_matching(pattern) == Matched(pids=(), others=3, first=False)
    assert not any(processes.state(pid) in "TtZX" for pid in node)


def test_paused_processes_resume_except_those_still_to_be_paused(node: list[int]) -> None:
    assert processes.pause_matching("sleep*") == Matched(pids=tuple(node[:2]), others=1, first=False)
    assert [processes.state(pid) for pid in node[:2]] == ["T", "T"]
    assert processes.state(node[2]) != "T"
    processes.pause_matching("cat")
    processes.resume(["cat"])
    assert [processes.state(pid) == "T" for pid in node] == [False, False, True]
    processes.resume()
    assert processes.state(node[2]) != "T"


def test_the_first_process_of_a_node_is_distinguished_from_the_others(
    node: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "parent", lambda pid: 0 if pid == node[0] else os.getpid())
    assert processes.kill_matching("sleep").first
    assert not processes.kill_matching("cat").first


def test_a_process_is_described_by_its_pid_start_time_and_threads(node: list[int]) -> None:
    described = processes.described()
    assert [(each.pid, each.threads) for each in described] == [(pid, 1) for pid in sorted(node)]
    first = {pid: Path(f"/proc/{pid}/stat").read_text().split()[21] for pid in node}
    assert {each.pid: str(each.began) for each in described} == first
    processes.kill_matching("cat")
    assert len(processes.described()) == 2
