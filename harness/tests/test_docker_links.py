"""Programs on container hosts: TCP connections, lookups and clocks under each fault of links, names and machines."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from splitbrain.nemesis.faults import Crash, Delay, Dns, Fault, Kill, Partition, Skew
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import View
from splitbrain.runtimes.base import Effect
from splitbrain.tests.test_conformance import TIMEOUT_NS, Contained
from splitbrain.units import MS

pytestmark = pytest.mark.engine

PORT = 7321
TRIES = 5
# Both ends send a byte every 50 ms and note when they hear one (ns, CLOCK_MONOTONIC), and how it ended.
TALK = """
import json, socket, sys, time
listening, to, seconds = sys.argv[1] == "listen", sys.argv[2], float(sys.argv[3])
end = time.monotonic() + seconds
heard, ended = [], None
if listening:
    server = socket.create_server(("0.0.0.0", {port}))
    server.settimeout(seconds)
    line, _ = server.accept()
else:
    line = None
    while line is None:
        try:
            line = socket.create_connection((to, {port}), timeout=1)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                sys.exit("the other end never listened")
            time.sleep(0.01)
line.settimeout(0.05)
line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while time.monotonic() < end and ended is None:
    try:
        line.send(b"x")
        came = line.recv(4096)
        heard += [time.monotonic_ns()] * len(came)
        time.sleep(0.05)
    except TimeoutError:
        pass
    except OSError as failure:
        ended = [time.monotonic_ns(), type(failure).__name__]
print(json.dumps([heard, ended]))
""".replace("{port}", str(PORT))

CONNECTED = """
import json, sys, time
def connected():
    with open("/proc/net/tcp") as table:
        return any(row[1].endswith(sys.argv[1]) and row[3] == "01" for row in map(str.split, table))
give_up = time.monotonic() + 10
while not connected() and time.monotonic() < give_up:
    time.sleep(0.01)
print(json.dumps(connected()))
"""

CONNECT = """
import json, socket, sys, time
began = time.monotonic()
try:
    socket.create_connection((sys.argv[1], 7999 if len(sys.argv) < 3 else int(sys.argv[2])), timeout=1).close()
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


@dataclass(frozen=True)
class Heard:
    """When one end heard a byte (ns), and when and how its connection ended."""

    at: list[int]
    ended: tuple[int, str] | None

    def between(self, start: int, end: int) -> int:
        return sum(start <= at < end for at in self.at)


class Bench:
    """A cluster of containers, with programs that run on its hosts."""

    def __init__(self) -> None:
        self.world = Contained()
        self.world.set_up()
        self.cluster = self.world._cluster
        self.pool = ThreadPoolExecutor(8)

    def run(self, node: str, program: str, *arguments: str, of_node: bool = False) -> Future[Any]:
        """Start a Python program on a host, or among the processes of its node; its output, as JSON."""
        host = self.cluster._hosts[node]
        name = str((host.node if of_node else host.container).name)
        command = ["docker", "exec", name, "python3", "-c", program, *arguments]

        def work() -> Any:
            try:
                ran = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
            except subprocess.TimeoutExpired:  # a process that is killed may leave its exec open
                return None
            return json.loads(ran.stdout) if ran.stdout else None

        return self.pool.submit(work)

    def address(self, node: str) -> str:
        return self.cluster._addresses[node]

    def talk(self, a: str, b: str, seconds: float, of_node: bool = False) -> tuple[Future[Any], Future[Any]]:
        """Have both ends talk, and wait until they do; ``of_node`` makes the first a process of its node."""
        listening = self.run(a, TALK, "listen", "-", str(seconds), of_node=of_node)
        calling = self.run(b, TALK, "call", self.address(a), str(seconds))
        assert self.run(a, CONNECTED, f":{PORT:04X}").result(), "they never talked"
        return listening, calling

    def connects_within(self, seconds: float, node: str, to: str) -> bool:
        """True if one of several connections is made in that time; none can be while packets are held for longer."""
        tries = (self.run(node, CONNECT, self.address(to), "8000").result() for _ in range(TRIES))
        return any(came == "connected" and took < seconds for came, took in tries)

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


def heard(talk: Future[Any]) -> Heard:
    at, ended = talk.result(timeout=30)
    return Heard(at, tuple(ended) if ended else None)


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
    bench.world.tell(lambda cluster: verified(cluster.heal()))


def observed_in_ns(bench: Bench, node: str) -> int:
    began = time.monotonic_ns()
    assert bench.world.tell(lambda cluster: cluster.observe(node, TIMEOUT_NS))
    return time.monotonic_ns() - began


def for_a_while(seconds: float) -> None:
    """Let a fault last in real time, by which the programs on the hosts are timed."""
    asyncio.run(asyncio.sleep(seconds))


def one_way(bench: Bench, how: Any) -> tuple[Heard, Heard, int, int, int]:
    """n1 is deaf for 2.5 s while it talks with n2: the bytes each heard, and the times of the cut and of the heal."""
    deaf, other = bench.talk("n1", "n2", 6)
    cut = bench.strike(Partition(shape="leader-deaf", how=how), leader="n1")
    began = time.monotonic_ns()
    for_a_while(2.5)
    ended = time.monotonic_ns()
    bench.undo(cut)
    healed = time.monotonic_ns()
    return heard(deaf), heard(other), began, ended, healed


def crossed(bench: Bench, sender: str, receiver: str) -> tuple[float, float]:
    """Of the last cut of that link: how long ago it ended, and how long after that something came (ms)."""
    effect: Effect = bench.world.tell(lambda cluster: cluster.heal())
    told = [each for each in effect.facts["crossed"] if each["link"] == [sender, receiver]]
    last = min(told, key=lambda each: float(each["ago_ms"]))
    return last["ago_ms"], last["after_ms"]


def test_a_cut_of_payload_is_one_way_for_tcp_for_as_long_as_it_lasts(bench: Bench) -> None:
    deaf, other, began, ended, healed = one_way(bench, "payload")
    assert deaf.between(began, ended) == 0
    assert other.between(ended - 500 * MS, ended) >= 5, "what the deaf one says still comes after two seconds"
    assert deaf.between(healed, healed + 3_000 * MS) > 20, "what was held up comes, and what is said then"
    for end in (deaf, other):
        assert end.ended is None or end.ended[0] > healed + 2_000 * MS, (
            "at most the other's time is over a little sooner"
        )


def test_a_one_way_cut_of_all_packets_soon_stops_tcp_in_both_directions(bench: Bench) -> None:
    deaf, other, began, ended, _ = one_way(bench, "drop")
    assert deaf.between(began, ended) == 0
    assert other.between(began, began + 150 * MS) >= 1
    assert other.between(ended - 500 * MS, ended) <= 2, "only what is sent again, ever more seldom"
    ago_ms, after_ms = crossed(bench, "n2", "n1")
    first = min(at for at in deaf.at if at > ended)
    assert 0 < after_ms <= (first - ended) / MS, "the wire has it before the program, and from the node too"
    assert after_ms < ago_ms


def test_a_rejected_connection_fails_at_once_and_a_dropped_one_times_out(bench: Bench) -> None:
    talking = bench.talk("n1", "n2", 3)
    cut = bench.strike(Partition(shape="isolated-leader", how="reject"), leader="n1")
    came, seconds = bench.run("n2", CONNECT, bench.address("n1")).result()
    assert (came, seconds < 1) == ("ConnectionRefusedError", True)
    for end in map(heard, talking):
        assert end.ended is not None and end.ended[1] != "TimeoutError", "noticed while it lasts"
    bench.undo(cut)
    cut = bench.strike(Partition(shape="isolated-leader"), leader="n1")
    came, seconds = bench.run("n2", CONNECT, bench.address("n1")).result()
    assert (came, seconds >= 1) == ("TimeoutError", True)
    bench.undo(cut)


HEARD_FROM_PORT = """
import json, socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
server.settimeout(8)
print(json.dumps(server.accept()[0].recv(16).decode()))
"""
SAY_TO_PORT = """
import json, socket, sys, time
give_up = time.monotonic() + 3
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
    came, seconds = bench.run("n2", CONNECT, bench.address("n1"), "8000").result()
    assert (came, seconds < 1) == ("ConnectionRefusedError", True)
    bench.undo(cut)
    assert bench.connects_within(1, "n2", "n1")


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
        _, other = bench.talk("n1", "n2", 5, of_node=True)
        gone = bench.strike(fault, leader="n1")
        for_a_while(0.2)  # the engine ends what else runs in a container a moment after its first process
        struck = time.monotonic_ns()
        for_a_while(2)
        back = time.monotonic_ns()
        bench.undo(gone)
        end = heard(other)
        assert end.between(struck, back) == 0
        assert end.ended is not None, "once it is back, it knows nothing of the connection"
        assert (end.ended[0] > back) == silent


def test_delayed_packets_delay_tcp_but_no_observer(bench: Bench) -> None:
    late = bench.strike(Delay(ms=150), leader="n1")
    came, seconds = bench.run("n2", CONNECT, bench.address("n1"), "8000").result()
    assert (came, seconds >= 0.3) == ("connected", True)
    for node in bench.cluster.nodes:
        assert min(observed_in_ns(bench, node) for _ in range(TRIES)) < 150 * MS
    bench.undo(late)
    assert bench.connects_within(0.15, "n2", "n1")


def test_when_the_releasing_process_dies_packets_pass_and_the_next_fault_starts_another(bench: Bench) -> None:
    late = bench.strike(Delay(ms=300), leader="n1")
    assert [bench.run(node, KILL_RELEASER).result() for node in bench.cluster.nodes] == [1] * 5
    assert bench.connects_within(0.3, "n2", "n1")
    bench.undo(late)
    bench.undo(bench.strike(Delay(ms=50), leader="n1"))


def test_a_slow_fault_delays_no_heal_of_another(bench: Bench) -> None:
    """Verifying a delay of 2 s takes longer than 2 s; a cut injected in that time does not wait for it."""
    view = View(nodes=tuple(bench.cluster.nodes), leader="n1")
    late, cut = (plan(fault, view, Random(1)) for fault in (Delay(ms=2_000), Partition(shape="isolated-leader")))
    assert isinstance(late, Plan) and isinstance(cut, Plan)

    async def story(cluster: Any) -> list[Effect]:
        slow = asyncio.create_task(cluster.inflict(late))
        await asyncio.sleep(0)  # it begins
        effects = [await cluster.inflict(cut), await cluster.undo(cut)]
        assert not slow.done()
        return [*effects, await slow]

    assert all(effect.in_effect_ns < 2_000 * MS for effect in bench.world.tell(story))
