"""Real packets between hosts, by which the controller sees what their links do.

A packet holds its token, its number, and when it was sent (ns, CLOCK_MONOTONIC, which all hosts on one machine
share), as text. They are taken in by a thread of their own as they come.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Any

PORT = 7999
SO_RCVBUFFORCE = 33  # not among the socket module's names
RECEIVE_BYTES = 8 << 20
TOKENS_KEPT = 64  # several changes may be verified at once
NS_PER_US = 1_000


SNMP = Path("/proc/net/snmp")  # of this host's own network namespace


def checksum_errors(told: str) -> dict[str, int]:
    """How many datagrams and segments with a wrong checksum the kernel has thrown away, from its table of counters.

    The table has two lines for each protocol: names, and values below them.
    """
    lines = [line.split() for line in told.splitlines()]
    by_protocol = {
        names[0]: dict(zip(names, values, strict=True)) for names, values in zip(lines[::2], lines[1::2], strict=True)
    }
    return {protocol.lower(): int(by_protocol[f"{protocol}:"]["InCsumErrors"]) for protocol in ("Udp", "Tcp")}


class Probes:
    """The probing socket, and what has come: of each token and sender, the number and lateness of each packet."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", PORT))
        with contextlib.suppress(OSError):  # else the kernel's usual buffer must do for a burst of probes
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._heard: dict[int, dict[str, list[tuple[int, int]]]] = {}
        self._guard = threading.Lock()
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def send(self, to: list[str], token: int, times: int, every_us: int, size: int) -> dict[str, Any]:
        """Send so many packets to each address, one to each at a time, of at least so many bytes each."""
        due = time.monotonic_ns()
        for number in range(times):
            for address in to:
                packet = f"{token} {number} {time.monotonic_ns()} ".encode().ljust(size, b".")
                with contextlib.suppress(OSError):  # an unreachable peer will not have heard, which is what is asked
                    self._socket.sendto(packet, (address, PORT))
            due += every_us * NS_PER_US
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9 if every_us else 0)
        return {}

    def heard(self, token: int) -> dict[str, list[tuple[int, int]]]:
        """By the sender's address: number and lateness (us) of each packet with that token, as they came."""
        with self._guard:
            self._heard = {known: who for known, who in self._heard.items() if known > token - TOKENS_KEPT}
            return {address: list(came) for address, came in self._heard.get(token, {}).items()}

    def _listen(self) -> None:
        while True:
            packet, (address, _) = self._socket.recvfrom(4_096)
            now = time.monotonic_ns()
            with contextlib.suppress(ValueError):  # no packet of ours, or a spoilt one
                token, number, sent = map(int, packet.split()[:3])
                with self._guard:
                    came = self._heard.setdefault(token, {}).setdefault(address, [])
                    came.append((number, (now - sent) // NS_PER_US))
