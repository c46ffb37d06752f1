"""Probes: real packets between hosts, by which the controller verifies what their links do.

A probe holds its token, its number, and when it was sent (ns, CLOCK_MONOTONIC, which all hosts on one machine share),
as text. A thread receives probes as they arrive.
"""

from __future__ import annotations

import contextlib
import socket
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
