"""Programs on container hosts: TCP connections, lookups and clocks under each fault of links, names and machines."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any

import pytest

from splitbrain.nemesis.faults import Crash, Delay, Dns, Fault, Kill, Partition, Skew
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import View
from splitbrain.nodes.clients.base import Ok
from splitbrain.runtimes.base import Effect
from splitbrain.tests.test_conformance import TIMEOUT_NS, Contained
from splitbrain.tests.waits import DEADLINE_S, until
from splitbrain.units import MS

pytestmark = pytest.mark.engine

PORT = 7321
UNUSED_PORT = 7999
# Both ends send a byte every 50 ms until their input ends. Each prints when it hears one (ns, CLOCK_MONOTONIC), and
# how its connection ended.
TALK = """
import json, select, socket, sys, time
def say(*words):
    print(json.dumps([time.monotonic_ns(), *words]), flush=True)
if sys.argv[1] == "listen":
    server = socket.create_server(("0.0.0.0", {port}))
    server.settimeout(60)
    line, _ = server.accept()
    server.close()
else:
    line, give_up = None, time.monotonic() + 60
    while line is None:
        try:
            line = socket.create_connection((sys.argv[2], {port}), timeout=5)
        except OSError:
            if time.monotonic() > give_up:
                sys.exit("the other end never listened")
            time.sleep(0.01)
line.settimeout(0.05)
line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while not select.select([sys.stdin], [], [], 0)[0]:
    try:
        line.send(b"x")
        for _ in line.recv(4096):
            say()
        time.sleep(0.05)
    except TimeoutError:
        pass
    except OSError as failure:
        say(type(failure).__name__)
        break
""".replace("{port}", str(PORT))

CONNECT = """
import json, socket, sys, time
to, port, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
began = time.monotonic()
try:
    socket.create_connection((to, port), timeout=timeout).close()
    came = "connected"
except OSError as failure:
    came = type(failure).__name__
print(json.dumps([came, time.monotonic() - began]))
"""


KILL_RELEASER = """
import os, signal
from pathlib import Path
own = [p for p in Path("/proc").iterdir() if p.name.isdigit() and b"agent.packets" in (p / "cmdline").read_bytes()]
found = [int(p.name) for p in own if int(p.name) != os.getpid()]
for pid in found:
    os.kill(pid, signal.SIGKILL)
print(len(found))
"""


class Talker:
    """One end of a connection, as it goes on: when it heard each byte (ns), and when and how its connection ended."""

    def __init__(self, container: str, *arguments: str) -> None:
        command = ["docker", "exec", "--interactive", container, "python3", "-c", TALK, *arguments]
        self.at: list[int] = []
        self.ended: tuple[int, str] | None = None
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            at, *how = json.loads(text)
            if how:
                self.ended = (at, how[0])
            else:
                self.at.append(at)

    def between(self, start: int, end: int) -> int:
        """The number of bytes heard in [start, end) (ns)."""
        return sum(start <= at < end for at in tuple(self.at))

    def since(self, start: int) -> int:
        return self.between(start, time.monotonic_ns())

    def is_silent(self) -> bool:
        return self.since(time.monotonic_ns() - 2_000 * MS) == 0

    def has_ended(self) -> bool:
        return self.ended is not None

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


class Bench:
    """A cluster of containers, with programs that run on its hosts."""

    def __init__(self) -> None:
        self.world = Contained()
        self.world.set_up()
        self.cluster = self.world._cluster
        self.pool = ThreadPoolExecutor(8)
        self.talkers: list[Talker] = []

    def run(self, node: str, program: str, *arguments: str, of_node: bool = False) -> Future[Any]:
        """Start a Python program on a host, or among the processes of its node; its output, as JSON."""
        command = ["docker", "exec", self._container(node, of_node), "python3", "-c", program, *arguments]

        def work() -> Any:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            return json.loads(ran.stdout) if ran.stdout else None

        return self.pool.submit(work)

    def _container(self, node: str, of_node: bool) -> str:
        host = self.cluster._hosts[node]
        return str((host.node if of_node else host.container).name)

    def address(self, node: str) -> str:
        return self.cluster._addresses[node]

    def talk(self, a: str, b: str, of_node: bool = False) -> tuple[Talker, Talker]:
        """Have both ends talk, and wait until they do; ``of_node`` makes the first a process of its node."""
        listening = Talker(self._container(a, of_node), "listen")
        calling = Talker(self._container(b, False), "call", self.address(a))
        self.talkers += (listening, calling)
        until(lambda: listening.at and calling.at, "they never talked")
        return listening, calling

    def end_talks(self) -> None:
        while self.talkers:
            self.talkers.pop().stop()

    def connect(self, node: str, to: str, port: int, timeout_s: float) -> tuple[str, float]:
        """What came of a connection from a host to another, and after how many seconds."""
        came, seconds = self.run(node, CONNECT, self.address(to), str(port), str(timeout_s)).result()
        return came, seconds

    def connects_within(self, seconds: float, node: str, to: str) -> None:
        """Wait until a connection is made in that time; none can be while packets are held for longer."""

        def connects() -> bool:
            came, took = self.connect(node, to, 8000, 1)
            return came == "connected" and took < seconds

        until(connects, f"no connection in {seconds} s")

    def strike(self, fault: Fault, leader: str) -> Plan:
        made = plan(fault, View(nodes=tuple(self.cluster.nodes), leader=leader), Random(1))
        assert isinstance(made, Plan)
        self.world.tell(lambda cluster: verified(cluster.inflict(made)))
        return made

    def undo(self, made: Plan) -> None:
        self.world.tell(lambda cluster: verified(cluster.undo(made)))


async def verified(act: Any) -> None:
    effect: Effect = await act
    assert effect.verified, effect.problems


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench()
    try:
        yield made
    finally:
        made.pool.shutdown()
        made.world.tear_down(tmp_path_factory.mktemp("logs"))


@pytest.fixture(autouse=True)
def healed(bench: Bench) -> Iterator[None]:
    yield
    bench.end_talks()
    bench.world.tell(lambda cluster: verified(cluster.heal()))


def is_observed_at_once(bench: Bench, node: str) -> bool:
    began = time.monotonic_ns()
    reply = bench.world.tell(lambda cluster: cluster.observe(node, TIMEOUT_NS))
    return isinstance(reply, Ok) and time.monotonic_ns() - began < 150 * MS


def for_a_while(seconds: float) -> None:
    """Let a fault last in real time, by which the programs on the hosts are timed."""
    asyncio.run(asyncio.sleep(seconds))


def cut_one_way(bench: Bench, how: Any) -> tuple[Talker, Talker, Plan, int]:
    """n1 is deaf while it talks with n2: both, the cut, and the time by which it was in effect."""
    deaf, other = bench.talk("n1", "n2")
    cut = bench.strike(Partition(shape="leader-deaf", how=how), leader="n1")
    return deaf, other, cut, time.monotonic_ns()


def crossed(bench: Bench, sender: str, receiver: str) -> tuple[float, float]:
    """Of the last cut of that link: how long ago it ended, and how long after that something came (ms)."""
    effect: Effect = bench.world.tell(lambda cluster: cluster.heal())
    told = [each for each in effect.facts["crossed"] if each["link"] == [sender, receiver]]
    last = min(told, key=lambda each: float(each["ago_ms"]))
    return last["ago_ms"], last["after_ms"]


def test_a_cut_of_payload_is_one_way_for_tcp_for_as_long_as_it_lasts(bench: Bench) -> None:
    deaf, other, cut, began = cut_one_way(bench, "payload")
    until(lambda: other.since(began + 2_000 * MS) >= 5, "what the deaf one says still comes after two seconds")
    ended = time.monotonic_ns()
    bench.undo(cut)
    healed = time.monotonic_ns()
    until(lambda: deaf.since(healed) > 20, "what was held up comes, and what is said then")
    assert deaf.between(began, ended) == 0
    assert (deaf.ended, other.ended) == (None, None)


def test_a_one_way_cut_of_all_packets_soon_stops_tcp_in_both_directions(bench: Bench) -> None:
    deaf, other, cut, began = cut_one_way(bench, "drop")
    until(lambda: began + 1_000 * MS < time.monotonic_ns(), "the first packets need no answer")
    until(lambda: other.since(time.monotonic_ns() - 500 * MS) <= 2, "only what is sent again, ever more seldom")
    ended = time.monotonic_ns()
    bench.undo(cut)
    until(lambda: deaf.since(ended))
    assert deaf.between(began, ended) == 0
    ago_ms, after_ms = crossed(bench, "n2", "n1")
    first = min(at for at in deaf.at if at > ended)
    assert 0 < after_ms <= (first - ended) / MS, "the wire has it before the program, and from the node too"
    assert after_ms < ago_ms


def test_a_rejected_connection_fails_at_once_and_a_dropped_one_times_out(bench: Bench) -> None:
    talking = bench.talk("n1", "n2")
    cut = bench.strike(Partition(shape="isolated-leader", how="reject"), leader="n1")
    assert bench.connect("n2", "n1", UNUSED_PORT, DEADLINE_S)[0] == "ConnectionRefusedError"
    until(lambda: all(end.ended for end in talking), "noticed while it lasts")
    assert all(end.ended and end.ended[1] != "TimeoutError" for end in talking)
    bench.undo(cut)
    cut = bench.strike(Partition(shape="isolated-leader"), leader="n1")
    assert bench.connect("n2", "n1", UNUSED_PORT, 1)[0] == "TimeoutError"
    bench.undo(cut)


HEARD_FROM_PORT = """
import json, socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
server.settimeout(60)
print(json.dumps(server.accept()[0].recv(16).decode()))
"""
SAY_TO_PORT = """
import json, socket, sys, time
give_up = time.monotonic() + 60
while True:
    try:
        line = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)
        line.send(b"hello")
        print(json.dumps("sent"))
        break
    except OSError as failure:
        if time.monotonic() > give_up or isinstance(failure, TimeoutError):
            print(json.dumps(type(failure).__name__))
            break
        time.sleep(0.02)
"""


def test_a_cut_of_one_port_leaves_all_others_open(bench: Bench) -> None:
    cut = bench.strike(Partition(shape="isolated-leader", port=PORT), leader="n1")
    closed = bench.run("n1", HEARD_FROM_PORT, str(PORT))
    assert bench.run("n2", SAY_TO_PORT, bench.address("n1"), str(PORT)).result() == "TimeoutError"
    open_ = bench.run("n1", HEARD_FROM_PORT, str(PORT + 1))
    assert bench.run("n2", SAY_TO_PORT, bench.address("n1"), str(PORT + 1)).result() == "sent"
    assert open_.result() == "hello"
    bench.undo(cut)
    assert bench.run("n2", SAY_TO_PORT, bench.address("n1"), str(PORT)).result() == "sent"
    assert closed.result() == "hello"


def test_a_refused_port_is_noticed_at_once(bench: Bench) -> None:
    cut = bench.strike(Partition(shape="isolated-leader", port=8000, how="reject"), leader="n1")
    assert bench.connect("n2", "n1", 8000, DEADLINE_S)[0] == "ConnectionRefusedError"
    bench.undo(cut)
    bench.connects_within(1, "n2", "n1")


RESOLVED = """
import json, socket, sys
try:
    print(json.dumps(socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET)[0][4][0]))
except OSError as failure:
    print(json.dumps(type(failure).__name__))
"""


def test_names_resolve_to_nothing_or_to_a_stale_address_for_programs_of_the_node(bench: Bench) -> None:
    def resolved(node: str, name: str) -> Any:
        return bench.run(node, RESOLVED, name, of_node=True).result()

    assert resolved("n1", "n2") == bench.address("n2")
    gone = bench.strike(Dns(target="leader", way="out"), leader="n1")
    assert [resolved("n1", name) for name in ("n2", "N3")] == ["gaierror", "gaierror"]
    assert (resolved("n1", "localhost"), resolved("n2", "n1")) == ("127.0.0.1", bench.address("n1"))
    bench.undo(gone)
    astray = bench.strike(Dns(target="leader", way="in", answer="stale"), leader="n1")
    assert resolved("n2", "n1") == f"{bench.address('n1').rpartition('.')[0]}.250"
    assert (resolved("n2", "n3"), resolved("n1", "n2")) == (bench.address("n3"), bench.address("n2"))
    bench.undo(astray)
    assert resolved("n2", "n1") == bench.address("n1")


RULES_LEFT = """
import json, subprocess
rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout.splitlines()
print(json.dumps([rule for rule in rules if "7953" in rule or "multiport" in rule]))
"""


def test_a_heal_leaves_no_rule_of_names_or_ports(bench: Bench) -> None:
    bench.strike(Dns(), leader="n1")
    bench.strike(Partition(shape="halves", port=PORT), leader="n1")
    assert bench.run("n1", RULES_LEFT).result()
    bench.world.tell(lambda cluster: verified(cluster.heal()))
    assert bench.run("n1", RULES_LEFT).result() == []


HELPERS = """
import json, subprocess, sys, time
began = time.time() - time.monotonic()
give_up = time.monotonic() + 8
def off(now):
    return round((now - time.monotonic() - began) / 3600, 2)
date = ["date", "+%s.%N"]
def shown():
    return off(float(subprocess.run(date, capture_output=True, text=True).stdout))
while shown() != 1.0 and time.monotonic() < give_up:  # until new programs are waited for
    time.sleep(0.01)
print(json.dumps([shown() for _ in range(12)]))
"""


def test_helpers_that_live_for_a_millisecond_show_the_skewed_time(bench: Bench) -> None:
    helpers = bench.run("n1", HELPERS, of_node=True)
    for_a_while(1)  # it takes its bearings by the right time
    skewed = bench.strike(Skew(target="leader", offset_ms=3_600_000), leader="n1")
    assert helpers.result() == [1.0] * 12
    bench.undo(skewed)


def test_peers_notice_a_process_death_at_once_and_a_machine_crash_only_later(bench: Bench) -> None:
    for fault, silent in ((Crash(target="leader"), True), (Kill(target="leader"), False)):
        _, other = bench.talk("n1", "n2", of_node=True)
        gone = bench.strike(fault, leader="n1")
        if silent:  # the engine ends what else runs in a container a moment after its first process
            until(other.is_silent)
            assert other.ended is None
        else:
            until(other.has_ended, "noticed while it is down")
        back = time.monotonic_ns()
        bench.undo(gone)
        until(other.has_ended, "once it is back, it knows nothing of the connection")
        assert other.since(back) == 0


def test_delayed_packets_delay_tcp_but_no_observer(bench: Bench) -> None:
    late = bench.strike(Delay(ms=150), leader="n1")
    came, seconds = bench.connect("n2", "n1", 8000, DEADLINE_S)
    assert (came, seconds >= 0.3) == ("connected", True)
    for node in bench.cluster.nodes:
        until(partial(is_observed_at_once, bench, node), f"{node} is observed late")
    bench.undo(late)
    bench.connects_within(0.15, "n2", "n1")


def test_when_the_releasing_process_dies_packets_pass_and_the_next_fault_starts_another(bench: Bench) -> None:
    late = bench.strike(Delay(ms=300), leader="n1")
    assert [bench.run(node, KILL_RELEASER).result() for node in bench.cluster.nodes] == [1] * 5
    bench.connects_within(0.3, "n2", "n1")
    bench.undo(late)
    bench.undo(bench.strike(Delay(ms=50), leader="n1"))


def test_a_slow_fault_delays_no_heal_of_another(bench: Bench) -> None:
    """Verifying a delay of 2 s takes longer than 2 s; a cut injected in that time does not wait for it."""
    view = View(nodes=tuple(bench.cluster.nodes), leader="n1")
    late, cut = (plan(fault, view, Random(1)) for fault in (Delay(ms=2_000), Partition(shape="isolated-leader")))
    assert isinstance(late, Plan) and isinstance(cut, Plan)

    async def overtakes(cluster: Any) -> bool:
        slow = asyncio.create_task(cluster.inflict(late))
        await asyncio.sleep(0)  # it begins
        await verified(cluster.inflict(cut))
        await verified(cluster.undo(cut))
        waited = slow.done()
        effect: Effect = await slow
        await verified(cluster.undo(late))
        assert effect.verified, effect.problems
        return not waited and effect.in_effect_ns < 2_000 * MS

    until(lambda: bench.world.tell(overtakes), "a cut and its heal waited for the slow fault")
