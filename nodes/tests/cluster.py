"""A whole cluster in virtual time, for tests: one queue of events, one seed, no thread, no clock.

The same seed and the same calls give the same run. Every effect that matters to a promise is kept in ``trace``;
what holds of a run is then asked of the trace. Faults are plain attributes: ``cut`` (directed links that drop),
``loss`` (share of datagrams), and methods that stop a node or change how fast its clock runs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil
from random import Random
from typing import Any

from splitbrain.names import MS
from splitbrain.nodes.protocol import (
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Json,
    Led,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)
from splitbrain.nodes.raft import HEARTBEAT, HEARTBEAT_REPLY, RAFT, Raft
from splitbrain.nodes.systems.base import Factory, System

SECOND = 1000 * MS
Link = tuple[str, str]
HEARTBEATS = frozenset({HEARTBEAT, HEARTBEAT_REPLY})  # too many to keep each of them


@dataclass(frozen=True, slots=True)
class Traced:
    """One effect that was carried out: when (true time), at which node, in which of its boots."""

    at: int
    node: str
    boot: str
    effect: Effect


class Cluster:
    """``size`` nodes n1, n2, ... started at time 0; latency is drawn from a closed range of nanoseconds."""

    def __init__(
        self,
        options: Any = RAFT,
        size: int = 5,
        seed: int = 0,
        *,
        latency: tuple[int, int] = (MS // 2, 2 * MS),
        loss: float = 0.0,
        machine: Factory = Raft,
        traced: bool = True,
    ) -> None:
        self.names = tuple(f"n{number}" for number in range(1, size + 1))
        self.now = 0
        self.loss = loss
        self.cut: set[Link] = set()
        self.nodes: dict[str, Any] = {}
        self.durable: dict[str, Json] = dict.fromkeys(self.names)
        self.trace: list[Traced] = []
        self.sent: Counter[str] = Counter()
        self.duals: list[tuple[int, frozenset[str]]] = []  # instants at which a second claim began
        self._options = options
        self._machine = machine
        self._latency = latency
        self._traced = traced
        self._rng = Random(seed)
        self._boots: Counter[str] = Counter()
        self._queue: list[tuple[int, int, str, str | None, Json]] = []  # at, order, to, sender or None, what
        self._order = 0
        self._timers: dict[str, dict[str, int]] = {}
        self._clocks: dict[str, tuple[int, int, float]] = {}  # true time, then its own, rate since
        self._held: dict[str, deque[Callable[[], Event]]] = {}
        self._fuses: dict[str, int] = {}
        for name in self.names:
            self.start(name)

    # Faults

    def start(self, name: str) -> None:
        """Start a node that does not run, from what it last made durable."""
        self._boots[name] += 1
        peers = [peer for peer in self.names if peer != name]
        rng = Random(self._rng.getrandbits(64))
        boot = f"{name}.{self._boots[name]}"
        self.nodes[name] = self._machine(name, peers, self._options, rng, boot, self.durable[name])
        self._timers[name] = {}
        self.handle(name, Started(self.clock(name)))

    def crash(self, name: str) -> None:
        """Stop a node; only what it persisted is left."""
        self.nodes.pop(name, None)
        self._held.pop(name, None)
        self._fuses.pop(name, None)

    def crash_within(self, name: str, effects: int) -> None:
        """Let a node crash once it has carried out that many more effects, be it amid those of one event."""
        self._fuses[name] = effects

    def pause(self, name: str) -> None:
        """Stop a node's execution; what reaches it meanwhile waits, as datagrams and timers do for a process."""
        self._held.setdefault(name, deque())

    def resume(self, name: str) -> None:
        """Let a paused node go on: it handles at once what has waited, in the order in which it came."""
        for event in self._held.pop(name, ()):
            if name in self.nodes:
                self.handle(name, event())

    def heal(self) -> None:
        """Undo every fault there is: cuts, loss, crashes under way, pauses, and nodes that do not run."""
        self.cut.clear()
        self.loss = 0.0
        self._fuses.clear()
        for name in self.names:
            self.resume(name)
            if name not in self.nodes:
                self.start(name)

    def isolate(self, name: str) -> None:
        self.cut |= links([name], self.others(name)) | links(self.others(name), [name])

    def deafen(self, name: str) -> None:
        self.cut |= links(self.others(name), [name])

    def skew(self, name: str, rate: float) -> None:
        """From now on a node's clock runs that many times as fast; timers already set keep their instants."""
        self._clocks[name] = (self.now, self.clock(name), rate)

    # Running

    def run(self, duration: int) -> None:
        """Let that many nanoseconds pass."""
        end = self.now + duration
        queue = self._queue
        while queue and queue[0][0] <= end:
            self.now, order, name, sender, what = heappop(queue)
            if sender is None:
                if self._timers[name].get(what) != order:
                    continue
                del self._timers[name][what]
            if name in self._held:
                self._hold(name, sender, what)
            elif name in self.nodes:
                at = self.clock(name) if self._clocks else self.now
                self.handle(name, TimerFired(at, what) if sender is None else Received(at, sender, what))
        self.now = end

    def run_until(self, condition: Callable[[Cluster], bool], limit: int, step: int = MS) -> bool:
        """Let time pass in steps until the condition holds; False when it did not within ``limit``."""
        end = self.now + limit
        while not condition(self):
            if self.now >= end:
                return False
            self.run(step)
        return True

    def handle(self, name: str, event: Event) -> None:
        """Give a node an event now and carry out what it returns."""
        node = self.nodes[name]
        for effect in node.handle(event):
            if self._fuses and self._burns_out(name):
                self.crash(name)
                return
            if isinstance(effect, Send):
                self._transmit(name, effect)
            else:
                self._carry_out(name, effect)

    def confirm(self, name: str, request: int) -> None:
        self.handle(name, ConfirmAsked(self.clock(name), request))

    # Looking

    def clock(self, name: str) -> int:
        """What a node's own clock reads now."""
        then, own, rate = self._clocks.get(name, (0, 0, 1))
        return own + int((self.now - then) * rate)

    def status(self, name: str) -> Status:
        status: Status = self.nodes[name].status(self.clock(name))
        return status

    def leading(self) -> list[str]:
        """The running nodes that claim to lead at this instant, paused ones included."""
        return [name for name in self.names if name in self.nodes and self.status(name).leading]

    def leader(self) -> str:
        """The one node that claims to lead."""
        (leader,) = self.leading()
        return leader

    def others(self, *excepted: str) -> list[str]:
        return [name for name in self.names if name not in excepted]

    def agrees(self) -> bool:
        """Whether all running nodes name one leader in one term, and it says so itself."""
        views = {(status.leader, status.term) for status in map(self.status, self.nodes)}
        return len(views) == 1 and [leader for leader, _ in views] == self.leading()

    def effects(self, kind: type[Effect], since: int = 0) -> Iterator[Traced]:
        return (traced for traced in self.trace if isinstance(traced.effect, kind) and traced.at >= since)

    # Inside

    def _burns_out(self, name: str) -> bool:
        """Whether this effect is one more than a node about to crash still carries out."""
        if name not in self._fuses:
            return False
        self._fuses[name] -= 1
        return self._fuses[name] < 0

    def _hold(self, name: str, sender: str | None, what: Json) -> None:
        if sender is None:
            self._held[name].append(lambda: TimerFired(self.clock(name), what))
        else:
            self._held[name].append(lambda: Received(self.clock(name), sender, what))

    def _carry_out(self, name: str, effect: Effect) -> None:
        match effect:
            case SetTimer(timer, after):
                self._order += 1
                self._timers[name][timer] = self._order
                rate = self._clocks[name][2] if name in self._clocks else 1
                due = self.now + ceil(after / rate)
                heappush(self._queue, (due, self._order, name, None, timer))
                return
            case CancelTimer(timer):
                self._timers[name].pop(timer, None)
                return
            case Persist(state):
                self.durable[name] = dict(state)
            case Led():
                # A claim only ever begins here, so here is where two may meet.
                leading = self.leading()
                if len(leading) > 1:
                    self.duals.append((self.now, frozenset(leading)))
        self._note(name, effect)

    def _note(self, name: str, effect: Effect) -> None:
        if self._traced:
            self.trace.append(Traced(self.now, name, f"{name}.{self._boots[name]}", effect))

    def _transmit(self, sender: str, effect: Send) -> None:
        to, kind, message = effect
        self.sent[kind] += 1
        if kind not in HEARTBEATS:
            self._note(sender, effect)
        if (self.cut and (sender, to) in self.cut) or (self.loss and self._rng.random() < self.loss):
            return
        shortest, longest = self._latency
        self._order += 1
        delay = shortest + int(self._rng.random() * (longest - shortest))
        heappush(self._queue, (self.now + delay, self._order, to, sender, message))


def factory_of(system: System) -> Factory:
    """What makes the nodes of a system that has state machines."""
    assert system.factory is not None
    return system.factory


def links(senders: Iterable[str], receivers: Iterable[str]) -> set[Link]:
    """Every directed link from one of the senders to one of the receivers."""
    receivers = tuple(receivers)
    return {(sender, receiver) for sender in senders for receiver in receivers if sender != receiver}


def only(names: Iterable[str], kept: Iterable[Link]) -> set[Link]:
    """The cut that leaves the given links, both ways, and no other."""
    names = tuple(names)
    both_ways = {link for first, second in kept for link in ((first, second), (second, first))}
    return links(names, names) - both_ways
