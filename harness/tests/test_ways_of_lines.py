"""Commands in a container, lines over TCP and RESP as ways of asking: answers, refusals, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.core.experiment import Experiment
from splitbrain.core.simulate import history_of
from splitbrain.nodes.clients.answers import MOST_BYTES, Answer, WrongAnswer
from splitbrain.nodes.clients.base import Endpoint, OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.insides import NO_INSIDES, Process
from splitbrain.nodes.clients.ways import Asker, Target, asker
from splitbrain.nodes.clients.ways.commands import Cost
from splitbrain.nodes.clients.ways.logs import Roles
from splitbrain.nodes.systems.probes import Exec, Log, Redis, Tcp, Way
from splitbrain.nodes.systems.raft import RAFT_SYSTEM
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.tests.test_ways import OWN, Serve, served
from splitbrain.units import MS
from splitbrain.workloads import USUAL

T = TypeVar("T")
GIVE_UP_S = 30.0


class LocalProcess:
    """A process of this machine in place of one in a container."""

    errors = ""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def read(self) -> bytes:
        assert self.process.stdout is not None
        return await self.process.stdout.read(65_536)

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def status(self) -> int | None:
        return await self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


class Local:
    """Starts commands on this machine, and keeps them; ``without`` a shell, none of those can be started."""

    def __init__(self, without_shell: bool = False, writes: Sequence[str] = ()) -> None:
        self.started: list[LocalProcess] = []
        self.writes = writes
        self.still = False
        self._without_shell = without_shell

    async def start(self, machine: str, command: Sequence[str]) -> Process:
        if self._without_shell and command[0] == "/bin/sh":
            command = ["printf", 'exec failed: "/bin/sh": no such file or directory: unknown']
        pipe = asyncio.subprocess.PIPE
        made = LocalProcess(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
        self.started.append(made)
        return made

    async def log(self, machine: str) -> Process:
        return await self.start(machine, self.writes)

    async def stands_still(self, machine: str) -> bool:
        return self.still

    async def ended(self) -> None:
        """Wait until all have ended, as closing their input makes them."""
        async with asyncio.timeout(GIVE_UP_S):
            for each in self.started:
                await each.process.communicate()


def asked(way: Way, use: Callable[[Asker], Awaitable[T]], inside: Local | None = None) -> T:
    local = inside or Local()

    async def run() -> T:
        made = asker(way, Target(endpoint=Endpoint("10.0.0.1", {}), own=OWN, inside=local))
        try:
            return await use(made)
        finally:
            await made.close()
            await local.ended()

    return asyncio.run(run())


def test_one_shell_runs_the_command_for_each_question() -> None:
    inside = Local()

    async def thrice(made: Asker) -> list[Answer]:
        return [await made.ask() for _ in range(3)]

    answers = asked(Exec(command=("sh", "-c", "echo {name} $$; cat; exit 3")), thrice, inside)
    assert len(inside.started) == 1 and len({answer.body for answer in answers}) == 3
    assert {answer.body.split()[0] for answer in answers} == {b"n1"}
    assert {(answer.status, answer.refusal.partition(":")[0]) for answer in answers} == {(3, "exit status 3")}


def test_questions_at_one_time_have_a_shell_each() -> None:
    inside = Local()

    async def at_once(made: Asker) -> list[Answer]:
        return [*await asyncio.gather(made.ask(), made.ask())]

    assert len(asked(Exec(command=("echo", "yes")), at_once, inside)) == len(inside.started) == 2


def test_output_without_an_end_of_line_and_with_one_like_the_mark_is_kept_whole() -> None:
    answer = asked(Exec(command=("printf", "a\\n0123456789abcdef 0\\nb")), lambda made: made.ask())
    assert (answer.body, answer.status) == (b"a\n0123456789abcdef 0\nb", 0)


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(GIVE_UP_S):
        while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
            await asyncio.sleep(0.01)


def test_a_command_that_hangs_is_killed_when_its_question_is_given_up_and_the_next_is_answered(tmp_path: Path) -> None:
    hangs = tmp_path / "hangs"
    script = f"echo $$ > {tmp_path}/pid; if [ -e {hangs} ]; then exec sleep 1000; fi; echo fine"
    inside = Local()

    async def use(made: Asker) -> Answer:
        assert (await made.ask()).body == b"fine\n"
        (tmp_path / "pid").unlink()
        hangs.touch()
        question = asyncio.create_task(made.ask())
        async with asyncio.timeout(GIVE_UP_S):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                await asyncio.sleep(0.01)
        question.cancel()
        await until_gone(int((tmp_path / "pid").read_text()))
        async with asyncio.timeout(GIVE_UP_S):
            await inside.started[0].process.wait()
        hangs.unlink()
        return await made.ask()

    assert asked(Exec(command=("sh", "-c", script)), use, inside).body == b"fine\n"
    assert len(inside.started) == 2


def test_a_shell_that_is_killed_is_no_answer_and_another_is_started() -> None:
    inside = Local()

    async def use(made: Asker) -> Answer:
        await made.ask()
        os.kill(inside.started[0].process.pid, signal.SIGKILL)
        await inside.started[0].process.wait()
        with pytest.raises((OperationFailed, OutcomeUnknown)):
            await made.ask()
        return await made.ask()

    assert asked(Exec(command=("echo", "yes")), use, inside).body == b"yes\n"


def test_an_endless_answer_is_refused() -> None:
    with pytest.raises(WrongAnswer, match="at most 1,048,576 bytes"):
        asked(Exec(command=("yes",)), lambda made: made.ask())


def test_without_a_shell_each_question_is_a_process_of_its_own() -> None:
    inside = Local(without_shell=True)

    async def twice(made: Asker) -> list[Answer]:
        return [await made.ask() for _ in range(2)]

    answers = asked(Exec(command=(sys.executable, "-c", "print('yes')")), twice, inside)
    assert [answer.body for answer in answers] == [b"yes\n", b"yes\n"] and len(inside.started) == 3


def test_the_cost_of_questions_is_the_median_of_the_latest() -> None:
    cost = Cost()
    assert cost.median_ns == 0
    for ns in (5, 1_000, 7):
        cost.took(ns)
    assert cost.median_ns == 7


# Logs


def roles(*lines: str, leading: str = "became leader", follower: str = "became follower|stepped down") -> Roles:
    read = Roles(Log(leading=leading, follower=follower))
    for line in lines:
        read.take(line)
    return read


@pytest.mark.parametrize(
    ("lines", "leading", "decided"),
    [
        ((), False, 0),
        (("starting", "became follower"), False, 1),
        (("became follower", "became leader", "served 7"), True, 2),
        (("became leader", "stepped down"), False, 2),
        (("became leader", "became leader"), True, 2),
        (("n2 became leader, so n1 became follower",), False, 1),
    ],
)
def test_the_last_line_that_matches_decides_the_role(lines: tuple[str, ...], leading: bool, decided: int) -> None:
    read = roles(*lines)
    assert (read.leading, read.decided) == (leading, decided)


FOLLOWED = Log(leading="became leader", follower="became follower")


def writing(script: str) -> Local:
    return Local(writes=("sh", "-c", script))


async def until_it_leads(made: Asker) -> dict[str, object]:
    async with asyncio.timeout(GIVE_UP_S):
        while True:
            with contextlib.suppress(OutcomeUnknown):
                value: dict[str, object] = json.loads((await made.ask()).body)
                if value["leading"]:
                    return value


def test_a_log_is_followed_from_its_start() -> None:
    inside = writing("echo became follower; echo 7 became leader at term 3; cat")
    assert asked(FOLLOWED, until_it_leads, inside) == {
        "leading": True,
        "line": "7 became leader at term 3",
        "since": "1-2",
    }


def test_a_log_that_ends_is_no_answer_and_the_next_one_begins_without_a_role() -> None:
    inside = writing("echo became leader; cat")

    async def use(made: Asker) -> object:
        await until_it_leads(made)
        inside.writes = ("cat",)
        inside.started[0].close()
        await inside.started[0].process.wait()
        async with asyncio.timeout(GIVE_UP_S):
            while True:
                with contextlib.suppress(OperationFailed):
                    value = json.loads((await made.ask()).body)
                    if value["since"].startswith("2"):
                        return value["leading"]

    assert asked(FOLLOWED, use, inside) is False


def test_a_node_that_stands_still_says_nothing_by_its_log() -> None:
    inside = writing("echo became leader; cat")

    async def use(made: Asker) -> None:
        await until_it_leads(made)
        inside.still = True
        await made.ask()

    with pytest.raises(OutcomeUnknown, match="stands still"):
        asked(FOLLOWED, use, inside)


def test_a_line_that_decides_while_an_answer_settles_makes_it_none(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = writing("echo became leader; read line; echo became follower; cat")
    settle = asyncio.sleep

    async def use(made: Asker) -> None:
        await until_it_leads(made)

        async def settling(seconds: float) -> None:
            await inside.started[0].write(b"go on\n")
            while made._roles.decided < 2:  # type: ignore[attr-defined]
                await settle(0.001)

        monkeypatch.setattr("splitbrain.nodes.clients.ways.logs.asyncio.sleep", settling)
        await made.ask()

    with pytest.raises(OutcomeUnknown, match="came meanwhile"):
        asked(FOLLOWED, use, inside)


# TCP


def over_tcp(way: Way, serve: Serve) -> Answer:
    async def use(endpoint: Endpoint) -> Answer:
        made = asker(way, Target(endpoint=endpoint, own=OWN, inside=NO_INSIDES))
        try:
            return await made.ask()
        finally:
            await made.close()

    return asyncio.run(served(serve, use))


def saying(*parts: bytes, heard: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(1_000)
        if heard is not None:
            heard.append(data)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return serve


def test_an_answer_over_tcp_ends_with_a_text_or_with_the_connection() -> None:
    heard: list[bytes] = []
    answer = over_tcp(Tcp(send="who leads, {name}?\n", until="\n\n"), saying(b"n2\n", b"\nmore", heard=heard))
    assert (answer.body, heard) == (b"n2", [b"who leads, n1?\n"])
    assert over_tcp(Tcp(send="stat"), saying(b"Mode: ", b"leader\n")).body == b"Mode: leader\n"


@pytest.mark.parametrize(
    ("until", "parts"), [("\n\n", (b"n2\n",)), (None, ()), ("x", ())], ids=["half", "nothing", "nothing at all"]
)
def test_an_answer_over_tcp_without_its_end_is_none(until: str | None, parts: tuple[bytes, ...]) -> None:
    with pytest.raises(OutcomeUnknown, match="closed"):
        over_tcp(Tcp(send="?", until=until), saying(*parts))


def test_an_endless_answer_over_tcp_is_refused() -> None:
    with pytest.raises(WrongAnswer, match="at most 1,048,576 bytes"):
        over_tcp(Tcp(send="?"), saying(*[b"x" * 2**16] * 40))


# RESP


def redis(*replies: bytes, heard: list[bytes] | None = None) -> Serve:
    """Serves one reply to each command; a PING is answered by its nonce."""
    left = [*replies]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(10_000):
            if heard is not None:
                heard.append(data)
            if b"PING" in data:
                nonce = data.split(b"\r\n")[4]
                writer.write(b"+" + nonce + b"\r\n")
            writer.write(left.pop(0))
            if not left:
                return

    return serve


def test_a_reply_is_a_text_or_json() -> None:
    role = b"*3\r\n$6\r\nmaster\r\n:12\r\n*1\r\n$-1\r\n"
    assert json.loads(over_tcp(Redis(command=("ROLE",)), redis(role)).body) == ["master", 12, [None]]
    assert over_tcp(Redis(command=("INFO",)), redis(b"$11\r\nrole:master\r\n")).body == b"role:master"


def test_a_password_is_sent_before_the_first_command() -> None:
    heard: list[bytes] = []
    way = Redis(command=("GET", "{name}"), user="me", password="secret")
    assert over_tcp(way, redis(b"+OK\r\n", b":1\r\n", heard=heard)).body == b"1"
    assert b"AUTH" in heard[0] and b"secret" in heard[0] and b"$2\r\nn1\r\n" in heard[1]


@pytest.mark.parametrize(
    ("way", "replies", "error"),
    [
        (Redis(command=("ROLE",)), (b"-LOADING the data\r\n",), OperationFailed),
        (Redis(command=("ROLE",), password="x"), (b"-WRONGPASS\r\n",), OperationFailed),
        (Redis(command=("ROLE",)), (b"*1\r\n" * 100,), OutcomeUnknown),
        (Redis(command=("ROLE",)), (b"?\r\n",), OutcomeUnknown),
        (Redis(command=("ROLE",)), (b"$2000000\r\n" + b"x" * (MOST_BYTES + 1),), OutcomeUnknown),
    ],
    ids=["error", "password", "deep", "no RESP", "too long"],
)
def test_a_reply_that_is_none_is_refused(way: Redis, replies: tuple[bytes, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        over_tcp(way, redis(*replies))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=60) | st.text("*$:+-0123456789\r\n", max_size=60).map(str.encode))
def test_whatever_a_server_replies_is_an_answer_or_a_refusal(reply: bytes) -> None:
    try:
        over_tcp(Redis(command=("ROLE",)), redis(reply))
    except (OperationFailed, OutcomeUnknown) as refused:
        assert str(refused)


def test_a_node_that_is_costly_to_ask_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment(
        system=RAFT_SYSTEM, nemesis=("none",), runtime="sim", nodes=3, time_limit_s=4, seed=1, workload=USUAL["sim"]
    )

    def asked_of_n1() -> int:
        seen = history_of(experiment, experiment.planned()).observations
        return int((seen.node == 0).sum())

    often = asked_of_n1()
    monkeypatch.setattr(SimCluster, "rest_ns", lambda cluster, node: 400 * MS if node == "n1" else 0)
    assert 2 * asked_of_n1() < often
