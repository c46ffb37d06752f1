"""The agent's delays and failures of flushes, with a process of the test in the node's place."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.runtimes.docker.agent.filters import Filters
from splitbrain.runtimes.docker.agent.flushes import Flushes, Supervisor
from splitbrain.runtimes.docker.agent.messages import FlushReport

WRITER = """
import errno, os, sys, threading, time
waiting = threading.Event()
threading.Thread(target=waiting.wait, daemon=True).start()
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print(flush=True)
for line in sys.stdin:
    what = line.strip()
    began = time.monotonic()
    told = 0
    try:
        if what == "child":
            child = os.fork()
            if not child:
                try:
                    os.fsync(file)
                except OSError as failure:
                    os._exit(failure.errno)
                os._exit(0)
            told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        else:
            getattr(os, what)(file)
    except OSError as failure:
        told = failure.errno
    print(round((time.monotonic() - began) * 1_000), told, flush=True)
"""
ROUNDED_MS = 1
NOTHING_YET = FlushReport(processes=1, problems=(), held=0, refused=0, took_ms=None, most_ms=None)


class Writer:
    """A process that flushes on request, and reports the time in ms and the error."""

    def __init__(self, file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def begins(self, what: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()

    def ended(self) -> tuple[int, int]:
        assert self.process.stdout is not None
        took, told = self.process.stdout.readline().split()
        return int(took), int(told)

    def does(self, what: str) -> tuple[int, int]:
        self.begins(what)
        return self.ended()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path / "file")
    yield writer
    writer.process.kill()
    writer.process.communicate()


@pytest.fixture
def flushes(writer: Writer) -> Flushes:
    supervisor = Supervisor()
    filters = Filters(lambda: [writer.process.pid] if writer.process.poll() is None else [], supervisor.add)
    return Flushes(filters, supervisor)


@pytest.mark.parametrize("what", ["fsync", "fdatasync", "child"])
def test_a_flush_takes_the_requested_time_until_healed(writer: Writer, flushes: Flushes, what: str) -> None:
    assert flushes.set(300, fail=False) == NOTHING_YET
    took, error = writer.does(what)
    assert took >= 300 and error == 0
    report = flushes.set(0, fail=False)
    assert report.held == 1 and report.took_ms is not None and report.took_ms == report.most_ms
    assert 300 <= report.took_ms <= took + ROUNDED_MS
    assert writer.does(what)[1] == 0
    assert flushes.set(0, fail=False).held == 0


def test_a_flush_fails_until_healed(writer: Writer, flushes: Flushes) -> None:
    flushes.set(0, fail=True)
    assert [writer.does(what)[1] for what in ("fsync", "fdatasync", "child")] == [errno.EIO] * 3
    assert flushes.set(0, fail=False).refused == 3
    assert writer.does("fsync")[1] == 0


def test_a_delayed_flush_returns_at_once_when_healed(writer: Writer, flushes: Flushes) -> None:
    flushes.set(60_000, fail=False)
    writer.begins("fsync")
    give_up = time.monotonic() + 10
    while not flushes._supervisor._due:
        assert time.monotonic() < give_up
        os.sched_yield()
    flushes.set(0, fail=False)
    took, error = writer.ended()
    assert took < 30_000 and error == 0


def test_other_system_calls_are_unchanged(writer: Writer, flushes: Flushes) -> None:
    before = sorted(Path(f"/proc/{writer.process.pid}/fd").iterdir())
    maps = Path(f"/proc/{writer.process.pid}/maps").read_text()
    flushes.set(0, fail=True)
    assert sorted(Path(f"/proc/{writer.process.pid}/fd").iterdir()) == before
    assert Path(f"/proc/{writer.process.pid}/maps").read_text() == maps
    assert writer.does("fstat")[1] == 0


def test_a_process_is_attached_once_and_forgotten_when_it_ends(writer: Writer, flushes: Flushes) -> None:
    filters = [line for line in status(writer) if line.startswith("Seccomp_filters")]
    flushes.set(100, fail=False)
    flushes.set(200, fail=False)
    (now,) = (line for line in status(writer) if line.startswith("Seccomp_filters"))
    assert int(now.split()[1]) == int(filters[0].split()[1]) + 1
    writer.process.kill()
    writer.process.wait()
    report = flushes.set(100, fail=False)
    assert report.processes == 0 and report.problems == ()


def status(writer: Writer) -> list[str]:
    return Path(f"/proc/{writer.process.pid}/status").read_text().splitlines()
