"""Probes: real packets between hosts, by which the controller verifies what their links do.

A probe holds its token, its number, and when it was sent (ns, CLOCK_MONOTONIC, which all hosts on one machine share),
as text. A thread receives probes as they arrive.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from splitbrain.runtimes.docker.agent.messages import ChecksumErrors

PORT = 7999
SO_RCVBUFFORCE = 33  # missing from the socket module
RECEIVE_BYTES = 8 << 20
TOKENS_KEPT = 64  # several changes may be verified concurrently
NS_PER_US = 1_000
ACK_AND_PUSH = 0x18
SNMP = Path("/proc/net/snmp")  # of this host's network namespace


def checksum_errors(table: str) -> ChecksumErrors:
    """Read how many packets the kernel discarded for a wrong checksum from its table of counters (/proc/net/snmp).

    The table has two lines for each protocol: names, and values below them.
    """
    lines = [line.split() for line in table.splitlines()]
    by_protocol = {
        names[0]: dict(zip(names, values, strict=True)) for names, values in zip(lines[::2], lines[1::2], strict=True)
    }
    return ChecksumErrors(udp=int(by_protocol["Udp:"]["InCsumErrors"]), tcp=int(by_protocol["Tcp:"]["InCsumErrors"]))


class Probes:
    """The socket for probes, and the probes received: by token and sender, the number and lateness of each."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", PORT))
        with contextlib.suppress(OSError):  # not permitted: the kernel's default buffer must do
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._received: dict[int, dict[str, list[tuple[int, int]]]] = {}
        self._guard = threading.Lock()
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def send(self, to: Sequence[str], token: int, times: int, every_us: int, size: int) -> None:
        """Send ``times`` packets of at least ``size`` bytes to each address, one to each address in turn."""
        due = time.monotonic_ns()
        for number in range(times):
            for address in to:
                packet = f"{token} {number} {time.monotonic_ns()} ".encode().ljust(size, b".")
                with contextlib.suppress(OSError):  # an unreachable peer receives nothing, which is the answer sought
                    self._socket.sendto(packet, (address, PORT))
            due += every_us * NS_PER_US
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9 if every_us else 0)

    def send_from(self, port: int, to: Sequence[str], token: int) -> None:
        """Send a probe from ``port`` to each address, and a TCP segment with data to a port where nothing listens.

        The packets are made by hand: the port may be that of the software. It is not disturbed: a probe goes to us, and
        the answer to the segment is a reset, of a connection that does not exist.
        """
        for address in to:
            for protocol, packet in (
                (socket.IPPROTO_UDP, udp_packet(port, PORT, f"{token} 0 {time.monotonic_ns()} ".encode())),
                (socket.IPPROTO_TCP, tcp_segment(_own_address(address), address, port, PORT)),
            ):
                with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol) as raw:
                    raw.sendto(packet, (address, 0))

    def received(self, token: int) -> dict[str, tuple[tuple[int, int], ...]]:
        """Return number and lateness (us) of each probe with that token by sender, in order of arrival."""
        with self._guard:
            self._received = {known: of for known, of in self._received.items() if known > token - TOKENS_KEPT}
            return {address: tuple(probes) for address, probes in self._received.get(token, {}).items()}

    def _listen(self) -> None:
        while True:
            packet, (address, _) = self._socket.recvfrom(4_096)
            now = time.monotonic_ns()
            with contextlib.suppress(ValueError):  # not a probe, or a corrupted one
                token, number, sent = map(int, packet.split()[:3])
                with self._guard:
                    probes = self._received.setdefault(token, {}).setdefault(address, [])
                    probes.append((number, (now - sent) // NS_PER_US))


def udp_packet(source: int, to: int, content: bytes) -> bytes:
    """Pack a UDP header, without a checksum, and its content."""
    return struct.pack(">HHHH", source, to, 8 + len(content), 0) + content


def tcp_segment(sender: str, receiver: str, source: int, to: int) -> bytes:
    """Pack a TCP segment that carries four bytes."""
    content = b"port"
    header = struct.pack(">HHIIBBHHH", source, to, 1, 1, 5 << 4, ACK_AND_PUSH, 1_024, 0, 0)
    pseudo = socket.inet_aton(sender) + socket.inet_aton(receiver) + struct.pack(">HH", 6, len(header + content))
    return header[:16] + struct.pack(">H", checksum(pseudo + header + content)) + header[18:] + content


def checksum(data: bytes) -> int:
    """Compute the checksum of the internet protocols (RFC 1071) over an even number of bytes."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _own_address(to: str) -> str:
    """Return the address from which packets to that one are sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((to, PORT))
        return str(asked.getsockname()[0])
