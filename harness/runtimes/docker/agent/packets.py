"""A process that delays, corrupts, duplicates or drops packets: a network emulator on the netfilter queue.

Many kernels lack ``netem``; all have the netfilter queue. The host's rules send packets from impaired peers to the
queue, where each waits for its time and then passes. The agent starts this process when it is first needed. Each line
of its standard input is a ``QueueSettings``, acknowledged by an empty line. It ends when its input does; the rules then
let all packets pass (``--queue-bypass``). It is a separate process so that the agent's other work delays no packet.

The fate of a packet is drawn when it arrives, in this order: lost in a burst; queued for a link of limited bandwidth,
or lost if it would wait there for too long; delayed, with jitter; held back; corrupted; duplicated. A copy has a
separate delay. A packet that waits while its link is cut is dropped when its time has come.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from splitbrain.runtimes.docker.agent.codec import decode_line
from splitbrain.runtimes.docker.agent.impairments import Impairments, QueueSettings
from splitbrain.runtimes.docker.agent.netlink import Packet, Queue

QUEUE = 7
MARK = 0x5B  # of copies, so that no rule queues them again
SO_MARK = 36
BATCH = 64  # messages received before packets that are due are released
NS_PER_MS = 1_000_000
HEALTHY = Impairments()


@dataclass(frozen=True, slots=True)
class Fate:
    """When a packet passes (ns), if it is corrupted, and when its copy passes, if there is one."""

    at: int
    corrupted: bool
    copy_at: int | None


@dataclass(slots=True)
class InboundLink:
    """The link from one peer into this host."""

    impairments: Impairments
    rng: Random
    free_at: int = 0  # when a link of limited bandwidth has sent all earlier packets
    bad: list[bool] = field(default_factory=list)

    def change(self, impairments: Impairments) -> None:
        """Impair packets from now on; those that wait already are not affected."""
        if impairments.bursts != self.impairments.bursts:
            self.bad = []
        self.impairments = impairments

    def fate(self, now: int, size: int) -> Fate | None:
        """Draw the fate of a packet of ``size`` bytes that arrives now (ns); None if it is lost."""
        impairments, draw = self.impairments, self.rng.random
        if self._in_burst():
            return None
        at = now
        if impairments.ms_per_kb:
            at = max(now, self.free_at)
            if at - now > impairments.longest_ms * NS_PER_MS:
                return None
            at += size * impairments.ms_per_kb * NS_PER_MS // 1_000
            self.free_at = at
        passes = at + self._delay()
        if impairments.hold and draw() < impairments.hold:
            passes += impairments.hold_ms * NS_PER_MS
        corrupted = bool(impairments.corruption) and draw() < impairments.corruption
        copy_at = None
        if impairments.duplication and draw() < impairments.duplication:
            copy_at = at + self._delay()
        return Fate(passes, corrupted, copy_at)

    def _delay(self) -> int:
        jitter_ms = self.impairments.jitter_ms
        jitter = int(jitter_ms * NS_PER_MS * self.rng.random()) if jitter_ms else 0
        return self.impairments.ms * NS_PER_MS + jitter

    def _in_burst(self) -> bool:
        """Step each burst model of the link by one packet; True if any of them is in its bad state."""
        bursts, draw = self.impairments.bursts, self.rng.random
        if len(self.bad) != len(bursts):
            self.bad = [draw() < worsens / ((worsens + mends) or 1.0) for worsens, mends in bursts]
        else:
            self.bad = [
                draw() >= mends if bad else draw() < worsens
                for bad, (worsens, mends) in zip(self.bad, bursts, strict=True)
            ]
        return any(self.bad)


def corrupt(content: bytes, rng: Random) -> bytes:
    """Flip one bit in the last half of the packet: in its data rather than its headers, if it has much data."""
    corrupted = bytearray(content)
    at = rng.randrange(len(content) - max(1, (len(content) - 20) // 2), len(content))
    corrupted[at] ^= 1 << rng.randrange(8)
    return bytes(corrupted)


def sender(content: bytes) -> str:
    """Return the source address of an IPv4 packet."""
    return socket.inet_ntoa(content[12:16])


class Releaser:
    """The packets that wait, and the links that they come over. ``copies`` sends a packet; ``now`` is in ns."""

    def __init__(self, queue: Queue, copies: Callable[[bytes], object], now: Callable[[], int], rng: Random) -> None:
        self._queue = queue
        self._copies = copies
        self._now = now
        self._rng = rng
        self._links: dict[str, InboundLink] = {}
        self._cut: frozenset[str] = frozenset()
        self._waiting: list[tuple[int, int, Callable[[], object]]] = []
        self._tickets = itertools.count()

    def change(self, settings: QueueSettings) -> None:
        """Apply the settings from now on; links that they do not name are healthy."""
        for address in self._links.keys() | settings.impaired.keys():
            link = self._links.setdefault(address, InboundLink(HEALTHY, self._rng))
            link.change(settings.impaired.get(address, HEALTHY))
        self._cut = frozenset(settings.cut)

    def take(self, packet: Packet) -> None:
        """Decide about a packet that has arrived; one that is due passes at once."""
        address = sender(packet.content)
        link = self._links.get(address)
        if link is None:
            self._queue.accept(packet.number)
            return
        now = self._now()
        fate = link.fate(now, len(packet.content))
        if fate is None:
            self._queue.drop(packet.number)
            return
        instead = corrupt(packet.content, self._rng) if fate.corrupted else None
        self._at(fate.at, lambda: self._pass(address, packet.number, instead))
        if fate.copy_at is not None:
            self._at(fate.copy_at, lambda: self._copy(address, instead or packet.content))
        self.release()

    def release(self) -> int | None:
        """Release packets that are due, and return the ns until the next is due; None if none waits."""
        now = self._now()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, act = heapq.heappop(self._waiting)
            act()
        return max(0, self._waiting[0][0] - self._now()) if self._waiting else None

    def _at(self, at: int, act: Callable[[], object]) -> None:
        heapq.heappush(self._waiting, (at, next(self._tickets), act))

    def _pass(self, address: str, number: int, instead: bytes | None) -> None:
        if address in self._cut:
            self._queue.drop(number)
        else:
            self._queue.accept(number, instead)

    def _copy(self, address: str, content: bytes) -> None:
        if address not in self._cut:
            self._copies(content)


def raw_sender() -> Callable[[bytes], object]:
    """Return a function that sends a marked IP packet to this host."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)

    def send(content: bytes) -> None:
        with contextlib.suppress(OSError):  # a copy that cannot be sent is lost
            raw.sendto(content, (socket.inet_ntoa(content[16:20]), 0))

    return send


def serve() -> None:
    """Apply settings from standard input to packets of the queue, until the input ends."""
    queue = Queue(QUEUE)
    releaser = Releaser(queue, raw_sender(), time.monotonic_ns, Random())
    requests, pending, left = sys.stdin.fileno(), b"", None
    gc.disable()  # there are no reference cycles, and a collection would delay packets
    while True:
        ready, _, _ = select.select([queue, requests], [], [], None if left is None else left / 1e9)
        left = releaser.release()
        if queue in ready:
            for packet in queue.packets(BATCH):
                releaser.take(packet)
            left = releaser.release()
        if requests in ready:
            chunk = os.read(requests, 65_536)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                releaser.change(decode_line(QueueSettings, line))
                sys.stdout.write("\n")
                sys.stdout.flush()


if __name__ == "__main__":
    serve()
