"""A netfilter queue on the standard library alone: packets that a rule sends to this process, and its verdicts.

The messages are those of the kernel's ``linux/netfilter/nfnetlink_queue.h``: a netlink header, four bytes that name
the queue, and attributes. The queue fails open: when it is full, the kernel lets packets pass.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_NO_ENOBUFS = 5
SO_RCVBUFFORCE = 33
RECEIVE_BYTES = 8 << 20
LONGEST = 1 << 17  # bytes of one message: a packet and its attributes

PACKET, VERDICT, CONFIG = ((3 << 8) | kind for kind in range(3))  # of the queue's subsystem
REQUEST, ACKNOWLEDGE = 1, 4
ERROR = 2
CONFIG_COMMAND, CONFIG_PARAMETERS, CONFIG_LENGTH, CONFIG_MASK, CONFIG_FLAGS = range(1, 6)
BIND, COPY_PACKET, FAIL_OPEN = 1, 2, 1
ATTRIBUTE_HEADER, ATTRIBUTE_VERDICT, ATTRIBUTE_PAYLOAD = 1, 2, 10
ATTRIBUTE_TYPE = 0x3FFF  # the two bits above are flags
DROP, ACCEPT = 0, 1
MOST_WAITING = 65_535


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet that waits for its verdict: its number in the queue, and its bytes from the IP header on."""

    number: int
    content: bytes


class Queue:
    """A netfilter queue, bound to this process until it is closed. Raises OSError if another process has it."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        except OSError:  # not permitted: at most the usual limit
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
        self._socket.bind((0, 0))
        self._configure(attribute(CONFIG_COMMAND, struct.pack(">BBH", BIND, 0, 0)))
        self._configure(attribute(CONFIG_PARAMETERS, struct.pack(">IB", 0xFFFF, COPY_PACKET)))
        self._configure(attribute(CONFIG_LENGTH, struct.pack(">I", MOST_WAITING)))
        open_when_full = struct.pack(">I", FAIL_OPEN)
        self._configure(attribute(CONFIG_FLAGS, open_when_full) + attribute(CONFIG_MASK, open_when_full))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        """Unbind the queue; the kernel drops packets that wait in it."""
        self._socket.close()

    def packets(self, most: int) -> Iterator[Packet]:
        """Yield the packets that have arrived, in at most ``most`` messages."""
        for _ in range(most):
            try:
                received = self._socket.recv(LONGEST)
            except BlockingIOError:
                return
            yield from packets(received)

    def accept(self, number: int, instead: bytes | None = None) -> None:
        """Let a packet pass, or other contents in its place."""
        changed = b"" if instead is None else attribute(ATTRIBUTE_PAYLOAD, instead)
        self._judge(number, ACCEPT, changed)

    def drop(self, number: int) -> None:
        """Drop a packet."""
        self._judge(number, DROP)

    def _judge(self, number: int, verdict: int, more: bytes = b"") -> None:
        judged = attribute(ATTRIBUTE_VERDICT, struct.pack(">II", verdict, number))
        with contextlib.suppress(OSError):  # the packet has gone with its rule or its device
            self._socket.send(message(VERDICT, self._number, judged + more, REQUEST))

    def _configure(self, attributes: bytes) -> None:
        self._socket.send(message(CONFIG, self._number, attributes, REQUEST | ACKNOWLEDGE))
        answer = self._socket.recv(LONGEST)
        (kind,) = struct.unpack_from("=H", answer, 4)
        (failure,) = struct.unpack_from("=i", answer, 16) if kind == ERROR else (0,)
        if failure:
            raise OSError(-failure, f"the packet queue {self._number}: {os.strerror(-failure)}")


def attribute(kind: int, content: bytes) -> bytes:
    """Pack a netlink attribute, padded to four bytes."""
    length = 4 + len(content)
    return struct.pack("=HH", length, kind) + content + bytes(-length % 4)


def message(kind: int, queue: int, attributes: bytes, flags: int) -> bytes:
    """Pack a message to or from the queue of that number."""
    body = struct.pack(">BBH", socket.AF_UNSPEC, 0, queue) + attributes
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body


def packets(received: bytes) -> Iterator[Packet]:
    """Yield the packets in data received from a netlink socket; other messages are skipped."""
    at = 0
    while at + 16 <= len(received):
        length, kind = struct.unpack_from("=IH", received, at)
        if length < 16:
            return
        if kind == PACKET:
            yield _packet(received, at + 20, min(at + length, len(received)))
        at += (length + 3) & ~3


def _packet(received: bytes, at: int, end: int) -> Packet:
    number, content = 0, b""
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", received, at)
        if kind & ATTRIBUTE_TYPE == ATTRIBUTE_HEADER:
            (number,) = struct.unpack_from(">I", received, at + 4)
        elif kind & ATTRIBUTE_TYPE == ATTRIBUTE_PAYLOAD:
            content = received[at + 4 : at + length]
        at += max(4, (length + 3) & ~3)
    return Packet(number, content)
