"""What the watch over processes tells of literal lists of them, and the lists that the agent makes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from splitbrain.runtimes.docker.agent import serving
from splitbrain.runtimes.docker.agent.messages import RunningProcess
from splitbrain.runtimes.docker.intents import Action, Intents
from splitbrain.runtimes.docker.process_watch import Listed, Processes, ProcessWatch, lost_ports

INIT = RunningProcess(pid=7, began=100, age_s=60.0, first=True, ports=(), halted=False)
SERVER = RunningProcess(pid=8, began=101, age_s=59.0, first=False, ports=(8000,), halted=False)
AGAIN = replace(SERVER, pid=31, began=6_000, age_s=0.4)
WORKER = replace(SERVER, pid=9)


class Told:
    """A watch over n1, which is given lists of its processes one after another."""

    def __init__(self, before: Processes) -> None:
        self.told: list[tuple[str, int]] = []
        self.intents = Intents()
        self.down: set[str] = set()
        nothing: Any = None
        self.watch = ProcessWatch(nothing, self.intents, {"n1": (8000,)}, lambda: self.down, self._note)
        self._last = Listed(asked=time.time_ns(), processes=before)

    def _note(self, f: str, node: str, at: int, **facts: Any) -> None:
        self.told.append((f, at))

    def then(self, *processes: RunningProcess) -> list[str]:
        """What a further list shows; each is of the instant of the list before it or of its own."""
        before, self._last = self._last, Listed(asked=time.time_ns(), processes=processes)
        told, self.told = self.told, []
        assert not told
        self.watch.compare("n1", before, self._last)
        assert all(at in (before.asked, self._last.asked) for _, at in self.told)
        told, self.told = self.told, []
        return [f for f, _ in told]


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        ((INIT, SERVER), (INIT, AGAIN), (8000,)),
        ((INIT, SERVER), (INIT,), (8000,)),
        ((INIT, SERVER), (INIT, replace(SERVER, began=6_000)), (8000,)),  # another process with the same number
        ((INIT, SERVER), (INIT, replace(SERVER, ports=())), ()),  # it lives, and listens no more
        ((INIT, SERVER, WORKER), (INIT, SERVER, AGAIN), ()),  # one of several that share a socket
        ((INIT, SERVER, replace(WORKER, ports=(5432,))), (INIT, SERVER), (5432,)),
        ((INIT, AGAIN), (INIT, SERVER), ()),  # a process for each request
        ((INIT, SERVER, replace(AGAIN, ports=())), (INIT, SERVER), ()),  # a shell that comes and goes
        ((replace(SERVER, first=True),), (replace(AGAIN, first=True),), ()),  # the engine reports this
        ((INIT, SERVER), (replace(INIT, pid=40, began=6_000), AGAIN), ()),
    ],
)
def test_only_a_lasting_server_that_ends_under_a_process_that_lives_on_is_lost(
    before: Processes, now: Processes, lost: tuple[int, ...]
) -> None:
    assert lost_ports(before, now) == lost


def test_a_server_that_is_replaced_again_and_again_is_told_when_it_had_lasted() -> None:
    watch = Told((INIT, SERVER))
    assert watch.then(INIT, AGAIN) == ["replaced"]
    assert watch.then(INIT, replace(AGAIN, pid=32)) == []
    lasted = replace(AGAIN, pid=32, age_s=5.5)
    assert watch.then(INIT, lasted) == []
    assert watch.then(INIT) == ["replaced"]
    assert watch.then(INIT, replace(AGAIN, pid=33)) == []


def test_a_process_that_is_stopped_from_outside_is_told_once_and_so_is_its_going_on() -> None:
    stopped = replace(SERVER, halted=True)
    watch = Told((INIT, SERVER))
    assert watch.then(INIT, stopped) == ["paused"]
    assert watch.then(INIT, stopped) == []
    assert watch.then(INIT, SERVER) == ["resumed"]
    assert watch.then(INIT, SERVER, replace(INIT, pid=50, first=False, halted=True)) == []  # it serves nobody
    alone = Told((INIT,))
    assert alone.then(replace(INIT, halted=True)) == ["paused"]  # nothing listens, as far as is known


@pytest.mark.parametrize(("action", "now"), [("stop", (INIT, replace(SERVER, halted=True))), ("die", (INIT, AGAIN))])
def test_what_the_nemesis_does_to_processes_is_no_incident(action: Action, now: Processes) -> None:
    watch = Told((INIT, SERVER))
    watch.intents.begin("n1", action)
    assert watch.then(*now) == []
    watch = Told((INIT, SERVER))
    watch.intents.begin("n1", action)
    watch.intents.end("n1", action)  # it was over before the list was made
    assert watch.then(*now) == []
    watch.down.add("n1")
    assert watch.then() == []


def test_a_stop_that_outlasts_the_fault_was_made_from_outside() -> None:
    watch = Told((INIT, SERVER))
    watch.intents.begin("n1", "stop")
    assert watch.then(INIT, replace(SERVER, halted=True)) == []
    watch.intents.end("n1", "stop")
    assert watch.then(INIT, replace(SERVER, halted=True)) == []  # seen while the fault was being undone
    assert watch.then(INIT, replace(SERVER, halted=True)) == ["paused"]


SERVE = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """The number of a process that listens, in the node's place beside this one, and its port."""
    with subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        port = int(started.stdout.readline())
        monkeypatch.setattr(serving, "node_processes", lambda: [os.getpid(), started.pid])
        yield started.pid, port
        started.kill()


def test_the_agent_lists_processes_with_the_ports_that_they_listen_on(server: tuple[int, int]) -> None:
    pid, port = server
    with socket.create_server(("127.0.0.1", 0)) as other:
        listed = {each.pid: each for each in serving.running([port])}
        ours = other.getsockname()[1]
        both = {each.pid: each.ports for each in serving.running([port, ours])}
    assert (listed[pid].ports, listed[os.getpid()].ports) == ((port,), ())
    assert both == {pid: (port,), os.getpid(): (ours,)}
    assert 0 <= listed[pid].age_s < listed[os.getpid()].age_s
    assert not listed[pid].halted
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    assert {each.pid: each.halted for each in serving.running([port])} == {pid: True, os.getpid(): False}


def test_a_table_of_sockets_is_read_by_port_and_state() -> None:
    table = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 0100007F:1F40 0100007F:B1C2 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
"""
    assert serving.listening(table, [8000, 2379]) == {"socket:[4711]": 8000}
