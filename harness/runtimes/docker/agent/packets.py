"""A process that holds packets back, spoils, doubles or loses them: what a network emulator does, without one.

The kernels of many machines lack ``netem``; all have the netfilter queue. The host's rules send here what comes from
peers whose links have such flaws, each packet waits for its time, and passes. It is started by the agent when first
needed and spoken to over its standard input: each line is JSON, ``{"flaws": {address: {...}}, "cut": [address]}``, and
is answered by a line with what has been done so far, by address. It ends when its input does; then the rules let
everything pass (``--queue-bypass``). It is a process of its own so that nothing else that the agent does delays a
packet.

A packet's fate is drawn when it comes, in this order: lost in a run of losses; queueing for a narrow link, or lost
when it would wait there for too long; late, by more or less; held back; spoilt; doubled. A copy takes its own time.
What waits when its link is cut is lost when its time has come.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from splitbrain.runtimes.docker.agent.netlink import Packet, Queue

QUEUE = 7
MARK = 0x5B  # of copies, which no rule takes for packets from a peer again
SO_MARK = 36
AT_ONCE = 64  # messages taken in before what is due is released
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with the link from one peer: chances from 0 to 1, and ms.

    ``bursts`` are pairs of chances: that a good link turns bad, and a bad one good, with a packet. With
    ``ms_per_kb`` a packet that would wait for longer than ``longest_ms`` is lost.
    """

    ms: int = 0
    jitter_ms: int = 0
    hold: float = 0.0
    hold_ms: int = 0
    corruption: float = 0.0
    duplication: float = 0.0
    ms_per_kb: int = 0
    longest_ms: int = 0
    bursts: tuple[tuple[float, float], ...] = ()


@dataclass(slots=True)
class Counts:
    """Packets that came from one peer, and what became of them."""

    seen: int = 0
    lost: int = 0
    overflowed: int = 0
    held: int = 0
    spoilt: int = 0
    doubled: int = 0


@dataclass(frozen=True, slots=True)
class Fate:
    """When it passes (ns), whether spoilt, and when its copy does, if it has one."""

    at: int
    spoilt: bool
    copy_at: int | None


@dataclass(slots=True)
class Way:
    """One peer's link into this host."""

    flaws: Flaws
    dice: Random
    counts: Counts = field(default_factory=Counts)
    free_at: int = 0  # when the narrow link has sent all that came before
    bad: list[bool] = field(default_factory=list)

    def change(self, flaws: Flaws) -> None:
        """From now on; what is on its way stays so."""
        if flaws.bursts != self.flaws.bursts:
            self.bad = []
        self.flaws = flaws

    def fate(self, now: int, size: int) -> Fate | None:
        """What becomes of a packet of that many bytes that comes now (ns); None if it is lost."""
        flaws, chance = self.flaws, self.dice.random
        self.counts.seen += 1
        if self._in_a_run():
            self.counts.lost += 1
            return None
        at = now
        if flaws.ms_per_kb:
            at = max(now, self.free_at)
            if at - now > flaws.longest_ms * NS_PER_MS:
                self.counts.overflowed += 1
                return None
            at += size * flaws.ms_per_kb * NS_PER_MS // 1_000
            self.free_at = at
        passes = at + self._late()
        if flaws.hold and chance() < flaws.hold:
            self.counts.held += 1
            passes += flaws.hold_ms * NS_PER_MS
        spoilt = bool(flaws.corruption) and chance() < flaws.corruption
        self.counts.spoilt += spoilt
        copy_at = None
        if flaws.duplication and chance() < flaws.duplication:
            self.counts.doubled += 1
            copy_at = at + self._late()
        return Fate(passes, spoilt, copy_at)

    def _late(self) -> int:
        flaws = self.flaws
        return flaws.ms * NS_PER_MS + (int(flaws.jitter_ms * NS_PER_MS * self.dice.random()) if flaws.jitter_ms else 0)

    def _in_a_run(self) -> bool:
        """Whether the link is bad for this packet, as any of its bursts has it; each goes on with every packet."""
        bursts, chance = self.flaws.bursts, self.dice.random
        if len(self.bad) != len(bursts):
            self.bad = [chance() < worsens / ((worsens + mends) or 1.0) for worsens, mends in bursts]
        else:
            self.bad = [
                chance() >= mends if bad else chance() < worsens
                for bad, (worsens, mends) in zip(self.bad, bursts, strict=True)
            ]
        return any(self.bad)


def spoil(content: bytes, dice: Random) -> bytes:
    """The packet with one bit of its last half wrong: of what it carries, not of its headers, if it carries much."""
    spoilt = bytearray(content)
    at = dice.randrange(len(content) - max(1, (len(content) - 20) // 2), len(content))
    spoilt[at] ^= 1 << dice.randrange(8)
    return bytes(spoilt)


def sender(content: bytes) -> str:
    return socket.inet_ntoa(content[12:16])


class Releaser:
    """The packets that wait, and what is to become of those that come. ``now`` is in ns."""

    def __init__(self, queue: Queue, copies: Callable[[bytes], object], now: Callable[[], int], dice: Random) -> None:
        self._queue = queue
        self._copies = copies
        self._now = now
        self._dice = dice
        self._ways: dict[str, Way] = {}
        self._cut: frozenset[str] = frozenset()
        self._waiting: list[tuple[int, int, Callable[[], object]]] = []
        self._tickets = itertools.count()

    def change(self, flaws: Mapping[str, Mapping[str, Any]], cut: list[str]) -> None:
        """From now on the links from these addresses are so; those not named are whole."""
        wanted = {address: _flaws(told) for address, told in flaws.items()}
        for address in self._ways.keys() | wanted.keys():
            way = self._ways.setdefault(address, Way(Flaws(), self._dice))
            way.change(wanted.get(address, Flaws()))
        self._cut = frozenset(cut)

    def counts(self) -> dict[str, dict[str, int]]:
        return {
            address: {name: getattr(way.counts, name) for name in Counts.__slots__}
            for address, way in self._ways.items()
        }

    def take(self, packet: Packet) -> None:
        """Decide about a packet that has come; one that is due at once passes at once."""
        address = sender(packet.content)
        way = self._ways.get(address)
        if way is None:
            self._queue.accept(packet.number)
            return
        now = self._now()
        fate = way.fate(now, len(packet.content))
        if fate is None:
            self._queue.drop(packet.number)
            return
        instead = spoil(packet.content, self._dice) if fate.spoilt else None
        self._at(fate.at, lambda: self._pass(address, packet.number, instead))
        if fate.copy_at is not None:
            self._at(fate.copy_at, lambda: self._copy(address, instead or packet.content))
        self.release()

    def release(self) -> int | None:
        """Let pass what is due; the ns until the next is, None if nothing waits."""
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


def _flaws(told: Mapping[str, Any]) -> Flaws:
    return Flaws(**{**told, "bursts": tuple((worsens, mends) for worsens, mends in told.get("bursts", ()))})


def raw_sender() -> Callable[[bytes], object]:
    """What sends whole packets, marked, to the host itself."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    raw.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)

    def send(content: bytes) -> None:
        with contextlib.suppress(OSError):  # a copy that cannot be sent is one that is lost
            raw.sendto(content, (socket.inet_ntoa(content[16:20]), 0))

    return send


def serve() -> None:
    queue = Queue(QUEUE)
    releaser = Releaser(queue, raw_sender(), time.monotonic_ns, Random())
    requests, pending, left = sys.stdin.fileno(), b"", None
    gc.disable()  # nothing here is cyclic, and a collection would delay packets
    while True:
        ready, _, _ = select.select([queue, requests], [], [], None if left is None else left / 1e9)
        left = releaser.release()
        if queue in ready:
            for packet in queue.packets(AT_ONCE):
                releaser.take(packet)
            left = releaser.release()
        if requests in ready:
            chunk = os.read(requests, 65_536)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                request = json.loads(line)
                releaser.change(request["flaws"], request["cut"])
                sys.stdout.write(json.dumps(releaser.counts()) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    serve()
