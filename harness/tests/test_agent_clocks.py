"""Clock skew in running processes: children of the test, with our clock functions in their memory."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from splitbrain.runtimes.docker.agent import clocks as agent_clocks
from splitbrain.runtimes.docker.agent import processes, vdso
from splitbrain.runtimes.docker.agent.clocks import HostClocks
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.filters import Filters
from splitbrain.runtimes.docker.agent.flushes import Start, Supervisor
from splitbrain.runtimes.docker.agent.ptrace import ProcessGone, StoppedProcess
from splitbrain.runtimes.docker.agent.vdso import (
    ARCHITECTURES,
    CLOCKS,
    NO_ERROR,
    ClockError,
    Unsupported,
    hook,
    library,
)
from splitbrain.tests.waits import until

AGENT = Path(vdso.__file__).parent
ASSEMBLERS = {
    name: prefix
    for name in ARCHITECTURES
    for prefix in ((f"{name}-linux-gnu-", "") if name == platform.machine() else (f"{name}-linux-gnu-",))
    if shutil.which(f"{prefix}as") and shutil.which(f"{prefix}objcopy")
}
HOUR_NS = 3_600 * 10**9
AHEAD_NS = 300_000_000  # a drift that is surely seen
SLACK_NS = 2_000_000  # between clocks of one machine that run at rates of their own
TIME_SLACK_NS = 1_010_000_000  # time() gives the whole seconds of the last tick of the kernel, which may be 10 ms old
NO_PROCESS = 2**22 + 1  # above the kernel's limit
CLONE_VM = 0x100
CHILDS_STACK = ctypes.create_string_buffer(1 << 16)
libc = ctypes.CDLL(None)

SUBJECT = """
import ctypes, json, os, signal, sys, threading, time
libc = ctypes.CDLL(None)
counted = 0
def count(number, frame):
    global counted
    counted += 1
signal.signal(signal.SIGRTMIN, count)
odd = []
def watch():
    while True:
        now, known = time.time_ns(), time.monotonic_ns()
        off = now - known - START
        if min(abs(off), abs(off - HOUR)) > 10**9:
            odd.append(off)
START, HOUR = time.time_ns() - time.monotonic_ns(), 3600 * 10**9
def clocks():
    pair = (ctypes.c_long * 2)()
    libc.gettimeofday(pair, None)
    return {
        **{str(clock): time.clock_gettime_ns(clock) for clock in (0, 1, 4, 5, 6, 7)},
        "gettimeofday": pair[0] * 10**9 + pair[1] * 1000,
        "time": libc.time(None) * 10**9,
    }
print("null", flush=True)  # it is there; what comes before it does is lost with the program before
for line in sys.stdin:
    what = line.strip()
    if what == "clocks":
        answer = clocks()
    elif what == "watch":
        for _ in range(4):
            threading.Thread(target=watch, daemon=True).start()
        answer = None
    elif what == "odd":
        answer = odd
    elif what == "counted":
        answer = counted
    elif what == "fork":
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, json.dumps(clocks()).encode())
            os._exit(0)
        os.wait()
        answer = json.loads(os.read(reader, 4096))
    elif what == "dates":
        import subprocess
        answer = []
        for _ in range(12):
            shown = subprocess.run(["date", "+%s%N"], capture_output=True, text=True, check=True).stdout
            answer.append(int(shown) - time.monotonic_ns() - START)
    elif what == "exec":
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    print(json.dumps(answer), flush=True)
"""


class Offset(NamedTuple):
    """The least and the greatest offset, ns, of a clock that was read between two readings of the true one.

    However busy the machine is, the offset lies between them.
    """

    least: int
    most: int

    def may_be(self, ns: int, slack_ns: int = SLACK_NS) -> bool:
        return self.least - slack_ns <= ns <= self.most + slack_ns


def clocks() -> dict[str, int]:
    return {str(clock): time.clock_gettime_ns(clock) for clock in (0, 1, 4, 5, 6, 7)}


class Subject:
    """A process that reports its clocks on request."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SUBJECT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        assert self._answer() is None

    def ask(self, what: str) -> object:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> object:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def off(self, what: str = "clocks") -> dict[str, Offset]:
        """How far its clocks are from this process's."""
        before = clocks()
        shown = self.ask(what)
        after = clocks()
        assert isinstance(shown, dict)
        return {
            name: Offset(at - after.get(name, after["0"]), at - before.get(name, before["0"]))
            for name, at in shown.items()
        }

    def state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def subject() -> Iterator[Subject]:
    made = Subject()
    yield made
    made.end()


def cloned_in_this_memory() -> int:
    """A child that waits for a signal in this process's memory, as a child of vfork(2) is until it executes."""
    top = ctypes.addressof(CHILDS_STACK) + len(CHILDS_STACK) & ~15
    pause = ctypes.cast(libc.pause, ctypes.c_void_p)
    child: int = libc.clone(pause, ctypes.c_void_p(top), CLONE_VM | signal.SIGCHLD, None)
    assert child > 0
    return child


def host_of(*subjects: Subject) -> HostClocks:
    return HostClocks(lambda: [subject.pid for subject in subjects])


def assert_off(off: dict[str, Offset], wall: int = 0, monotonic: int = 0) -> None:
    for name, found in off.items():
        expected = monotonic if name in ("1", "4", "6", "7") else wall
        assert found.may_be(expected, TIME_SLACK_NS if name == "time" else SLACK_NS), (name, found, expected)


def test_the_machine_code_is_what_its_source_assembles_to(tmp_path: Path) -> None:
    for name, prefix in ASSEMBLERS.items():
        binary = tmp_path / name
        subprocess.run([f"{prefix}as", AGENT / f"clock_{name}.S", "-o", f"{binary}.o"], check=True)
        subprocess.run([f"{prefix}objcopy", "-O", "binary", "-j", ".text", f"{binary}.o", binary], check=True)
        machine = ARCHITECTURES[name]
        assert binary.read_bytes() == machine.code + bytes(machine.size - len(machine.code)), name


def test_every_way_to_read_the_wall_clock_is_moved_and_no_other_clock(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert_off(subject.off(), wall=HOUR_NS)
    host.set(wall_ns=-2 * HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert_off(subject.off(), wall=-2 * HOUR_NS)
    report = host.report()
    assert (report.wall.off_ns, report.problems, report.processes) == (-2 * HOUR_NS, (), 1)
    host.set(wall_ns=0, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert_off(subject.off())
    assert not host.faulty


def test_a_clock_gains_at_the_requested_rate(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=0, wall_ppm=500_000, jump_ns=0, monotonic_ppm=0)
    before, first, began = time.monotonic_ns(), subject.off()["0"], time.monotonic_ns()
    until(lambda: time.monotonic_ns() - began > 400_000_000)
    asked, last, ended = time.monotonic_ns(), subject.off()["0"], time.monotonic_ns()
    assert last.most - first.least > 0.4 * (asked - began)
    assert last.least - first.most < 0.6 * (ended - before)


def test_a_monotonic_clock_jumps_ahead_and_stays_ahead(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=0, wall_ppm=0, jump_ns=5 * 10**9, monotonic_ppm=0)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert_off(subject.off(), wall=HOUR_NS, monotonic=5 * 10**9)
    host.set(wall_ns=0, wall_ppm=0, jump_ns=10**9, monotonic_ppm=0)
    assert_off(subject.off(), monotonic=6 * 10**9)


def test_a_drifting_wall_clock_goes_on_drifting_while_the_other_is_changed(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=0, wall_ppm=1_000_000, jump_ns=0, monotonic_ppm=0)
    until(lambda: subject.off()["0"].least > AHEAD_NS)
    host.set(wall_ns=0, wall_ppm=1_000_000, jump_ns=0, monotonic_ppm=1000)
    assert subject.off()["0"].most > AHEAD_NS


def test_a_process_that_starts_or_execs_during_a_fault_is_patched(subject: Subject) -> None:
    subjects = [subject]
    host = HostClocks(lambda: [each.pid for each in subjects])
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    late = Subject()
    try:
        assert_off(late.off())
        subjects.append(late)
        host.refresh()
        assert_off(late.off(), wall=HOUR_NS)
        assert late.ask("exec") is None

        def is_reached_again() -> bool:
            host.refresh()
            return late.off()["0"].may_be(HOUR_NS)

        until(is_reached_again)
    finally:
        late.end()
    host.refresh()
    assert host.report().processes == 1


@pytest.fixture
def reaching(subject: Subject) -> HostClocks:
    """The clocks of the subject, with new programs patched by the thread that is notified of them."""

    def hear(start: Start) -> None:
        if host.expect(start):
            host.started(start)
        else:
            start.go_on()

    supervisor = Supervisor(hear)
    host = HostClocks(lambda: [subject.pid], Filters(lambda: [subject.pid], supervisor.add))
    return host


def test_every_program_that_a_process_executes_is_patched_before_it_runs(
    subject: Subject, reaching: HostClocks
) -> None:
    """A program that lives for a millisecond is gone before anything looks for it."""
    reaching.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    dates = subject.ask("dates")
    assert isinstance(dates, list)
    assert [round(off / HOUR_NS, 2) for off in dates] == [1.0] * 12
    report = reaching.report()
    assert (report.problems, report.late) == ((), ())
    assert report.started >= 12
    reaching.set(wall_ns=0, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    dates = subject.ask("dates")
    assert isinstance(dates, list)
    assert [round(off / HOUR_NS, 2) for off in dates] == [0.0] * 12
    assert reaching.report().started == report.started


def test_a_program_is_patched_though_its_process_was_seen_in_its_parents_memory(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process from vfork is seen before it executes its program; the memory in which it was seen lives on."""
    child = Subject()
    pids = [subject.pid]
    host = HostClocks(lambda: pids)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    try:
        with monkeypatch.context() as before_it_executes:
            before_it_executes.setattr(agent_clocks, "hook", lambda pid: hook(subject.pid))
            pids.append(child.pid)
            host.refresh()
        went_on: list[int] = []
        host.started(Start(child.pid, lambda: went_on.append(child.pid)))
        assert went_on == [child.pid]
        assert_off(child.off(), wall=HOUR_NS)
    finally:
        child.end()


def test_a_process_is_in_its_parents_memory_until_it_executes_a_program(subject: Subject) -> None:
    assert not processes.in_parents_memory(subject.pid)
    assert not processes.in_parents_memory(NO_PROCESS)
    child = cloned_in_this_memory()
    try:
        assert processes.in_parents_memory(child)
        host = HostClocks(lambda: [child])
        host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
        report = host.report()
        assert (report.processes, report.problems) == (0, ()), "the program that it will execute is still to come"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_without_a_filter_the_report_says_how_far_the_skew_reaches(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert host.report().late == ("new programs are not waited for",)


def test_a_child_has_its_parents_clock(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert_off(subject.off("fork"), wall=HOUR_NS)


def test_a_stopped_process_is_patched_and_stays_stopped(subject: Subject) -> None:
    os.kill(subject.pid, signal.SIGSTOP)
    until(lambda: subject.state() == "T")
    host_of(subject).set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    until(lambda: subject.state() == "T")  # it runs into its stop again, without executing its program
    os.kill(subject.pid, signal.SIGCONT)
    assert_off(subject.off(), wall=HOUR_NS)


def test_a_thousand_changes_under_load_show_only_requested_times(subject: Subject) -> None:
    """Half a reading from before and half from after would be years off, or a billion ns at the least."""
    subject.ask("watch")
    host = host_of(subject)
    for turn in range(1000):
        host.set(wall_ns=HOUR_NS * (turn % 2), wall_ppm=turn, jump_ns=0, monotonic_ppm=0)
    assert host.report().problems == ()
    assert subject.ask("odd") == []
    host.set(wall_ns=HOUR_NS // 2, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    until(lambda: subject.ask("odd") != [])  # so it would have been seen


def test_code_patched_again_under_load_shows_the_requested_time(subject: Subject) -> None:
    subject.ask("watch")
    host = host_of(subject)
    assert host.patch_again() == [], "no clock was ever wrong, so there is no code"
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    held = [ns for _ in range(20) for ns in host.patch_again()]
    assert len(held) == 20 and min(held) > 0
    assert_off(subject.off(), wall=HOUR_NS)
    assert host.report().problems == ()


def test_signals_that_arrive_while_threads_are_held_are_delivered(subject: Subject) -> None:
    sent = 300

    def send() -> None:
        for _ in range(sent):
            os.kill(subject.pid, signal.SIGRTMIN)

    sender = threading.Thread(target=send)
    sender.start()
    while sender.is_alive():
        with StoppedProcess(subject.pid) as stopped:
            assert stopped.counters(0)
    # Python counts a signal once however often it came before it looked, so only the last ones must be there.
    before = subject.ask("counted")
    assert isinstance(before, int) and before > 0
    os.kill(subject.pid, signal.SIGRTMIN)
    until(lambda: subject.ask("counted") == before + 1)


def test_the_clocks_of_this_process_are_left_alone(subject: Subject) -> None:
    wall, monotonic = time.time_ns(), time.monotonic_ns()
    host_of(subject).set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=HOUR_NS, monotonic_ppm=0)
    assert subject.off()["0"].may_be(HOUR_NS)
    assert 0 <= time.time_ns() - wall < HOUR_NS // 2
    assert 0 <= time.monotonic_ns() - monotonic < HOUR_NS // 2


def test_missing_code_and_foreign_clock_errors_are_reported(subject: Subject) -> None:
    host = host_of(subject)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    other = hook(subject.pid)
    other.show([NO_ERROR] * CLOCKS)
    assert "other errors" in host.report().problems[0]
    address = next(iter(other._jumps))
    with StoppedProcess(subject.pid):
        other._write(address, b"\x90" * 4)
        with pytest.raises(Unsupported, match="does not have the clock functions"):
            other.shown()
        other._write(address, other._jumps[address])
    other.close()


def test_the_monotonic_clock_of_a_jvm_is_unchanged_and_reported(tmp_path: Path) -> None:
    java = tmp_path / "java"
    shutil.copy(os.path.realpath(shutil.which("sleep") or ""), java)
    process = subprocess.Popen([java, "60"])
    try:
        until(lambda: Path(f"/proc/{process.pid}/exe").readlink().name == "java")
        host = HostClocks(lambda: [process.pid])
        host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=10**9, monotonic_ppm=0)
        until(lambda: "Java virtual machine" in host.report().problems[0])
        shown = hook(process.pid).shown()
        assert (shown[time.CLOCK_REALTIME].offset, shown[time.CLOCK_MONOTONIC]) == (HOUR_NS, NO_ERROR)
        host.set(wall_ns=0, wall_ppm=0, jump_ns=-(10**9), monotonic_ppm=0)
        assert host.report().problems == ()
    finally:
        process.kill()
        process.wait()


def test_an_impossible_clock_change_is_refused_with_a_reason(monkeypatch: pytest.MonkeyPatch, subject: Subject) -> None:
    with pytest.raises(Unsupported, match="32-bit"):
        library(0, b"\x7fELF\x01\x01" + bytes(100))
    with pytest.raises(RequestFailed, match="1970"):
        host_of(subject).set(wall_ns=-(10**19), wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    host = host_of(subject)
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert host.report().problems == ("clocks: expected x86_64 or aarch64, got the architecture vax",)
    assert_off(subject.off())


def test_a_process_that_has_ended_is_gone() -> None:
    ended = Subject()
    ended.end()
    with pytest.raises(ProcessGone):
        hook(ended.pid)
    with pytest.raises(ProcessGone), StoppedProcess(ended.pid):
        pass
    host = HostClocks(lambda: [ended.pid])
    host.set(wall_ns=HOUR_NS, wall_ppm=0, jump_ns=0, monotonic_ppm=0)
    assert host.report().processes == 0


def test_an_error_grows_by_its_gain_from_when_it_began() -> None:
    error = ClockError(since=1_000, offset=7, gain=vdso.GAIN_ONE // 2)
    assert [error.at(now) for now in (1_000, 1_002, 3_000)] == [7, 8, 1_007]
    assert ClockError(since=0, offset=0, gain=-vdso.GAIN_ONE // 4).at(100) == -25
