"""The agent's growing of a node's memory, with a process of the test in the node's place."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from splitbrain.runtimes.docker.agent import oom, processes, remote_syscalls
from splitbrain.runtimes.docker.agent.messages import Checked

MB = 1 << 20


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (512 * MB, 512 * MB))


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, with a limited address space, and no OOM killer for it."""
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
    with open(f"/proc/{pid}/statm") as pages:  # noqa: PTH123  # one line from the kernel
        return int(pages.read().split()[1]) * resource.getpagesize()


def test_a_process_allocates_and_touches_the_memory(node: subprocess.Popen[bytes]) -> None:
    before = resident(node.pid)
    assert not oom.made_to_grow(node.pid, 100 * MB), "it was not killed"
    assert 95 * MB < resident(node.pid) - before < 105 * MB


def test_a_process_whose_allocation_fails_has_not_grown(node: subprocess.Popen[bytes]) -> None:
    before = resident(node.pid)
    assert not oom.made_to_grow(node.pid, 1_000 * MB)
    assert resident(node.pid) - before < MB


def test_one_that_survives_is_killed_and_reported(node: subprocess.Popen[bytes]) -> None:
    assert oom.grow(20 * MB) == Checked(
        problem="it survived an allocation beyond its memory limit, and was killed by the agent"
    )
    assert processes.state(node.pid) in "ZX"


def test_the_reason_why_a_node_cannot_grow_is_reported(
    node: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_syscalls, "ABIS", {})
    assert "got the architecture" in (oom.grow(20 * MB).problem or "")
    assert processes.state(node.pid) in "ZX"
    assert oom.grow(20 * MB) == Checked(problem="it had no first process to grow")
