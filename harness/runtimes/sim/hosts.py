"""A machine of the simulation, its clock and disk, and the node that runs on it.

This is the driver of ``nodes.driver`` again, in virtual time, with the same rules: effects are carried out in
their order; a ``Persist`` is durable before the next of them; while the disk works the node takes nothing in; a
timer's time is counted from the event that set it; a question is answered at one instant. What a real driver cannot
do is here, too: stop after k effects, stop for a while, forget, and have wrong clocks.

Three ways to be unable to act, and what becomes of what comes in meanwhile: *down* (lost, questions are refused),
*paused* (kept, and let in at once at the end of the pause, timers and messages in an order that is drawn), *busy*
with the disk or with work (kept in order).

A node that raises dies there and then with its disk as it is, as it does under the real driver, and stays down until
it is started again. A ``UsageError`` is no death but an answer to whoever handed the node in, and ends the simulation.
"""

from __future__ import annotations

import json
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import heappush
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, ParamSpec, TypeVar

from splitbrain.errors import UsageError
from splitbrain.nodes.clients.base import Fail, Ok, Reply, Unknown
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
from splitbrain.runtimes.sim.clock import Clock
from splitbrain.runtimes.sim.kernel import Act, Kernel, Task
from splitbrain.runtimes.sim.network import Delay, Link, Uniform, sampler

MakeNode = Callable[[str, Sequence[str], Random, str, "Mapping[str, Json] | None"], Node]
Durable = Literal["kept", "torn", "old", "lost"]
P = ParamSpec("P")
R = TypeVar("R")

SSD: Final = Uniform(100_000, 500_000)
# Datagrams that wait for a node which cannot take them; a socket's buffer holds about as many small ones.
WAITING_MAX: Final = 256

# Received(...) goes through a function written in Python, and is by far the most frequent event.
make_tuple: Final = tuple.__new__

REFUSED: Final = Fail("connection refused")
BROKEN: Final = Unknown("the connection broke")
NO_ANSWER: Final = Unknown("no answer in time")


class Call:
    """A question from outside, and the task that waits for its answer: given once, or at ``deadline`` none."""

    __slots__ = ("deadline", "kernel", "open", "task", "way_back")

    def __init__(self, kernel: Kernel, deadline: int, way_back: Callable[[], int]) -> None:
        self.kernel = kernel
        self.task: Task = kernel.current
        self.deadline = deadline
        self.way_back = way_back
        self.open = True

    def answer(self, reply: Reply) -> None:
        """Send the answer on its way back; the first one counts."""
        if self.open:
            self.open = False
            kernel = self.kernel
            at = kernel.now + self.way_back()
            if at > self.deadline:
                at, reply = max(kernel.now, self.deadline), NO_ANSWER
            heappush(kernel.queue, (at, kernel.ticket(), self.task.wake, reply, None))

    def expires(self) -> None:
        """It will not be answered at once, so see to it that it is given up in time."""
        if self.open:
            self.kernel.at(max(self.kernel.now, self.deadline), self._expire)

    def _expire(self, _: Any, __: Any) -> None:
        if self.open:
            self.open = False
            self.task.wake(NO_ANSWER, None)


class Instrument:
    """Somebody who sees what no observer of a cluster can. Each method may be left as it is.

    It may hurt the cluster while it watches: a node that is killed then does nothing more.
    """

    def before(self, host: Host) -> None:
        """The node of ``host`` is about to take an event, to die, or to have its clock moved."""

    def after(self, host: Host, event: Event) -> None:
        """The node has taken ``event``; none of its effects has been carried out."""

    def intends(self, host: Host, effects: Sequence[Effect]) -> bool:
        """The node will carry out these effects. True holds it up until all else of this instant has happened."""
        return False

    def effect(self, host: Host, effect: Effect) -> None:
        """This effect is about to be carried out."""

    def down(self, host: Host) -> None:
        """The node has died."""

    def raised(self, host: Host, failure: Exception) -> None:
        """The node raised when it was started or took an event, and is about to die of it."""


class Instruments(Instrument):
    """Several who watch the same hosts, told in the order given."""

    def __init__(self, *each: Instrument) -> None:
        self._each = each

    def before(self, host: Host) -> None:
        for instrument in self._each:
            instrument.before(host)

    def after(self, host: Host, event: Event) -> None:
        for instrument in self._each:
            instrument.after(host, event)

    def intends(self, host: Host, effects: Sequence[Effect]) -> bool:
        held = [instrument.intends(host, effects) for instrument in self._each]
        return any(held)

    def effect(self, host: Host, effect: Effect) -> None:
        for instrument in self._each:
            instrument.effect(host, effect)

    def down(self, host: Host) -> None:
        for instrument in self._each:
            instrument.down(host)

    def raised(self, host: Host, failure: Exception) -> None:
        for instrument in self._each:
            instrument.raised(host, failure)


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
        """With ``lying_disk`` a write is said to be durable at once and is so only when the disk has done it."""
        self.name = name
        self.peers = tuple(peers)
        self.links: Mapping[str, Link] = {}
        self.boots = 0
        self.node: Node | None = None
        self.durable: bytes | None = None
        self.copy: bytes | None = None  # of what was durable once
        self._kernel = kernel
        self._seed = seed
        self._make_node = make_node
        self._dice = Random(f"{seed}/host/{name}")
        self._disk = sampler(disk, self._dice)
        self._lying_disk = lying_disk
        self.flush_ns = 0  # how much longer the disk takes
        self.flushes_fail = False
        self.work: Delay | None = None  # how long the node takes over an event
        self._work: Callable[[], int] | None = None
        # Every host has been up for another while, so that an instant of one means nothing on another.
        self.monotonic = Clock(shown=self._dice.randrange(10**9, 10**12))
        self.epoch = 1_700_000_000 * 10**9  # what a right wall clock shows at true time 0
        self.wall = Clock(shown=self.epoch)
        self._shift: int | None = self.monotonic.shown  # of a clock that runs true: what it shows less true time
        self._ready = False  # up, not paused, not busy
        self._paused = False
        self._busy = False
        self._waiting: deque[tuple[Act, Any, Any]] = deque()
        self._timers: dict[str, int] = {}  # name -> when it is due, on the monotonic clock
        self._writing: bytes | None = None  # said to be, or about to be, durable, and not yet so
        self._rest: tuple[Iterator[Effect], int] | None = None  # what is left to do once no longer busy
        self._calls: dict[int, Call] = {}
        self._fuse: int | None = None  # how many effects are left until the node is killed
        self._fuse_durable: Durable = "torn"
        self._take: Callable[[Event], Sequence[Effect]]  # the node's handle
        self.instrument = instrument

    # The process

    @property
    def up(self) -> bool:
        return self.node is not None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def instrument(self) -> Instrument | None:
        """Who sees all that the node does; may be changed at any time."""
        return self._witness

    @instrument.setter
    def instrument(self, instrument: Instrument | None) -> None:
        self._witness = instrument
        # Most witnesses look at few of these, and a node takes events by the hundred thousand.
        self._before = None if instrument is None else _overridden(instrument, instrument.before)
        self._after = None if instrument is None else _overridden(instrument, instrument.after)
        self._intends = None if instrument is None else _overridden(instrument, instrument.intends)
        self._look_plain()

    def now(self) -> int:
        """This instant on its monotonic clock, by which its node lives."""
        shift = self._shift
        return self._kernel.now + shift if shift is not None else self.monotonic.read(self._kernel.now)

    @property
    def true_now(self) -> int:
        """This instant in true time."""
        return self._kernel.now

    def status(self) -> Status | None:
        """What the node would say of itself now, None when it is down. Changes nothing."""
        return self.status_at(self._kernel.now)

    def status_at(self, instant: int) -> Status | None:
        """The same at another true instant, provided that nothing happens to the node until then."""
        return None if self.node is None else self.node.status(self.monotonic.read(instant))

    def start(self) -> None:
        """Start the node's process, with what the disk holds, under a new boot id. Nothing if it is up."""
        if self.node is not None:
            return
        self.boots += 1
        key = f"{self._seed}/node/{self.name}/{self.boots}"
        boot = sha256(key.encode()).hexdigest()[:8]
        state = None if self.durable is None else json.loads(self.durable)
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
        """End the process at once: all that it knew is gone, its links and clocks stay as they are.

        ``kept``: what it was writing had just reached the disk. ``torn``: it had not. ``lost``: nor is there
        anything else on the disk any more. ``old``: the disk is as it was when it was last copied.
        """
        if self.node is not None:
            self._end()
        if durable == "lost":
            self.durable = None
        elif durable == "old":
            self.durable = self.copy
        elif durable == "kept" and self._writing is not None:
            self.durable = self._writing
        self._writing = None

    def keep_disk(self) -> None:
        """Copy what is durable now; a write that is under way is not."""
        self.copy = self.durable

    def wipe(self) -> None:
        """Empty the disk; the node goes on with what it knows until it is killed."""
        self.durable = self._writing = None

    def crash_after(self, effects: int, durable: Durable = "torn") -> None:
        """Kill the node as soon as it has carried out that many effects, in the middle of a batch perhaps; those of
        the next event it takes are the first to be counted."""
        self._fuse = effects
        self._fuse_durable = durable
        self._look_plain()

    def call_off(self) -> None:
        """Let the node live, if ``crash_after`` has not killed it yet."""
        self._fuse = None
        self._look_plain()

    def pause(self) -> None:
        """Stop the process where it stands. Nothing if it is down or paused."""
        if self.node is not None:
            self._paused = True
            self._ready = False

    def resume(self) -> None:
        """Let it go on: it finds all that has come meanwhile, at once."""
        if not self._paused:
            return
        self._paused = False
        self._waiting = _raced(self._waiting, self._dice)
        if self._rest is not None and not self._busy:
            self._go_on()
        else:
            self._catch_up()

    def slow_down(self, work: Delay | None) -> None:
        """From now on have the node take that long over each event (None: no time at all)."""
        self.work = work
        self._work = None if work is None else sampler(work, self._dice)
        self._look_plain()

    def set_flushes(self, ns: int, fail: bool) -> None:
        """From now on have the disk take so much longer over each write, or refuse it; of that the node dies."""
        self.flush_ns = ns
        self.flushes_fail = fail

    def set_clock(self, which: Literal["wall", "monotonic"], *, jump: int = 0, ppm: int | None = None) -> None:
        """Move a clock by ``jump`` ns and let it gain ``ppm`` millionths from now on, as it did before if None.

        Timers run on the monotonic clock, and fire early or late with it.
        """
        if which == "wall":
            self.wall = self.wall.changed(self._kernel.now, jump=jump, ppm=ppm)
            return
        if self._witness is not None:
            self._witness.before(self)
        self.monotonic = clock = self.monotonic.changed(self._kernel.now, jump=jump, ppm=ppm)
        self._shift = clock.shown - clock.since if clock.ppm == 0 else None
        for timer, due in self._timers.items():
            self._arm(timer, due)

    # What comes in

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
        """Somebody asks what the node claims."""
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
        """Somebody asks the node to prove that it leads."""
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
        """A timer that was set for ``due`` has, perhaps, run out: it may have been set again, or the clock."""
        if self._timers.get(timer) != due or self.now() < due:
            return
        if self._ready:
            del self._timers[timer]
            self._handle(TimerFired(self.now(), timer))
        else:
            self._waiting.append((self._fire, timer, due))

    # What goes out

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
        self._plain = self._witness is None and self._work is None and self._fuse is None

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
        if self._witness is not None:
            self._witness.raised(self, failure)
        self.kill("kept")

    def _carry_out(self, effects: Iterator[Effect], at: int) -> None:
        """Carry out what is left of a batch. By type, not by ``match``: most are messages, by the million."""
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
                    case _:  # Led, Followed: of interest to a instrument only
                        pass

    def _watched(self, effects: Sequence[Effect]) -> Iterator[Effect]:
        boots = self.boots
        for effect in effects:
            if (instrument := self._witness) is not None:
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
        if self.flushes_fail:
            self.kill("torn")
            return
        self._writing = written = json.dumps(dict(state)).encode()
        if self._lying_disk:
            self._kernel.at(self._kernel.now + self._disk() + self.flush_ns, self._written, self.boots, written)
        else:
            self._block(self._disk() + self.flush_ns, effects, at)

    def _written(self, boots: int, written: bytes) -> None:
        if self.boots == boots and self._writing is written:
            self.durable, self._writing = written, None

    def _block(self, ns: int, effects: Iterator[Effect], at: int) -> None:
        """Take nothing in for so long, then carry out ``effects``."""
        self._busy = True
        self._ready = False
        self._rest = (effects, at)
        self._kernel.at(self._kernel.now + ns, self._unblock, self.boots)

    def _unblock(self, boots: int, _: Any) -> None:
        if self.boots != boots or self.node is None:
            return
        if self._writing is not None and not self._lying_disk:
            self.durable, self._writing = self._writing, None
        self._busy = False
        if not self._paused:
            self._go_on()

    def _go_on(self) -> None:
        assert self._rest is not None
        (effects, at), self._rest = self._rest, None
        self._carry_out(effects, at)
        self._catch_up()

    def _catch_up(self) -> None:
        """Take in what has been waiting, for as long as the node can."""
        self._ready = self.node is not None and not self._paused and not self._busy
        while self._waiting and self._ready:
            act, a, b = self._waiting.popleft()
            act(a, b)

    def _end(self) -> None:
        if self._witness is not None:
            self._witness.before(self)
        self.node = None
        self._ready = self._paused = self._busy = False
        self._rest = None
        self._timers.clear()
        waiting, self._waiting = self._waiting, deque()
        calls, self._calls = self._calls, {}
        for call in (*calls.values(), *(a for _, a, _ in waiting if isinstance(a, Call))):
            call.answer(BROKEN)
        if self._witness is not None:
            self._witness.down(self)


def what_was_raised(failure: Exception) -> str:
    """The exception and where it was raised, in a line that is the same on any machine."""
    words = traceback.format_exception_only(failure)[-1].strip()
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{words} ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"


def _overridden(instrument: Instrument, method: Callable[P, R]) -> Callable[P, R] | None:
    """The method, if it does anything."""
    name = method.__name__
    return None if getattr(type(instrument), name) is getattr(Instrument, name) else method


def _raced(waiting: Sequence[tuple[Act, Any, Any]], dice: Random) -> deque[tuple[Act, Any, Any]]:
    """What has piled up, as a process may find it: messages among themselves in order, as timers and as questions
    are, but each time any of the three may be next, however many of it there are: they have a thread each."""
    lines: dict[Act, deque[tuple[Act, Any, Any]]] = {}
    for item in waiting:
        lines.setdefault(item[0], deque()).append(item)
    left = list(lines.values())
    raced: deque[tuple[Act, Any, Any]] = deque()
    while left:
        line = dice.choice(left)
        raced.append(line.popleft())
        if not line:
            left.remove(line)
    return raced
