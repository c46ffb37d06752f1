"""Making simulated hosts and their links what the plans in force ask for, and verifying that they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from splitbrain.nemesis.faults import Durable
from splitbrain.nemesis.partitions import Cut
from splitbrain.nemesis.state import LONGEST_QUEUE_MS, Error, State, gilbert
from splitbrain.runtimes.sim.clock import MILLION
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.network import Conditions, Constant, Later, Link, Uniform
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS

HEALTHY_CLOCK: Final = Error()
EVENT_NS: Final = 300_000  # processor time that a node of ours takes over an event; applied to throttled nodes only
CLOCK_NS: Final = 1_000  # how exactly a clock must be as asked


class HostState:
    """The hosts of one simulation. ``state`` is what the plans in force ask for, ``make`` applies it to a host."""

    def __init__(self, simulation: Simulation) -> None:
        self.state = State()
        self._kernel = simulation.kernel
        self._network = simulation.network
        self._hosts = simulation.hosts
        self._links = simulation.network.links
        self._usual = {(link.sender, link.to): link.conditions for link in simulation.network}
        self._ended: set[str] = set()  # nodes that a plan has killed, or ordered to die
        self._wall_errors = dict.fromkeys(self._hosts, HEALTHY_CLOCK)

    # Injected once

    def kill(self, node: str, durable: Durable) -> None:
        self._ended.add(node)
        self._hosts[node].kill(durable)

    def kill_after(self, node: str, effects: int, durable: Durable) -> None:
        self._ended.add(node)
        self._hosts[node].crash_after(effects, durable)

    def jump(self, node: str, offset_ms: int) -> None:
        """Move the monotonic clock ahead."""
        if offset_ms:
            self._hosts[node].set_clock("monotonic", jump=offset_ms * MS)

    # As the state asks

    def make(self, node: str) -> None:
        """Make a host as all plans now in force ask, so that of several changes under way the last one wins."""
        host, state = self._hosts[node], self.state
        self._network.cut_into(node, {sender for sender, receiver in state.cut if receiver == node})
        for sender in self._links[node]:
            link = self._links[sender][node]
            if link.conditions != (wanted := self._conditions(link)):
                link.conditions = wanted
        self._set_clocks(node)
        work = Constant(work_ns) if (work_ns := self._work_ns(node)) else None
        if host.work != work:
            host.slow_down(work)
        if host.disk.fails and node not in state.unflushed and not host.up:
            self._ended.add(node)  # as it may have died of that, and is started again
        host.disk.set_flushes(*self._flushing(node))
        if node in self._ended and node not in state.down:
            self._ended.remove(node)
            host.call_off()
            host.start()
        if host.up and host.paused != self._still(node):
            (host.resume if host.paused else host.pause)()

    def wrong_hosts(self, nodes: Iterable[str]) -> Iterator[str]:
        """What differs from the state on these nodes."""
        for node in nodes:
            yield from self._wrong_process(node)
            yield from self._wrong_clocks(node)
            host = self._hosts[node]
            if (host.work is not None) != (self._work_ns(node) > 0):
                yield f"{node} should be {'as fast as ever' if host.work else 'slow'} and is not"
            if (host.disk.extra_ns, host.disk.fails) != (flushing := self._flushing(node)):
                yield f"the disk of {node} should flush {'as ever' if flushing == (0, False) else 'badly'} and does not"

    def wrong_links(self, links: Cut | None) -> Iterator[str]:
        """What differs from the state on these links, None: on all."""
        for sender, to in self._usual if links is None else sorted(links):
            link = self._links[sender][to]
            if link.conditions != (wanted := self._conditions(link)):
                yield f"{sender} to {to} should be like {wanted} and is not"

    # Processes

    def _wrong_process(self, node: str) -> Iterator[str]:
        host, down = self._hosts[node], node in self.state.down
        if node in self._ended or down:
            if host.up == down:
                yield f"{node} should be {'down' if host.up else 'up'} and is not"
        elif host.up and host.paused != self._still(node):
            yield f"{node} should {'go on' if host.paused else 'be paused'} and does not"

    def _still(self, node: str) -> bool:
        """Whether a node is to do nothing: a paused process and a frozen one are the same here."""
        return node in self.state.paused or node in self.state.frozen

    def _work_ns(self, node: str) -> int:
        """How long a node is to take over an event: the longer, the less processor time it is left."""
        left = 1_000 - self.state.per_mille.get(node, 0)
        throttled = 0 if left == 1_000 else EVENT_NS * 1_000 // left
        return self.state.slow_ms.get(node, 0) * MS + throttled

    def _flushing(self, node: str) -> tuple[int, bool]:
        """How much longer its disk is to take, and whether it is to fail."""
        return self.state.flush_ms.get(node, 0) * MS, node in self.state.unflushed

    # Clocks

    def _set_clocks(self, node: str) -> None:
        host = self._hosts[node]
        wall = self._error(node, "wall")
        if wall != self._wall_errors[node]:
            self._wall_errors[node] = wall
            host.set_clock("wall", jump=wall.offset_ms * MS - self._ahead_ns(host), ppm=wall.rate_ppm)
        rate = self._error(node, "monotonic").rate_ppm
        if host.monotonic.ppm != rate:
            host.set_clock("monotonic", ppm=rate)

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

    def _error(self, node: str, clock: str) -> Error:
        return self.state.errors.get((node, clock), HEALTHY_CLOCK)

    def _ahead_ns(self, host: Host) -> int:
        """How far the host's wall clock is ahead of true time."""
        return host.wall.read(self._kernel.now) - host.epoch - self._kernel.now

    # Links

    def _conditions(self, link: Link) -> Conditions:
        """The conditions of a link: as it was made, and the flaws that the plans in force add."""
        usual, flaws = self._usual[link.sender, link.to], self.state.flaws.get((link.sender, link.to))
        if flaws is None:
            return usual
        late = Uniform(flaws.ms * MS, (flaws.ms + flaws.jitter_ms) * MS)
        loss = 1.0 - (1.0 - usual.loss) * (1.0 - flaws.loss)
        if flaws.corruption:  # the receiver's checksum discards the packet
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
