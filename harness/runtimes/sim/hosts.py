"""A host of the simulation: its clocks and disk, and the node that runs on it.

A host drives its node by the rules of ``nodes.driver``, in virtual time: effects are carried out in order; a
``Persist`` is durable before the effect after it; while the disk works the node takes no event; the time of a timer
counts from the event that set it; a question is answered at one instant. A simulated host can also stop after k
effects, stop for a while, lose its state, and have wrong clocks.

A node that cannot act is *down* (messages are lost, questions refused), *paused* (events are kept, and let in at once
at the end of the pause, in an order that is drawn), or *busy* with the disk or with work (events are kept in order).

A node that raises dies with its disk as it is, as under the real driver, and stays down until it is started again. A
``UsageError`` is a mistake in a user's node class: it ends the simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import heappush
from random import Random
from typing import Any, Final, Literal

from splitbrain.errors import UsageError
from splitbrain.nodes.clients.base import Fail, Ok
from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Json,
    Node,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)
from splitbrain.runtimes.sim.calls import BROKEN, REFUSED, Call
from splitbrain.runtimes.sim.clock import Clock
from splitbrain.runtimes.sim.disk import Disk, Durable
from splitbrain.runtimes.sim.instruments import Instrument, overridden
from splitbrain.runtimes.sim.kernel import Act, Kernel
from splitbrain.runtimes.sim.network import Delay, Link, Uniform, sampler

MakeNode = Callable[[str, Sequence[str], Random, str, "Mapping[str, Json] | None"], Node]

SSD: Final = Uniform(100_000, 500_000)
# Datagrams that wait for a node which cannot take them: about as many small ones as a socket buffer holds.
WAITING_MAX: Final = 256

# Received(...) goes through a function written in Python, and is by far the most frequent event.
make_tuple: Final = tuple.__new__


class Host:
    """One machine. ``links`` are those that lead away from it, by receiver. Everything happens at ``kernel.now``."""

    def __init__(
        self,
        kernel: Kernel,
        seed: int,
        name: str,
        peers: Sequence[str],
        make_node: MakeNode,
        *,
        disk: Delay = SSD,
        lying_disk: bool = False,
        instrument: Instrument | None = None,
    ) -> None:
        """``disk`` is the distribution of write times; ``lying_disk`` is described by ``Disk``."""
        self.name = name
        self.peers = tuple(peers)
        self.links: Mapping[str, Link] = {}
        self.boots = 0
        self.node: Node | None = None
        self._kernel = kernel
        self._seed = seed
        self._make_node = make_node
        self._rng = Random(f"{seed}/host/{name}")
        self.disk = Disk(sampler(disk, self._rng), lying=lying_disk)
        self.work: Delay | None = None  # the time that the node takes over an event
        self._work: Callable[[], int] | None = None
        # Every host has been up for another while, so that an instant of one means nothing on another.
        self.monotonic = Clock(shown=self._rng.randrange(10**9, 10**12))
        self.epoch = 1_700_000_000 * 10**9  # the time that a correct wall clock shows at true time 0
        self.wall = Clock(shown=self.epoch)
        self._shift: int | None = self.monotonic.shown  # of a clock that runs at the true rate: its time less true time
        self._ready = False  # up, not paused, not busy
        self._paused = False
        self._busy = False
        self._waiting: deque[tuple[Act, Any, Any]] = deque()
        self._timers: dict[str, int] = {}  # name -> when it is due, on the monotonic clock
        self._rest: tuple[Iterator[Effect], int] | None = None  # the effects left once no longer busy
        self._calls: dict[int, Call] = {}
        self._fuse: int | None = None  # the number of effects until the node is killed
        self._fuse_durable: Durable = "torn"
        self._take: Callable[[Event], Sequence[Effect]]  # the node's handle
        self.instrument = instrument
        self.failure: Exception | None = None  # the last of which the node died
        self.died: Callable[[Host], None] = lambda host: None  # called when the node has died of a failure

    # The process

    @property
    def up(self) -> bool:
        return self.node is not None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def instrument(self) -> Instrument | None:
        """The instrument that watches the node; may be changed at any time."""
        return self._instrument

    @instrument.setter
    def instrument(self, instrument: Instrument | None) -> None:
        self._instrument = instrument
        # Most instruments use few of these, and a node takes events by the hundred thousand.
        self._before = None if instrument is None else overridden(instrument.before)
        self._after = None if instrument is None else overridden(instrument.after)
        self._intends = None if instrument is None else overridden(instrument.intends)
        self._look_plain()

    def now(self) -> int:
        """The time on the monotonic clock, which the node goes by, ns."""
        shift = self._shift
        return self._kernel.now + shift if shift is not None else self.monotonic.read(self._kernel.now)

    @property
    def true_now(self) -> int:
        """True time, ns."""
        return self._kernel.now

    def status(self) -> Status | None:
        """The status that the node would answer now, None when it is down. Changes nothing."""
        return self.status_at(self._kernel.now)

    def status_at(self, instant: int) -> Status | None:
        """The status at another true instant, provided that nothing happens to the node until then."""
        return None if self.node is None else self.node.status(self.monotonic.read(instant))

    def start(self) -> None:
        """Start the node from the state on its disk, under a new boot id. Does nothing if it is up."""
        if self.node is not None:
            return
        self.boots += 1
        key = f"{self._seed}/node/{self.name}/{self.boots}"
        boot = sha256(key.encode()).hexdigest()[:8]
        state = self.disk.state()
        try:
            self.node = self._make_node(self.name, self.peers, Random(key), boot, state)
        except Exception as failure:
            self._die_of(failure)
            return
        self._take = self.node.handle
        self._look_plain()
        self._ready = True
        self._handle(Started(self.now()))

    def kill(self, durable: Durable = "kept") -> None:
        """End the process at once: its memory is lost, its links and clocks stay as they are.

        ``durable`` decides the content of its disk.
        """
        if self.node is not None:
            self._end()
        self.disk.end(durable)

    def crash_after(self, effects: int, durable: Durable = "torn") -> None:
        """Kill the node as soon as it has carried out that many effects, in the middle of a batch perhaps; those of
        the next event it takes are the first to be counted."""
        self._fuse = effects
        self._fuse_durable = durable
        self._look_plain()

    def call_off(self) -> None:
        """Cancel ``crash_after``, if it has not killed the node yet."""
        self._fuse = None
        self._look_plain()

    def pause(self) -> None:
        """Stop the process. Does nothing if it is down or paused."""
        if self.node is not None:
            self._paused = True
            self._ready = False

    def resume(self) -> None:
        """Continue the process: it takes all that came during the pause, at once."""
        if not self._paused:
            return
        self._paused = False
        self._waiting = _raced(self._waiting, self._rng)
        if self._rest is not None and not self._busy:
            self._go_on()
        else:
            self._catch_up()

    def slow_down(self, work: Delay | None) -> None:
        """Make the node take that long over each event from now on (None: no time)."""
        self.work = work
        self._work = None if work is None else sampler(work, self._rng)
        self._look_plain()

    def set_clock(self, which: Literal["wall", "monotonic"], *, jump: int = 0, ppm: int | None = None) -> None:
        """Move a clock by ``jump`` ns and let it gain ``ppm`` millionths from now on, as it did before if None.

        Timers run on the monotonic clock, and fire early or late with it.
        """
        if which == "wall":
            self.wall = self.wall.changed(self._kernel.now, jump=jump, ppm=ppm)
            return
        if self._instrument is not None:
            self._instrument.before(self)
        self.monotonic = clock = self.monotonic.changed(self._kernel.now, jump=jump, ppm=ppm)
        self._shift = clock.shown - clock.since if clock.ppm == 0 else None
        for timer, due in self._timers.items():
            self._arm(timer, due)

    # Input

    def arrive(self, link: Link, message: Json) -> None:
        """A packet has come over ``link``."""
        if link.cut:
            link.dropped += 1
        elif self._ready:
            shift = self._shift  # as now() does; a call would cost as much as all the rest of this
            at = self._kernel.now + shift if shift is not None else self.now()
            self._handle(make_tuple(Received, (at, link.sender, message)))
        elif self.node is not None and len(self._waiting) < WAITING_MAX:
            self._waiting.append((self._receive, link.sender, message))

    def observe(self, call: Call, _: Any = None) -> None:
        """A client asks for the node's claim."""
        node = self.node
        if self._ready and node is not None:
            status = node.status(self.now())
            claim = {
                "leading": status.leading,
                "leader": status.leader,
                "term": status.term,
                "reign": status.reign,
            }
            if status.vote is not None:
                claim["vote"] = status.vote
            call.answer(Ok(claim))
        else:
            self._keep_waiting(self.observe, call)

    def confirm(self, call: Call, _: Any = None) -> None:
        """A client asks the node to prove that it leads."""
        if self._ready:
            request = self._kernel.ticket()
            self._calls[request] = call
            self._handle(ConfirmAsked(self.now(), request))
            call.expires()
        else:
            self._keep_waiting(self.confirm, call)

    def _keep_waiting(self, act: Act, call: Call) -> None:
        if self.node is None:
            call.answer(REFUSED)
        else:
            call.expires()
            self._waiting.append((act, call, None))

    def _receive(self, sender: str, message: Json) -> None:
        self._handle(Received(self.now(), sender, message))

    def _fire(self, timer: str, due: int) -> None:
        """A timer that was set for ``due`` has run out, unless it, or the clock, has been set anew."""
        if self._timers.get(timer) != due or self.now() < due:
            return
        if self._ready:
            del self._timers[timer]
            self._handle(TimerFired(self.now(), timer))
        else:
            self._waiting.append((self._fire, timer, due))

    # Output

    def _handle(self, event: Event) -> None:
        if self._plain:
            try:
                effects = self._take(event)
            except Exception as failure:
                self._die_of(failure)
                return
            if effects:
                self._carry_out(iter(effects), event.at)
        else:
            self._handle_watched(event)

    def _look_plain(self) -> None:
        self._plain = self._instrument is None and self._work is None and self._fuse is None

    def _handle_watched(self, event: Event) -> None:
        node = self.node
        if self._before is not None:
            self._before(self)
        try:
            effects = self._take(event)
        except Exception as failure:
            self._die_of(failure)
            return
        if self._after is not None:
            self._after(self, event)
            if self.node is not node:  # the instrument has killed it
                return
        held = self._intends is not None and self._intends(self, effects)
        if held or self._work is not None:
            self._block(0 if self._work is None else self._work(), self._watched(effects), event.at)
        elif effects:
            self._carry_out(self._watched(effects), event.at)

    def _die_of(self, failure: Exception) -> None:
        if isinstance(failure, UsageError):
            raise failure
        if self._instrument is not None:
            self._instrument.raised(self, failure)
        self.kill("kept")
        self.failure = failure
        self.died(self)

    def _carry_out(self, effects: Iterator[Effect], at: int) -> None:
        """Carry out the rest of a batch. By type, not by ``match``: most effects are messages, by the million."""
        links = self.links
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                links[effect[0]].send(effect[2])  # type: ignore[index]
            elif kind is SetTimer:
                due = self._timers[effect.timer] = at + effect.after  # type: ignore[union-attr]
                self._arm(effect.timer, due)  # type: ignore[union-attr]
            else:
                match effect:
                    case Persist(state):
                        self._persist(state, effects, at)
                        if self._busy or self.node is None:
                            return
                    case CancelTimer(timer):
                        self._timers.pop(timer, None)
                    case Answer(request, term, reign, error):
                        if (call := self._calls.pop(request, None)) is not None:
                            call.answer(Ok({"term": term, "reign": reign}) if error is None else Fail(error))
                    case _:  # Led, Followed: of interest to an instrument only
                        pass

    def _watched(self, effects: Sequence[Effect]) -> Iterator[Effect]:
        boots = self.boots
        for effect in effects:
            if (instrument := self._instrument) is not None:
                instrument.effect(self, effect)
            if self.node is None or self.boots != boots:
                return
            if self._fuse is not None:
                if self._fuse == 0:
                    self._fuse = None
                    self.kill(self._fuse_durable)
                    return
                self._fuse -= 1
            yield effect

    def _arm(self, timer: str, due: int) -> None:
        shift = self._shift
        at = due - shift if shift is not None else self.monotonic.when(due)
        kernel = self._kernel
        now = kernel.now
        heappush(kernel.queue, (at if at > now else now, kernel.ticket(), self._fire, timer, due))

    def _persist(self, state: Mapping[str, Json], effects: Iterator[Effect], at: int) -> None:
        disk = self.disk
        if disk.fails:
            self.kill("torn")
            return
        written = disk.begin(state)
        if disk.lying:
            self._kernel.at(self._kernel.now + disk.duration(), self._written, self.boots, written)
        else:
            self._block(disk.duration(), effects, at)

    def _written(self, boots: int, written: bytes) -> None:
        if self.boots == boots and self.disk.writing is written:
            self.disk.finish()

    def _block(self, ns: int, effects: Iterator[Effect], at: int) -> None:
        """Take no event for that long, then carry out ``effects``."""
        self._busy = True
        self._ready = False
        self._rest = (effects, at)
        self._kernel.at(self._kernel.now + ns, self._unblock, self.boots)

    def _unblock(self, boots: int, _: Any) -> None:
        if self.boots != boots or self.node is None:
            return
        if not self.disk.lying:
            self.disk.finish()
        self._busy = False
        if not self._paused:
            self._go_on()

    def _go_on(self) -> None:
        assert self._rest is not None
        (effects, at), self._rest = self._rest, None
        self._carry_out(effects, at)
        self._catch_up()

    def _catch_up(self) -> None:
        """Take the events that have been waiting, for as long as the node can."""
        self._ready = self.node is not None and not self._paused and not self._busy
        while self._waiting and self._ready:
            act, a, b = self._waiting.popleft()
            act(a, b)

    def _end(self) -> None:
        if self._instrument is not None:
            self._instrument.before(self)
        self.node = None
        self._ready = self._paused = self._busy = False
        self._rest = None
        self._timers.clear()
        waiting, self._waiting = self._waiting, deque()
        calls, self._calls = self._calls, {}
        for call in (*calls.values(), *(a for _, a, _ in waiting if isinstance(a, Call))):
            call.answer(BROKEN)
        if self._instrument is not None:
            self._instrument.down(self)


def _raced(waiting: Sequence[tuple[Act, Any, Any]], rng: Random) -> deque[tuple[Act, Any, Any]]:
    """The waiting events in the order in which a process may find them.

    Messages stay in order among themselves, and so do timers and questions; each of the three has a thread, so any
    of them may be next.
    """
    lines: dict[Act, deque[tuple[Act, Any, Any]]] = {}
    for item in waiting:
        lines.setdefault(item[0], deque()).append(item)
    left = list(lines.values())
    raced: deque[tuple[Act, Any, Any]] = deque()
    while left:
        line = rng.choice(left)
        raced.append(line.popleft())
        if not line:
            left.remove(line)
    return raced
