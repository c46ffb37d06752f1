"""Real packets between hosts, by which the controller sees what their links do.

A packet is its token as digits. They are taken in by a thread of their own as they come.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

PORT = 7999
SO_RCVBUFFORCE = 33  # not among the socket module's names
RECEIVE_BYTES = 8 << 20
TOKENS_KEPT = 64  # several changes may be verified at once


class Probes:
    """The probing socket, and who has been heard by token: of each address, how many packets."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", PORT))
        with contextlib.suppress(OSError):  # else the kernel's usual buffer must do for a burst of probes
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
        self._heard: dict[int, dict[str, int]] = {}
        self._guard = threading.Lock()
        threading.Thread(target=self._listen, name="listener", daemon=True).start()

    def send(self, to: list[str], token: int, times: int) -> dict[str, Any]:
        """Send so many packets to each address."""
        packet = str(token).encode()
        for address in to * times:
            with contextlib.suppress(OSError):  # an unreachable peer will not have heard, which is what is asked
                self._socket.sendto(packet, (address, PORT))
        return {}

    def heard(self, token: int) -> dict[str, int]:
        """How many packets with that token have come, by the sender's address."""
        with self._guard:
            self._heard = {known: who for known, who in self._heard.items() if known > token - TOKENS_KEPT}
            return dict(self._heard.get(token, {}))

    def _listen(self) -> None:
        while True:
            packet, (address, _) = self._socket.recvfrom(64)
            if packet.isdigit():
                with self._guard:
                    heard = self._heard.setdefault(int(packet), {})
                    heard[address] = heard.get(address, 0) + 1
