"""When data first arrives over a link after its cut has ended, seen on the wire, whatever the software is.

A rule that is gone says little about TCP, which retransmits only when its timer expires (RFC 6298: each wait is twice
the one before). So from the end of a cut a packet socket looks for the first packet from that peer with data: bytes of
a TCP stream, or a datagram other than our probes. Where another fault delays packets, the time is when the packet
came, not when it was released.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from splitbrain.runtimes.docker.agent.messages import FirstArrival, FirstArrivals
from splitbrain.runtimes.docker.agent.probes import PORT

IP = 0x0800
OUTGOING = 4
LOOK_AGAIN_SECONDS = 0.5
ENOUGH_BYTES = 256  # for all headers
TCP, UDP = 6, 17
SO_TIMESTAMPNS = 35  # the option, and the type of the control message that it brings
STAMP = struct.Struct("@ll")  # seconds and ns of the wall clock
STAMP_BYTES = socket.CMSG_SPACE(STAMP.size)


@dataclass(slots=True)
class HealedLink:
    """A link with a cut that ended at ``began`` (ns, CLOCK_MONOTONIC), and the first data after that, if any."""

    address: str
    began: int
    after: int | None = None
    over: str | None = None


class ArrivalMonitor:
    """The cuts of this host that have ended. A thread listens while data is awaited on any of these links."""

    def __init__(self) -> None:
        self._all: list[HealedLink] = []
        self._waiting: dict[str, HealedLink] = {}
        self._guard = threading.Lock()
        self._listening = False

    def expect(self, addresses: Iterable[str]) -> None:
        """Await data from these addresses, as their cuts have just ended."""
        now = time.monotonic_ns()
        with self._guard:
            for address in addresses:
                self._waiting[address] = link = HealedLink(address, now)
                self._all.append(link)
            if self._waiting and not self._listening:
                with contextlib.suppress(OSError):  # a packet socket is forbidden: no arrival is seen
                    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IP))
                    self._listening = True
                    threading.Thread(target=self._listen, args=(wire,), name="arrivals", daemon=True).start()

    def forget(self, addresses: Iterable[str]) -> None:
        """Stop awaiting data from these addresses, which are cut off again."""
        with self._guard:
            for address in addresses:
                self._waiting.pop(address, None)

    def report(self) -> FirstArrivals:
        """Return the first arrival after each cut so far."""
        by_sender: dict[str, tuple[FirstArrival, ...]] = {}
        with self._guard:
            for each in self._all:
                arrival = FirstArrival(after_ns=each.after, over=each.over)
                by_sender[each.address] = (*by_sender.get(each.address, ()), arrival)
        return FirstArrivals(by_sender=by_sender)

    def _listen(self, wire: socket.socket) -> None:
        wire.settimeout(LOOK_AGAIN_SECONDS)
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with wire:
            while True:
                with contextlib.suppress(TimeoutError):
                    packet, control, _, where = wire.recvmsg(ENOUGH_BYTES, STAMP_BYTES)
                    if where[2] != OUTGOING:
                        self.note(packet, came_at(control))
                with self._guard:
                    if not self._waiting:
                        self._listening = False
                        return

    def note(self, packet: bytes, now: int) -> None:
        """Take note of a packet, given from its IP header on."""
        over = carried_by(packet)
        if over is None:
            return
        with self._guard:
            link = self._waiting.pop(socket.inet_ntoa(packet[12:16]), None)
            if link is not None:
                link.after, link.over = now - link.began, over


def came_at(control: Iterable[tuple[int, int, bytes]]) -> int:
    """Return when a packet came (ns, CLOCK_MONOTONIC): by the kernel's timestamp, as we may read it late."""
    now, wall = time.monotonic_ns(), time.time_ns()
    for _, kind, stamp in control:
        if kind == SO_TIMESTAMPNS:
            seconds, ns = STAMP.unpack(stamp)
            return now - (wall - (int(seconds) * 10**9 + int(ns)))
    return now


def carried_by(packet: bytes) -> str | None:
    """Return the protocol of the software's data in the packet, ``tcp`` or ``udp``; None if it has none."""
    if len(packet) < 20:
        return None
    header, total, protocol = 4 * (packet[0] & 15), int.from_bytes(packet[2:4], "big"), packet[9]
    rest = packet[header:]
    if protocol == TCP and len(rest) > 12:
        return "tcp" if total > header + 4 * (rest[12] >> 4) else None
    if protocol == UDP and len(rest) >= 8:
        return "udp" if total > header + 8 and int.from_bytes(rest[2:4], "big") != PORT else None
    return None
