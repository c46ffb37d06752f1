"""Commands in the containers of nodes, and their logs, for clients (``splitbrain.nodes.clients.insides``).

A command's environment marks it, so that the agent on its host does not take it for a process of the node
(``agent.processes``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import docker
from docker.errors import APIError, DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException

from splitbrain.errors import EnvironmentFailure
from splitbrain.nodes.clients.answers import MOST_BYTES, WrongAnswer
from splitbrain.nodes.clients.base import OperationFailed
from splitbrain.runtimes.docker.agent.messages import ListProcesses
from splitbrain.runtimes.docker.agent.processes import ASKS
from splitbrain.runtimes.docker.channel import AgentChannel
from splitbrain.runtimes.docker.containers import Blocking
from splitbrain.runtimes.docker.exec_streams import STDOUT, ExecStream
from splitbrain.runtimes.docker.hosts import HostContainer

NOT_RUNNING: Final = "it does not run"
MOST_ERRORS: Final = 500
LOOKS: Final = 5
BETWEEN_LOOKS_S: Final = 0.02
MOST_WAITING: Final = 2 * MOST_BYTES
BEFORE_START_S: Final = 0.001  # of a float that stands for an instant in ns


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class ContainerInsides:
    """The containers of the nodes of one run, with the ``agents`` of their hosts."""

    def __init__(
        self,
        client: docker.DockerClient,
        hosts: Mapping[str, HostContainer],
        agents: Mapping[str, AgentChannel],
        blocking: Blocking,
    ) -> None:
        self._client = client
        self._hosts = hosts
        self._agents = agents
        self._blocking = blocking

    async def start(self, machine: str, command: Sequence[str]) -> ContainerProcess:
        container = str(self._hosts[machine].node.id)
        with reached():
            return await _kept_or_closed(self._opened(container, command))

    async def log(self, machine: str) -> ContainerLog:
        container, loop = self._hosts[machine].node, asyncio.get_running_loop()
        with reached():
            await self._blocking(container.reload)
            state = container.attrs["State"]
            if not state["Running"]:
                raise OperationFailed(f"no connection into the container: {NOT_RUNNING}")
            since = datetime.fromisoformat(state["StartedAt"]).timestamp() - BEFORE_START_S
            return await _kept_or_closed(self._blocking(ContainerLog.open, container, since, loop))

    async def stands_still(self, machine: str) -> bool:
        container = self._hosts[machine].node
        with reached():
            listed, _ = await asyncio.gather(
                self._agents[machine].ask(ListProcesses()), self._blocking(container.reload)
            )
        if not listed.processes:
            raise OperationFailed(f"no connection into the container: {NOT_RUNNING}")
        return bool(container.attrs["State"]["Paused"]) or all(each.stopped for each in listed.processes)

    async def _opened(self, container: str, command: Sequence[str]) -> ContainerProcess:
        loop = asyncio.get_running_loop()
        process: ContainerProcess = await self._blocking(
            ContainerProcess.open, self._client, self._blocking, container, command, loop
        )
        return process


@contextlib.contextmanager
def reached() -> Iterator[None]:
    """Turn errors of the engine and of an agent into OperationFailed: they are no answer of the node.

    The words begin like those of a connection that is refused, since faults explain either.
    """
    try:
        yield
    except APIError as failure:
        words = str(failure.explanation or failure)
        states = {"is paused": "it is paused", "is not running": NOT_RUNNING}
        why = next((state for said, state in states.items() if said in words), words)
        raise OperationFailed(f"no connection into the container: {why}") from failure
    except (DockerException, RequestException, EnvironmentFailure) as failure:
        raise OperationFailed(f"no connection into the container: {failure}") from failure


async def _kept_or_closed(opening: Awaitable[C]) -> C:
    """What is opened; closed as soon as it is open if it is no longer wanted."""
    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(lambda done: None if done.cancelled() or done.exception() else done.result().close())
        raise


class ContainerLog:
    """The log of a container from an instant on, read by a thread until it is closed or the software ends."""

    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        threading.Thread(target=self._follow, name="a node's log", daemon=True).start()

    @classmethod
    def open(cls, container: Container, since: float, loop: asyncio.AbstractEventLoop) -> ContainerLog:
        """Blocks; raises DockerException."""
        return cls(container.logs(stream=True, follow=True, since=since), loop)

    async def read(self) -> bytes:
        return await self._output.get()

    def close(self) -> None:
        with contextlib.suppress(OSError, AttributeError, DockerException):  # it has ended already
            self._stream.close()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, RequestException, DockerException):  # closed
            for data in self._stream:
                if data:
                    self._hand_over(data)
        self._hand_over(b"")

    def _hand_over(self, data: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._output.put_nowait, data)


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
        self._stream = ExecStream(stream)
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
            self._stream.send(data)
        except OSError as broken:
            raise OperationFailed(f"no connection: the command has ended: {broken.strerror or broken}") from broken

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
        self._stream.shut()
        self._stream.close()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            for stream, data in self._stream.frames():
                if self._waiting > MOST_WAITING:
                    break
                self._hand_over(stream, data)
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
