"""A simulated cluster as the workload and the nemesis see it: the same seam as a cluster of containers.

Observers do not use the network under test: they reach each host over a separate short link that is never cut. The
nemesis is no better than a real one: each host applies a fault some milliseconds after the request, and the fault
counts only once verified, by packets over the links for a cut and by the host's tables and clocks for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from heapq import heappush
from random import Random
from types import coroutine
from typing import Any, Final

from splitbrain.names import ENDED
from splitbrain.nemesis.plans import Plan
from splitbrain.nemesis.state import state_of
from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes.clients.base import Fail, Question, Reply
from splitbrain.runtimes.base import Effect, Fact, Incident, Job, LastWords, Tell
from splitbrain.runtimes.sim.calls import Call
from splitbrain.runtimes.sim.event_wait import EventWait
from splitbrain.runtimes.sim.handlers import HANDLERS
from splitbrain.runtimes.sim.host_state import HostState
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instruments, describe
from splitbrain.runtimes.sim.kernel import Act, SimAlarm
from splitbrain.runtimes.sim.network import Link, Uniform, sampler
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.runtimes.verification import Heard, problems
from splitbrain.units import MS

CLIENT_WAY: Final = Uniform(50_000, 200_000)  # from a client to a node, or back
APPLYING: Final = Uniform(5 * MS, 20 * MS)  # until a host has applied a fault
VERIFY_NS: Final = 1_000 * MS
LOOK_AGAIN_NS: Final = 5 * MS
LOOKS_A_ROUND: Final = 3
PROBE_NS: Final = 300_000


class SimCluster:
    """The cluster of one simulation. Everything in it happens on the simulation's kernel."""

    def __init__(self, simulation: Simulation, witness: Witness | None = None) -> None:
        self.simulation = simulation
        self._witness = witness
        self.nodes: Sequence[str] = simulation.nodes
        self.servers: Sequence[str] = simulation.servers
        self._machines = tuple(simulation.hosts)
        self._kernel = simulation.kernel
        self._hosts = simulation.hosts
        self._ways = {node: _Way(simulation.seed, node) for node in self.nodes}
        self._rng = Random(f"{simulation.seed}/nemesis")
        self._applying = sampler(APPLYING, self._rng)
        self._links = simulation.network.links
        self._faults = HostState(simulation)
        self._in_force: list[_InForce] = []
        self._witnesses = {node: host.instrument for node, host in self._hosts.items()}
        self._sentries: list[EventWait] = []

    def now(self) -> int:
        return self._kernel.now

    def alarm(self) -> SimAlarm:
        return SimAlarm(self._kernel)

    async def run_all(self, main: Job, others: Sequence[Job]) -> None:
        await self._kernel.run_all([main, *others])

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        return await self._answer(self._hosts[node].observe, self._ways[node].draw, timeout_ns)

    def rest_ns(self, node: str) -> int:
        return 0

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        return await self._answer(self._hosts[node].confirm, self._ways[node].draw, timeout_ns)

    async def ask(self, question: Question, timeout_ns: int) -> Reply:
        return Fail(f"nothing that is simulated knows an answer to {question}")

    @coroutine
    def _answer(self, question: Act, way: Callable[[], int], timeout_ns: int) -> Generator[None, Reply, Reply]:
        """Put a question on its way; its answer wakes the present task."""
        kernel = self._kernel
        call = Call(kernel, kernel.now + timeout_ns, way)
        heappush(kernel.queue, (kernel.now + way(), kernel.ticket(), question, call, None))
        return (yield)

    async def leading_server(self) -> str | None:
        """Return the server if there is only one, as in all our systems with servers."""
        return self.servers[0] if len(self.servers) == 1 else None

    async def happens(self, trigger: Trigger, give_up: int) -> str | None:
        sentry = EventWait(self._kernel, trigger)
        self._sentries.append(sentry)
        self._post_sentries()
        try:
            return await sentry.wait(give_up)
        finally:
            self._sentries.remove(sentry)
            self._post_sentries()

    def _post_sentries(self) -> None:
        for node, host in self._hosts.items():
            usual = self._witnesses[node]
            watching = [*self._sentries] if usual is None else [usual, *self._sentries]
            host.instrument = Instruments(*watching) if self._sentries else usual

    def watch(self, tell: Tell) -> SimWatch:
        return SimWatch(self._hosts.values(), tell)

    async def crashes_logged(self) -> Sequence[Incident]:
        return ()

    def witnessed(self) -> Sequence[Fact] | None:
        return None if self._witness is None else tuple(self._witness.facts(self._kernel.now))

    async def last_words(self, node: str) -> LastWords:
        return LastWords(answer=None, log=())

    async def keep_disks(self) -> None:
        for host in self._hosts.values():
            host.disk.keep_copy()

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(_InForce(plan, self._packets(plan)))
        at_once = HANDLERS[type(plan.fault)].at_once(plan.fault)
        return await self._change(plan, lambda node: self._begin(node, plan), at_once)

    async def undo(self, plan: Plan) -> Effect:
        ended = next(each for each in self._in_force if each.plan == plan)
        self._in_force.remove(ended)
        effect = await self._change(plan, self._faults.make)
        packets = self._packets(plan) - ended.packets
        return replace(effect, facts={**effect.facts, **asdict(packets)}) if packets.sent else effect

    async def heal(self) -> Effect:
        self._in_force.clear()
        return await self._change(None, self._faults.make)

    # Changes

    async def _change(self, plan: Plan | None, act: Callable[[str], None], at_once: bool = False) -> Effect:
        """Have every host act when it gets to it, and verify ``plan`` (None: everything)."""
        self._faults.state = state_of(each.plan for each in self._in_force)
        began = in_effect = self._kernel.now
        for node in self._machines:
            at = began + self._applying()
            if at_once:
                act(node)
            else:
                self._kernel.at(at, lambda node, _: act(node), node)
                in_effect = max(in_effect, at)
        await self._kernel.sleep(in_effect - began)
        wrong = await self._verify(plan)
        return Effect(
            verified=not wrong,
            in_effect_ns=in_effect - began,
            problems=wrong,
            facts={"verification_ms": round((self._kernel.now - in_effect) / MS, 3)},
        )

    def _begin(self, node: str, plan: Plan) -> None:
        if node in plan.nodes:
            HANDLERS[type(plan.fault)].inject(self._faults, node, plan.fault)
        self._faults.make(node)

    def _packets(self, plan: Plan) -> _Packets:
        """The packets that the links of a plan have counted so far."""
        links = [self._links[sender][to] for sender, to in plan.recorded_links()]
        return _Packets(
            sent=sum(link.sent for link in links),
            lost=sum(link.lost for link in links),
            doubled=sum(link.doubled for link in links),
        )

    # Verification

    async def _verify(self, plan: Plan | None) -> tuple[str, ...]:
        """Check ``plan``, or everything if None, until all is as the plans in force ask, or the time is over.

        Cuts are checked by packets over every link.
        """
        give_up = self._kernel.now + VERIFY_NS
        cuts = plan is None or HANDLERS[type(plan.fault)].cuts
        while True:
            heard = _Ears(self._machines)
            if cuts:
                self._probe(heard)
            for _ in range(LOOKS_A_ROUND):
                await self._kernel.sleep(LOOK_AGAIN_NS)
                wrong = problems(self._machines, self._faults.state.cut, heard.reports()) if cuts else ()
                wrong += tuple(self._wrong(plan))
                if not wrong:
                    return ()
            if self._kernel.now >= give_up:
                return wrong

    def _wrong(self, plan: Plan | None) -> Iterator[str]:
        if plan is None:
            yield from self._faults.wrong_hosts(self._machines)
            yield from self._faults.wrong_links(None)
        elif plan.fault.about == "links":
            yield from self._faults.wrong_links(plan.links)
        else:
            yield from self._faults.wrong_hosts(plan.nodes)
            handler = HANDLERS[type(plan.fault)]
            yield from (words for node in plan.nodes if (words := handler.problem(node, plan.fault)))

    def _probe(self, ears: _Ears) -> None:
        """A packet over every link, for the cuts alone: where packets are lost one is sent until it gets through."""
        for link in self.simulation.network:
            self._kernel.at(self._kernel.now + PROBE_NS, ears.hear, link)


class SimWatch:
    """A watch over simulated hosts: of nodes that die because they raise, which are told at that instant."""

    def __init__(self, hosts: Iterable[Host], tell: Tell) -> None:
        self._hosts = tuple(hosts)
        self._tell = tell
        for host in self._hosts:
            host.died = self._died
            if host.failure is not None and not host.up:
                self._died(host)

    def jobs(self) -> Sequence[Job]:
        return ()

    def stop(self) -> None:
        for host in self._hosts:
            host.died = lambda host: None

    def _died(self, host: Host) -> None:
        assert host.failure is not None, "it died of a failure"
        self._tell(Incident(f=ENDED, node=host.name, at=host.true_now, facts={"error": describe(host.failure)}))


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packets counted on links that lose or double some."""

    sent: int
    lost: int
    doubled: int

    def __sub__(self, before: _Packets) -> _Packets:
        return _Packets(self.sent - before.sent, self.lost - before.lost, self.doubled - before.doubled)


@dataclass(frozen=True, slots=True)
class _InForce:
    plan: Plan
    packets: _Packets  # counted on its links when it began


class _Way:
    """How long a client's request takes to one node, and its answer back; the generator is made when first used."""

    __slots__ = ("_key", "draw")

    def __init__(self, seed: int, node: str) -> None:
        self._key = f"{seed}/client/{node}"
        self.draw: Callable[[], int] = self._first

    def _first(self) -> int:
        self.draw = sampler(CLIENT_WAY, Random(self._key))
        return self.draw()


class _Ears:
    """The probes of one round that each host has received, and those that its cuts have dropped."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self._heard: dict[str, set[str]] = {node: set() for node in nodes}
        self._dropped: dict[str, dict[str, int]] = {node: {} for node in nodes}

    def hear(self, link: Link, _: Any) -> None:
        if link.cut:
            self._dropped[link.to][link.sender] = 1
        else:
            self._heard[link.to].add(link.sender)

    def reports(self) -> dict[str, Heard]:
        return {node: Heard(frozenset(self._heard[node]), self._dropped[node]) for node in self._heard}
