"""The real thing, small: processes on 127.0.0.1, asked over HTTP, killed and stopped by signals."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from splitbrain import nodes
from splitbrain.nodes import wire
from splitbrain.nodes.__main__ import main
from splitbrain.nodes.driver import Driver, DurableState
from splitbrain.nodes.protocol import Started
from splitbrain.nodes.wall import OnWallClock

ROOT = Path(nodes.__file__).parents[1]
DEADLINE_S = 15.0
# Slower than usual, so that a busy machine is not taken for a dead leader.
CALM: tuple[str, ...] = (
    "heartbeat=50000000",
    "election_timeout_min=300000000",
    "election_timeout_max=500000000",
)
# For a node that hears nobody: it need not be patient.
HASTY: tuple[str, ...] = ("heartbeat=10000000", "election_timeout_min=50000000", "election_timeout_max=100000000")
NOWHERE = "255.255.255.255:9"  # sending there is refused by the kernel, as a firewall's rule would


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return once the condition holds; fail, saying what was waited for, when it takes too long."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"still waiting after {DEADLINE_S} s: {what}"
        time.sleep(0.01)


class Process:
    """One node as a process of its own, with the addresses it was given."""

    def __init__(self, name: str, data: Path, system: str, udp: int, http: int) -> None:
        self.name, self.data, self.system, self.udp, self.http = name, data, system, udp, http
        self.peers: dict[str, str] = {}
        self.options = CALM
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "nodes", self.system, "--id", self.name, "--data", str(self.data)]
        command += ["--listen", f"127.0.0.1:{self.udp}", "--http", f"127.0.0.1:{self.http}", "--seed", "7"]
        command += [f"--peer={name}={address}" for name, address in self.peers.items()]
        command += [f"--option={option}" for option in self.options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> tuple[int, str]:
        """End the process; its exit status and what it wrote to standard error."""
        assert self.process is not None
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors

    def end(self) -> None:
        """Whatever state it is in, leave nothing of it."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stands_still(self) -> bool:
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.http, timeout=2)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def status(self) -> Any:
        return self.ask("GET", "/status?nonce=x")[1]

    def answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/status")[0] == 200)
        except (OSError, HTTPException):
            return False

    def durable(self) -> Any:
        return json.loads((self.data / "state.json").read_text())


def free_ports(count: int) -> list[int]:
    """Ports that nobody had, of TCP and UDP, a moment ago."""
    with ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            tcp = stack.enter_context(socket.socket())
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            tcp.bind(("127.0.0.1", 0))
            udp.bind(tcp.getsockname())
            ports.append(tcp.getsockname()[1])
        return ports


Launch = Callable[..., list[Process]]
Three = Callable[[str], list[Process]]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Make (and start) processes that know each other; all are ended with the test, whatever happens."""
    with launching(tmp_path) as launch:
        yield launch


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three processes of a system, shared by tests that leave all of them running."""
    with launching(tmp_path_factory.mktemp("three")) as launch:
        yield functools.cache(lambda system: launch(3, system))


@contextmanager
def launching(folder: Path) -> Iterator[Launch]:
    made: list[Process] = []

    def launch(size: int, system: str = "raft", *, start: bool = True) -> list[Process]:
        ports = free_ports(2 * size)
        names = [f"n{number + 1}" for number in range(size)]
        group = [
            Process(name, folder / system / name, system, udp, http)
            for name, udp, http in zip(names, ports[::2], ports[1::2], strict=True)
        ]
        made.extend(group)
        for process in group:
            process.peers = {other.name: f"127.0.0.1:{other.udp}" for other in group if other is not process}
            if start:
                process.start()
        return group

    try:
        yield launch
    finally:
        for process in made:
            process.end()


def leader_of(processes: list[Process]) -> Process | None:
    """The one node that all of them, itself included, follow in one term; None while there is none."""
    try:
        statuses = [process.status() for process in processes]
    except (OSError, HTTPException):
        return None
    views = {(status["leader"], status["term"]) for status in statuses}
    leading = [process for process, status in zip(processes, statuses, strict=True) if status["leading"]]
    return leading[0] if len(views) == 1 and [p.name for p in leading] == [next(iter(views))[0]] else None


def agreed_leader(processes: list[Process]) -> Process:
    found: list[Process] = []

    def agreed() -> bool:
        leader = leader_of(processes)
        found[:] = [leader] if leader else []
        return bool(found)

    wait_until(agreed, "one leader that all nodes follow")
    return found[0]


def only_alone(processes: list[Process]) -> Process:
    (process,) = processes
    return process


@pytest.mark.parametrize("system", ["raft", "raft-basic", "raft-lease"])
def test_three_processes_elect_one_that_confirms_and_two_that_do_not(three: Three, system: str) -> None:
    processes = three(system)
    leader = agreed_leader(processes)
    status = leader.status()
    assert status["id"] == leader.name and status["role"] == "leader" and status["nonce"] == "x"
    assert re.fullmatch(rf"{status['boot']}-\d+", status["reign"])
    assert status["lease"] is (True if system == "raft-lease" else None)
    assert leader.ask("POST", "/confirm?nonce=abc") == (
        200,
        {"nonce": "abc", "id": leader.name, "term": status["term"], "reign": status["reign"]},
    )
    for follower in processes:
        if follower is not leader:
            assert follower.ask("POST", "/confirm?nonce=abc") == (
                409,
                {"nonce": "abc", "id": follower.name, "error": "not leading"},
            )
            assert follower.status()["sent"]["heartbeat_reply"] > 0


def test_a_killed_leader_is_replaced_and_returns_with_its_term_and_vote(three: Three) -> None:
    processes = three("raft")
    old = agreed_leader(processes)
    before = old.status()
    old.kill()
    durable = old.durable()
    assert durable == {"term": before["term"], "voted_for": old.name}
    others = [process for process in processes if process is not old]
    new = agreed_leader(others)
    assert new.status()["term"] > before["term"]
    for process in others:
        process.kill()
    old.start()  # alone it can win no pre-vote, so its term and its vote must stay what they were
    wait_until(old.answers, "an answer from the restarted node")
    wait_until(lambda: old.status()["sent"].get("pre_vote", 0) > 0, "an attempt at an election")
    status = old.status()
    assert status["term"] == before["term"] and status["boot"] != before["boot"]
    assert old.durable() == durable
    for process in others:
        process.start()
    assert agreed_leader(processes).status()["term"] > durable["term"]


def test_a_stopped_leader_is_replaced_and_follows_once_it_goes_on(three: Three) -> None:
    processes = three("raft")
    old = agreed_leader(processes)
    old.signal(signal.SIGSTOP)
    new = agreed_leader([process for process in processes if process is not old])
    old.signal(signal.SIGCONT)
    assert agreed_leader(processes) is new
    assert old.process is not None and old.process.poll() is None
    assert old.status()["leader"] == new.name


def test_a_stopped_leader_with_a_lease_claims_nothing_when_it_goes_on(three: Three) -> None:
    processes = three("raft-lease")
    old = agreed_leader(processes)
    reign = old.status()["reign"]
    connection = HTTPConnection("127.0.0.1", old.http, timeout=DEADLINE_S)
    connection.connect()
    old.signal(signal.SIGSTOP)
    wait_until(old.stands_still, "all its threads to have stopped: the signal is only on its way")
    connection.request("GET", "/status")  # waits in the stopped process's socket, to be answered first of all
    agreed_leader([process for process in processes if process is not old])
    old.signal(signal.SIGCONT)
    status = json.loads(connection.getresponse().read())
    connection.close()
    # On a busy machine it may have been elected anew before it came to answer: that is another reign.
    assert reign is not None and status["reign"] != reign


def test_sigterm_ends_a_node_at_once_and_cleanly(launch: Launch) -> None:
    process = only_alone(launch(1))
    wait_until(lambda: process.answers() and process.status()["leading"], "a leader of itself")
    code, errors = process.kill(signal.SIGTERM)
    lines = [json.loads(line) for line in errors.splitlines()]
    assert code == 0
    assert [line["event"] for line in lines if line["event"] != "followed"] == ["started", "led"]
    assert all(line["id"] == "n1" and line["at"] > 0 for line in lines)


def test_what_is_no_message_of_a_peer_is_dropped_and_counted(launch: Launch) -> None:
    process = only_alone(launch(1))
    wait_until(process.answers, "an answer")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        vote = {"kind": "vote", "term": 99, "round": 1}
        for data in (b"", b"nonsense", b"x" * 60_000, wire.encode("n2", vote), wire.encode("n1", vote)):
            stranger.sendto(data, ("127.0.0.1", process.udp))
    wait_until(lambda: process.status()["dropped"] == {"malformed": 3, "unknown sender": 2}, "five datagrams dropped")
    assert process.status()["term"] < 99


def test_peers_that_cannot_be_reached_hold_nothing_up(launch: Launch) -> None:
    process = only_alone(launch(1, "raft-basic", start=False))
    process.peers = {"n2": NOWHERE, "n3": NOWHERE}
    process.options = HASTY
    process.start()
    wait_until(process.answers, "an answer")
    wait_until(lambda: process.status()["term"] >= 3, "a third attempt at an election")
    status = process.status()
    assert status["dropped"]["not sent"] == status["sent"]["vote"] >= 6


def test_options_are_obeyed(launch: Launch) -> None:
    process = only_alone(launch(1, start=False))
    process.peers = {"n2": NOWHERE, "n3": NOWHERE}
    process.options = (*CALM, "pre_vote=false", "check_quorum=false")
    process.start()
    wait_until(process.answers, "an answer")
    wait_until(lambda: process.status()["role"] == "candidate", "a candidacy without a pre-vote")
    assert "pre_vote" not in process.status()["sent"]


def test_a_node_that_cannot_make_its_vote_durable_ends_before_it_asks_for_others(launch: Launch) -> None:
    process = only_alone(launch(1, "raft-basic", start=False))
    (process.data / "state.json.new").mkdir(parents=True)  # what it would write its state to
    process.peers = {"n2": NOWHERE}
    process.start()
    assert process.process is not None
    _, errors = process.process.communicate(timeout=DEADLINE_S)
    assert process.process.returncode == 70 and "IsADirectoryError" in errors


def test_a_state_is_durable_before_save_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order, each step resting on the one before: the file's bytes, its name, the directory."""
    steps = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').resolve().name}")
        fsync(descriptor)

    def noting_replace(self: Path, target: Path) -> Path:
        assert json.loads(self.read_text()) == {"term": 3}
        steps.append(f"rename {self.name} {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    state = DurableState(tmp_path / "data")
    assert state.load() is None
    state.save({"term": 3})
    assert steps == ["fsync state.json.new", "rename state.json.new state.json", "fsync data"]
    assert DurableState(tmp_path / "data").load() == {"term": 3}


def test_a_damaged_state_is_not_taken_for_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.json").write_text('{"term": 3, "vo')
    arguments = ["--id", "n1", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(tmp_path)]
    assert main(["raft", *arguments]) == 70
    assert "state.json: expected the JSON that a node persisted" in capsys.readouterr().err


@pytest.mark.parametrize("state", ['{"term": 3}', "[3, null]", "7"])
def test_a_state_that_lacks_what_a_node_persists_is_refused_in_one_line(
    state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state.json").write_text(state)
    arguments = ["--id", "n1", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(tmp_path)]
    assert main(["raft", *arguments]) == 70
    said = capsys.readouterr().err
    assert f"{tmp_path}: expected the state of a raft node, found" in said and len(said.splitlines()) == 1


def test_a_node_with_a_planted_bug_runs_like_any_other(launch: Launch) -> None:
    (process,) = launch(1, "broken/forgets-vote")
    wait_until(lambda: process.answers() and process.status()["leading"], "a leader")
    assert json.loads((process.data / "state.json").read_text())["voted_for"] is None


def test_one_that_lives_by_the_wall_clock_is_told_the_time_of_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Driver] = []
    monkeypatch.setattr(Driver, "run", lambda driver: started.append(driver))
    addresses = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    assert main(["broken/lives-by-wall-clock", "--id", "n1", *addresses, "--data", str(tmp_path)]) == 0
    node = started[0]._node
    node.handle(Started(1))
    assert isinstance(node, OnWallClock) and not node.status(time.monotonic_ns()).leading


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--option", "prevote=true"], "raft has no option 'prevote'"),
        (["--option", "lease=true", "--option", "check_quorum=false"], "lease requires check_quorum"),
        (["--peer", "n1=127.0.0.1:1"], "expected the other nodes as peers"),
        (["--peer", "n2=127.0.0.1"], "expected HOST:PORT, got '127.0.0.1'"),
    ],
)
def test_wrong_usage_is_refused_in_words(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ["--id", "n1", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(tmp_path / "d")]
    assert main(["raft", *usual, *arguments]) == 64
    assert words in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_arguments_that_make_no_sense_are_refused_by_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["paxos"], ["raft"], ["raft", "--peer", "n2"]):
        with pytest.raises(SystemExit):
            main(arguments)
    said = capsys.readouterr().err
    assert "expected NAME=VALUE, got 'n2'" in said
    assert "expected one of raft, " in said and "or broken/NAME, got 'paxos'" in said
