"""A simulated cluster as the workload and the nemesis see it: the same seam as a cluster of containers.

Observers do not go through the network under test: their way to a host is short, of its own, and never cut. The
nemesis is no better than the real one: what it asks for is applied by each host in its own time, some milliseconds
later, and believed only when it has been seen: packets over the links for a cut, the host's own tables and clocks for
the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from heapq import heappush
from random import Random
from types import coroutine
from typing import Any, Final

from splitbrain.nemesis.plans import LONGEST_QUEUE_MS, Crashed, Killed, OnNodes, Plan, Severed, Skewed, Starved, Stopped
from splitbrain.nemesis.state import Error, State, gilbert, state_of
from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes.clients.base import Fail, Question, Reply
from splitbrain.nodes.driver import STATE_FILE
from splitbrain.runtimes.base import Effect, Job
from splitbrain.runtimes.sim.calls import Call
from splitbrain.runtimes.sim.clock import MILLION
from splitbrain.runtimes.sim.event_wait import EventWait
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instruments
from splitbrain.runtimes.sim.kernel import Act, Alarm
from splitbrain.runtimes.sim.network import Conditions, Constant, Later, Link, Uniform, sampler
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.runtimes.verification import Heard, problems
from splitbrain.units import MS

CLIENT_WAY: Final = Uniform(50_000, 200_000)  # from a client to a node, or back
APPLYING: Final = Uniform(5 * MS, 20 * MS)  # until a host has done what the nemesis asked for
VERIFY_NS: Final = 1_000 * MS
LOOK_AGAIN_NS: Final = 5 * MS
LOOKS_A_ROUND: Final = 3
PROBE_NS: Final = 300_000
RIGHT: Final = Error()
EVENT_NS: Final = 300_000  # of processor that a node of ours takes over an event; only the throttled are made to
CLOCK_NS: Final = 1_000  # how exactly a clock is to be as asked


class SimCluster:
    """The cluster of one simulation. Everything in it happens on the simulation's kernel."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.nodes: Sequence[str] = simulation.nodes
        self.servers: Sequence[str] = simulation.servers
        self._machines = tuple(simulation.hosts)
        self._kernel = simulation.kernel
        self._hosts = simulation.hosts
        self._ways = {node: _Way(simulation.seed, node) for node in self.nodes}
        self._dice = Random(f"{simulation.seed}/nemesis")
        self._applying = sampler(APPLYING, self._dice)
        self._links = simulation.network.links
        self._usual = {(link.sender, link.to): link.conditions for link in simulation.network}
        self._in_force: list[_InForce] = []
        self._state = State()
        self._felled: set[str] = set()  # whom a plan has killed, or told to die
        self._wall_errors = dict.fromkeys(self._machines, RIGHT)
        self._witnesses = {node: host.instrument for node, host in self._hosts.items()}
        self._sentries: list[EventWait] = []

    def now(self) -> int:
        return self._kernel.now

    def alarm(self) -> Alarm:
        return Alarm(self._kernel)

    async def together(self, main: Job, others: Sequence[Job]) -> None:
        await self._kernel.together([main, *others])

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        return await self._answer(self._hosts[node].observe, self._ways[node].draw, timeout_ns)

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
        """The only one of ours that it could be told of is a single server, which leads itself."""
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

    async def keep_disks(self) -> None:
        for host in self._hosts.values():
            host.disk.keep_copy()

    async def inflict(self, plan: Plan) -> Effect:
        self._in_force.append(_InForce(plan, self._packets(plan)))
        return await self._change(plan, lambda node: self._strike(node, plan), at_once=_is_timed(plan))

    async def undo(self, plan: Plan) -> Effect:
        ended = next(each for each in self._in_force if each.plan == plan)
        self._in_force.remove(ended)
        effect = await self._change(plan, self._mend)
        packets = self._packets(plan) - ended.packets
        return replace(effect, facts={**effect.facts, **asdict(packets)}) if packets.sent else effect

    async def heal(self) -> Effect:
        self._in_force.clear()
        return await self._change(None, self._mend)

    # What is done to the hosts

    async def _change(self, plan: Plan | None, act: Callable[[str], None], at_once: bool = False) -> Effect:
        """Have every host do its part when it comes to it, and see what became of ``plan`` (None: of everything)."""
        self._state = state_of(each.plan for each in self._in_force)
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

    def _strike(self, node: str, plan: Plan) -> None:
        """What a new plan does to a host, once; all that lasts is seen to by ``_mend``."""
        host = self._hosts[node]
        match plan.harm:
            case Killed(nodes=nodes, state=state, after_effects=None, files=files) if node in nodes:
                self._felled.add(node)
                host.kill(state if _is_reached(files) else "kept")
            case Killed(nodes=nodes, state=state, after_effects=int(effects)) if node in nodes:
                self._felled.add(node)
                host.crash_after(effects, state)
            case Crashed(nodes=nodes, state=state) if node in nodes:
                self._felled.add(node)
                host.kill(state)
            case Stopped(nodes=nodes) | Starved(nodes=nodes) if node in nodes:
                self._felled.add(node)
                host.kill("kept")
            case Skewed(nodes=nodes, clock="monotonic", offset_ms=offset_ms) if node in nodes and offset_ms:
                host.set_clock("monotonic", jump=offset_ms * MS)
            case _:
                pass
        self._mend(node)

    def _mend(self, node: str) -> None:
        """Make a host as all plans now in force want it, so that of several changes under way the last one wins."""
        host, state = self._hosts[node], self._state
        self.simulation.network.cut_into(node, {sender for sender, receiver in state.cut if receiver == node})
        for sender in self._links[node]:
            link = self._links[sender][node]
            if link.conditions != (wanted := self._conditions(link)):
                link.conditions = wanted
        self._set_clocks(node)
        work = Constant(work_ns) if (work_ns := self._work_ns(node)) else None
        if host.work != work:
            host.slow_down(work)
        if host.disk.fails and node not in state.unflushed and not host.up:
            self._felled.add(node)  # as it may have died of that, and is started again
        host.disk.set_flushes(*self._flushing(node))
        if node in self._felled and node not in state.down:
            self._felled.remove(node)
            host.call_off()
            host.start()
        if host.up and host.paused != self._still(node):
            (host.resume if host.paused else host.pause)()

    def _still(self, node: str) -> bool:
        """Whether a node is to do nothing: there is no telling a paused process from a frozen one here."""
        return node in self._state.paused or node in self._state.frozen

    def _work_ns(self, node: str) -> int:
        """How long a node is to take over an event. Short of a processor, it takes as many times longer."""
        left = 1_000 - self._state.per_mille.get(node, 0)
        throttled = 0 if left == 1_000 else EVENT_NS * 1_000 // left
        return self._state.slow_ms.get(node, 0) * MS + throttled

    def _flushing(self, node: str) -> tuple[int, bool]:
        """How much longer its disk is to take, and whether it is to refuse."""
        return self._state.flush_ms.get(node, 0) * MS, node in self._state.unflushed

    def _set_clocks(self, node: str) -> None:
        host = self._hosts[node]
        wall = self._error(node, "wall")
        if wall != self._wall_errors[node]:
            self._wall_errors[node] = wall
            host.set_clock("wall", jump=wall.offset_ms * MS - self._ahead_ns(host), ppm=wall.rate_ppm)
        rate = self._error(node, "monotonic").rate_ppm
        if host.monotonic.ppm != rate:
            host.set_clock("monotonic", ppm=rate)

    def _error(self, node: str, clock: str) -> Error:
        return self._state.errors.get((node, clock), RIGHT)

    def _ahead_ns(self, host: Host) -> int:
        """How far the host's wall clock is ahead of true time."""
        return host.wall.read(self._kernel.now) - host.epoch - self._kernel.now

    def _conditions(self, link: Link) -> Conditions:
        """What a link is to be like: as it was made, and what the plans in force add."""
        usual, flaws = self._usual[link.sender, link.to], self._state.flaws.get((link.sender, link.to))
        if flaws is None:
            return usual
        late = Uniform(flaws.ms * MS, (flaws.ms + flaws.jitter_ms) * MS)
        loss = 1.0 - (1.0 - usual.loss) * (1.0 - flaws.loss)
        if flaws.corruption:  # the receiver's checksum sees to it
            loss = 1.0 - (1.0 - loss) * (1.0 - flaws.corruption)
        return Conditions(
            delay=Later(usual.delay, late) if flaws.ms or flaws.jitter_ms else usual.delay,
            loss=loss,
            duplication=1.0 - (1.0 - usual.duplication) * (1.0 - flaws.duplication),
            bursts=tuple(gilbert(share, burst) for share, burst in flaws.bursts if share),
            hold=flaws.hold,
            hold_ns=flaws.hold_ms * MS,
            ns_per_byte=flaws.ms_per_kb * MS // 1_000,
            longest_ns=LONGEST_QUEUE_MS * MS,
        )

    def _packets(self, plan: Plan) -> _Packets:
        """What the links of a plan have counted so far."""
        links = [self._links[sender][to] for sender, to in plan.links()]
        return _Packets(
            sent=sum(link.sent for link in links),
            lost=sum(link.lost for link in links),
            doubled=sum(link.doubled for link in links),
        )

    # Whether it was done

    async def _verify(self, plan: Plan | None) -> tuple[str, ...]:
        """Look, and look again, until all is as the plans in force want it, or the time for it is over.

        Looked at is what ``plan`` was about, with None everything. For cuts packets are sent over every link.
        """
        give_up = self._kernel.now + VERIFY_NS
        cuts = plan is None or isinstance(plan.harm, Severed | Crashed)
        while True:
            heard = _Ears(self._machines)
            if cuts:
                self._probe(heard)
            for _ in range(LOOKS_A_ROUND):
                await self._kernel.sleep(LOOK_AGAIN_NS)
                wrong = problems(self._machines, self._state.cut, heard.reports()) if cuts else ()
                wrong += tuple(self._wrong_nodes(plan)) + tuple(self._wrong_links(plan))
                if not wrong:
                    return ()
            if self._kernel.now >= give_up:
                return wrong

    def _wrong_nodes(self, plan: Plan | None) -> Iterator[str]:
        for node in self._machines if plan is None else plan.nodes if isinstance(plan.harm, OnNodes) else ():
            host, state = self._hosts[node], self._state
            if node in self._felled or node in state.down:
                if host.up == (node in state.down):
                    yield f"{node} should be {'down' if host.up else 'up'} and is not"
            elif host.up and host.paused != self._still(node):
                yield f"{node} should {'go on' if host.paused else 'be paused'} and does not"
            yield from self._wrong_clocks(node)
            if (host.work is not None) != (self._work_ns(node) > 0):
                yield f"{node} should be {'as fast as ever' if host.work else 'slow'} and is not"
            if (host.disk.extra_ns, host.disk.fails) != self._flushing(node):
                yield f"the disk of {node} should flush {'as ever' if self._calm(node) else 'badly'} and does not"
            if plan is not None and isinstance(plan.harm, Killed) and not _is_reached(plan.harm.files):
                yield f"{node}: no file of its has a path like {plan.harm.files}"

    def _calm(self, node: str) -> bool:
        return self._flushing(node) == (0, False)

    def _wrong_clocks(self, node: str) -> Iterator[str]:
        host = self._hosts[node]
        for name, clock in (("wall", host.wall), ("monotonic", host.monotonic)):
            wanted = self._error(node, name)
            if clock.ppm != wanted.rate_ppm:
                yield f"the {name} clock of {node} should gain {wanted.rate_ppm} ppm and gains {clock.ppm}"
        drift = (self._kernel.now - host.wall.since) * host.wall.ppm // MILLION
        ahead, offset_ms = self._ahead_ns(host) - drift, self._error(node, "wall").offset_ms
        if abs(ahead - offset_ms * MS) > CLOCK_NS:
            yield f"the wall clock of {node} should be off by {offset_ms} ms and is by {ahead / MS:.3f}"

    def _wrong_links(self, plan: Plan | None) -> Iterator[str]:
        every = self._usual if plan is None else [(sender, to) for sender, to in plan.links()]
        for sender, to in every:
            link = self._links[sender][to]
            if link.conditions != (wanted := self._conditions(link)):
                yield f"{sender} to {to} should be like {wanted} and is not"

    def _probe(self, ears: _Ears) -> None:
        """A packet over every link, for the cuts alone: where packets are lost one is sent until it gets through."""
        for link in self.simulation.network:
            self._kernel.at(self._kernel.now + PROBE_NS, ears.hear, link)


def _is_reached(files: str | None) -> bool:
    """Whether a fault of such files is one of a node of ours, which has a single one; None: of all files."""
    return files is None or fnmatchcase(STATE_FILE, files)


def _is_timed(plan: Plan) -> bool:
    """A node that is to die so many effects from now is told at once, or it would have had them long since."""
    return isinstance(plan.harm, Killed) and plan.harm.after_effects is not None


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
    packets: _Packets  # what its links had counted when it came into force


class _Way:
    """How long a client's request takes to one node, and its answer back; its dice are made when first used."""

    __slots__ = ("_key", "draw")

    def __init__(self, seed: int, node: str) -> None:
        self._key = f"{seed}/client/{node}"
        self.draw: Callable[[], int] = self._first

    def _first(self) -> int:
        self.draw = sampler(CLIENT_WAY, Random(self._key))
        return self.draw()


class _Ears:
    """What the hosts have heard of one round of probes, and what their cuts have dropped of it."""

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
