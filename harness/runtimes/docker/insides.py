"""Commands in the containers of nodes, for clients that ask by them (``splitbrain.nodes.clients.insides``).

A command's environment marks it, so that the agent on its host does not take it for a process of the node
(``agent.processes``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from splitbrain.nodes.clients.answers import MOST_BYTES, WrongAnswer
from splitbrain.nodes.clients.base import OperationFailed
from splitbrain.runtimes.docker.agent.processes import ASKS
from splitbrain.runtimes.docker.containers import Blocking
from splitbrain.runtimes.docker.hosts import HostContainer

HEADER_BYTES: Final = 8  # before each part of the output: which stream it is of, and its length
STDOUT: Final = 1
MOST_ERRORS: Final = 500
LOOKS: Final = 5
BETWEEN_LOOKS_S: Final = 0.02
MOST_WAITING: Final = 2 * MOST_BYTES


class ContainerInsides:
    """Starts commands in the containers of the nodes of one run."""

    def __init__(self, client: docker.DockerClient, hosts: Mapping[str, HostContainer], blocking: Blocking) -> None:
        self._client = client
        self._hosts = hosts
        self._blocking = blocking

    async def start(self, machine: str, command: Sequence[str]) -> ContainerProcess:
        container = str(self._hosts[machine].node.id)
        starting = asyncio.ensure_future(self._opened(container, command))
        try:
            process: ContainerProcess = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_close_late)
            raise
        except APIError as failure:
            raise OperationFailed(f"the command cannot be started: {failure.explanation or failure}") from failure
        except (DockerException, RequestException) as failure:
            raise OperationFailed(f"the command cannot be started: the engine does not answer: {failure}") from failure
        return process

    async def _opened(self, container: str, command: Sequence[str]) -> ContainerProcess:
        loop = asyncio.get_running_loop()
        process: ContainerProcess = await self._blocking(
            ContainerProcess.open, self._client, self._blocking, container, command, loop
        )
        return process


def _close_late(starting: asyncio.Future[ContainerProcess]) -> None:
    """Close a process that was given up while it was being started."""
    if not starting.cancelled() and starting.exception() is None:
        starting.result().close()


class ContainerProcess:
    """A command in a container, read by a thread, since the engine's connection may be of any kind."""

    def __init__(
        self,
        client: docker.DockerClient,
        blocking: Blocking,
        id: str,
        stream: Any,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._client = client
        self._blocking = blocking
        self._id = id
        self._stream = stream
        self._socket = getattr(stream, "_sock", stream)
        self._loop = loop
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._ended = False
        self.errors = ""
        threading.Thread(target=self._follow, name="a command's output", daemon=True).start()

    @classmethod
    def open(
        cls,
        client: docker.DockerClient,
        blocking: Blocking,
        container: str,
        command: Sequence[str],
        loop: asyncio.AbstractEventLoop,
    ) -> ContainerProcess:
        """Start the command. Blocks; raises DockerException."""
        made = client.api.exec_create(container, [*command], stdin=True, environment=dict([ASKS]))
        return cls(client, blocking, made["Id"], client.api.exec_start(made["Id"], socket=True), loop)

    async def read(self) -> bytes:
        if self._waiting > MOST_WAITING:
            raise WrongAnswer(f"expected an answer of at most {MOST_BYTES:,} bytes, got more")
        if self._ended:
            return b""
        data = await self._output.get()
        self._waiting -= len(data)
        self._ended = not data
        return data

    async def write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as broken:
            raise OperationFailed(f"the command has ended: {broken.strerror or broken}") from broken

    async def status(self) -> int | None:
        for _ in range(LOOKS):  # the engine knows of the end a moment after that of the output
            try:
                shown = await self._blocking(self._client.api.exec_inspect, self._id)
            except (DockerException, RequestException):  # its container is gone
                return None
            if shown["ExitCode"] is not None:
                return int(shown["ExitCode"])
            await asyncio.sleep(BETWEEN_LOOKS_S)
        return None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._stream.close()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            while (header := self._exactly(HEADER_BYTES)) and self._waiting <= MOST_WAITING:
                self._hand_over(header[0], self._exactly(int.from_bytes(header[4:])))
        self._hand_over(STDOUT, b"")

    def _hand_over(self, stream: int, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._took, stream, data)

    def _took(self, stream: int, data: bytes) -> None:
        if stream == STDOUT:
            self._waiting += len(data)
            self._output.put_nowait(data)
        else:
            self.errors = (self.errors + data.decode(errors="replace"))[-MOST_ERRORS:]

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk: bytes = self._socket.recv(size - len(data))
            if not chunk:
                return b""
            data += chunk
        return data
