"""The agent's hand on a node's memory, with a process of the test's own in the node's place."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from splitbrain.runtimes.docker.agent import oom as growth
from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent import remote_syscalls as calls

MB = 1 << 20


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (512 * MB, 512 * MB))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, with no more than so much room for addresses, and nobody to kill it for want of memory."""
    command = [sys.executable, "-c", "print(flush=True); input()"]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=limited)
    assert started.stdin is not None and started.stdout is not None
    started.stdout.readline()
    alone = [started.pid]
    monkeypatch.setattr(processes, "node_processes", lambda: [pid for pid in alone if processes.state(pid) not in "ZX"])
    monkeypatch.setattr(processes, "parent", lambda pid: 0)
    yield started
    started.kill()
    started.wait()
    started.stdin.close()
    started.stdout.close()


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as told:  # noqa: PTH123  # one line of the kernel's
        return int(told.read().split()[1]) * resource.getpagesize()


def test_a_process_takes_what_it_is_made_to_take_and_touches_it(node: subprocess.Popen[bytes]) -> None:
    before = resident(node.pid)
    assert not growth.made_to_grow(node.pid, 100 * MB), "nobody killed it"
    assert 95 * MB < resident(node.pid) - before < 105 * MB


def test_one_that_is_refused_the_memory_is_not_said_to_have_grown(node: subprocess.Popen[bytes]) -> None:
    before = resident(node.pid)
    assert not growth.made_to_grow(node.pid, 1_000 * MB)
    assert resident(node.pid) - before < MB


def test_one_whom_nobody_killed_is_killed_and_that_is_said(node: subprocess.Popen[bytes]) -> None:
    assert growth.grow(20 * MB) == {"wrong": "with its memory at the limit it lived on, and was killed"}
    assert processes.state(node.pid) in "ZX"


def test_of_a_node_that_cannot_grow_the_reason_is_said(
    node: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALLING", {})
    assert "not known how a system call is made" in growth.grow(20 * MB)["wrong"]
    assert processes.state(node.pid) in "ZX"
    assert growth.grow(20 * MB) == {"wrong": "it had no first process that could grow"}
