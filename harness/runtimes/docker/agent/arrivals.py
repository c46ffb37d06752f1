"""When software is first heard again over a link that was cut: seen on the wire, whatever the software is.

That a rule is gone says little of TCP, which sends again only when its timer says so (RFC 6298: after twice as long
each time). So from the moment a cut ends a packet socket of this host's looks for the first packet from that peer that
carries something: bytes of a TCP stream, or a datagram that is no probe of ours. Where another fault delays packets,
that is when it came, not when it was let through.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from splitbrain.runtimes.docker.agent.probes import PORT

IP = 0x0800
OUTGOING = 4
LOOK_AGAIN_SECONDS = 0.5
ENOUGH_BYTES = 256  # for all headers
TCP, UDP = 6, 17
SO_TIMESTAMPNS = 35  # and the kind of message that brings it
STAMP = struct.Struct("@ll")  # seconds and ns of the wall clock
STAMP_BYTES = socket.CMSG_SPACE(STAMP.size)


@dataclass(slots=True)
class Arrival:
    """A link whose cut ended at ``began`` (ns, CLOCK_MONOTONIC), and what came first: ns later, and over what."""

    address: str
    began: int
    after: int | None = None
    over: str | None = None


class Arrivals:
    """All cuts of this host's that have ended so far. A thread listens for as long as one is waited for."""

    def __init__(self) -> None:
        self._all: list[Arrival] = []
        self._waiting: dict[str, Arrival] = {}
        self._guard = threading.Lock()
        self._listening = False

    def expect(self, addresses: Iterable[str]) -> None:
        """The cuts of these have just ended."""
        now = time.monotonic_ns()
        with self._guard:
            for address in addresses:
                self._waiting[address] = arrival = Arrival(address, now)
                self._all.append(arrival)
            if self._waiting and not self._listening:
                with contextlib.suppress(OSError):  # no right to one: then nothing is ever seen to come
                    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IP))
                    self._listening = True
                    threading.Thread(target=self._listen, args=(wire,), name="arrivals", daemon=True).start()

    def forget(self, addresses: Iterable[str]) -> None:
        """These are cut again."""
        with self._guard:
            for address in addresses:
                self._waiting.pop(address, None)

    def arrived(self) -> dict[str, list[dict[str, Any]]]:
        """By address, of each of its cuts in turn: how much later something came (ns) and over what, or null."""
        by_address: dict[str, list[dict[str, Any]]] = {}
        with self._guard:
            for each in self._all:
                by_address.setdefault(each.address, []).append({"after_ns": each.after, "over": each.over})
        return by_address

    def _listen(self, wire: socket.socket) -> None:
        wire.settimeout(LOOK_AGAIN_SECONDS)
        wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with wire:
            while True:
                with contextlib.suppress(TimeoutError):
                    packet, told, _, where = wire.recvmsg(ENOUGH_BYTES, STAMP_BYTES)
                    if where[2] != OUTGOING:
                        self.note(packet, came_at(told))
                with self._guard:
                    if not self._waiting:
                        self._listening = False
                        return

    def note(self, packet: bytes, now: int) -> None:
        """A packet has come, from its IP header on."""
        over = carried_by(packet)
        if over is None:
            return
        with self._guard:
            arrival = self._waiting.pop(socket.inet_ntoa(packet[12:16]), None)
            if arrival is not None:
                arrival.after, arrival.over = now - arrival.began, over


def came_at(told: Iterable[tuple[int, int, bytes]]) -> int:
    """When a packet came (ns, CLOCK_MONOTONIC), by the kernel's stamp; however busy the machine is, and we late."""
    now, wall = time.monotonic_ns(), time.time_ns()
    for _, kind, stamp in told:
        if kind == SO_TIMESTAMPNS:
            seconds, ns = STAMP.unpack(stamp)
            return now - (wall - (int(seconds) * 10**9 + int(ns)))
    return now


def carried_by(packet: bytes) -> str | None:
    """What carries something of software's in the packet: ``tcp``, ``udp``, or None if nothing does."""
    if len(packet) < 20:
        return None
    header, total, protocol = 4 * (packet[0] & 15), int.from_bytes(packet[2:4], "big"), packet[9]
    rest = packet[header:]
    if protocol == TCP and len(rest) > 12:
        return "tcp" if total > header + 4 * (rest[12] >> 4) else None
    if protocol == UDP and len(rest) >= 8:
        return "udp" if total > header + 8 and int.from_bytes(rest[2:4], "big") != PORT else None
    return None
