"""The engine's connection to a command that runs in a container.

The engine multiplexes its output into frames: the stream (1 standard output, 2 standard error), three zero bytes, the
length, the payload (Docker Engine API, "Attach to a container"). Reading blocks, since the engine's socket may be TLS
or a named pipe, which an event loop cannot wait for on every platform.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final

HEADER_BYTES: Final = 8
STDOUT: Final = 1
STDERR: Final = 2
RECEIVE_BYTES: Final = 64 << 10


class Frames:
    """Splits output into its frames, however it arrives."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The stream and the payload of each frame that is complete by now."""
        self._pending += data
        while len(self._pending) >= HEADER_BYTES:
            end = HEADER_BYTES + int.from_bytes(self._pending[4:HEADER_BYTES], "big")
            if len(self._pending) < end:
                return
            frame, self._pending = self._pending[:end], self._pending[end:]
            yield frame[0], frame[HEADER_BYTES:]


class ExecStream:
    """The connection to one command, as ``exec_start(..., socket=True)`` of the engine's client gives it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._socket = getattr(stream, "_sock", stream)
        self._frames = Frames()
        self._head = read_ahead(stream)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """The stream and the payload of each frame, until the output ends. Blocks; raises OSError."""
        data = self._head
        while True:
            yield from self._frames.feed(data)
            data = self._socket.recv(RECEIVE_BYTES)
            if not data:
                return

    def send(self, data: bytes) -> None:
        """Write to the command's standard input. Raises OSError."""
        self._socket.sendall(data)

    def shut(self) -> None:
        """End both directions, so that a reader in another thread returns."""
        with contextlib.suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()


def read_ahead(stream: Any) -> bytes:
    """The beginning of an exec's output, as far as the engine's client has read it with the headers of the answer.

    The client hands over the bare socket, and loses what a quick command said before that (docker-py 7.1).
    """
    response = getattr(stream, "_response", None)
    if response is None:
        return b""
    connection = getattr(stream, "_sock", stream)
    waits = connection.gettimeout()
    connection.settimeout(0)  # an empty buffer is filled from the socket, without waiting
    try:
        return bytes(response.raw._fp.fp.peek() or b"")
    finally:
        connection.settimeout(waits)
