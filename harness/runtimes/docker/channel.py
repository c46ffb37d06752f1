"""The line to the agent of one host: requests go to its standard input, replies come back as they are ready.

A thread reads them (``exec_streams``).
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any, TypeVar

import docker

from splitbrain.errors import EnvironmentFailure
from splitbrain.runtimes.docker.agent.codec import Malformed, decode, decode_line, encode
from splitbrain.runtimes.docker.agent.messages import ReplyFrame, Request, RequestFrame
from splitbrain.runtimes.docker.exec_streams import STDERR, ExecStream

AGENT = ["python3", "-u", "-m", "splitbrain.runtimes.docker.agent"]
AGENT_HOME = "/opt/splitbrain"
REPLY_SECONDS = 30.0  # an agent on a machine with twenty times the work that it can do starts within these

R = TypeVar("R")


class AgentChannel:
    """The line to one running agent. Call ``ask`` from the event loop only."""

    def __init__(self, host: str, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._stream = ExecStream(stream)
        self._loop = loop
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[ReplyFrame]] = {}
        self._stderr: list[bytes] = []
        self._gone: str | None = None
        self._reader = threading.Thread(target=self._read, name=f"agent of {host}", daemon=True)
        self._reader.start()

    @classmethod
    def open(
        cls, client: docker.DockerClient, container: str, host: str, loop: asyncio.AbstractEventLoop
    ) -> AgentChannel:
        """Start the agent in ``container``. Blocks; raises DockerException."""
        command = client.api.exec_create(container, AGENT, stdin=True, stdout=True, stderr=True, workdir=AGENT_HOME)
        stream = client.api.exec_start(command["Id"], socket=True)
        return cls(host, stream, loop)

    async def ask(self, request: Request[R]) -> R:
        """Send a request and await its reply. Raises EnvironmentFailure if the agent has ended or reports an error."""
        frame = await self._reply_to(request)
        if frame.error is not None:
            raise EnvironmentFailure(f"host {self._host}: {type(request).__name__} failed: {frame.error}")
        try:
            return decode(request.reply_type(), frame.reply)
        except Malformed as wrong:
            raise EnvironmentFailure(f"host {self._host}: reply to {type(request).__name__}: {wrong}") from wrong

    async def _reply_to(self, request: Request[Any]) -> ReplyFrame:
        if self._gone is not None:
            raise EnvironmentFailure(f"the agent on host {self._host} has ended: {self._gone}")
        number = next(self._ids)
        reply = self._waiting[number] = self._loop.create_future()
        try:
            self._stream.send(encode(RequestFrame.of(number, request)))
            return await asyncio.wait_for(reply, REPLY_SECONDS)
        except TimeoutError as late:  # an OSError too
            name = type(request).__name__
            raise EnvironmentFailure(
                f"host {self._host}: expected a reply to {name} within {REPLY_SECONDS:.0f} s, got none"
            ) from late
        except OSError as failure:
            raise EnvironmentFailure(f"the agent on host {self._host} cannot be reached: {failure}") from failure
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """End the agent by closing its input. Blocks for at most a second."""
        self._stream.shut()
        self._reader.join(timeout=1.0)
        self._stream.close()

    def _read(self) -> None:
        reason = "its output ended"
        pending = b""
        try:
            for stream, payload in self._stream.frames():
                if stream == STDERR:
                    self._stderr.append(payload)
                    continue
                *lines, pending = (pending + payload).split(b"\n")
                for line in lines:
                    self._loop.call_soon_threadsafe(self._answered, _answer_in(line))
        except (OSError, ValueError, RuntimeError) as failure:
            reason = str(failure) or type(failure).__name__
        if self._stderr:
            reason = b"".join(self._stderr).decode(errors="replace").strip().splitlines()[-1]
        self._gone = reason
        try:
            self._loop.call_soon_threadsafe(self._lost)
        except RuntimeError:
            return  # the loop has ended, and every waiting task with it

    def _answered(self, reply: ReplyFrame) -> None:
        waiting = None if reply.id is None else self._waiting.get(reply.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lost(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EnvironmentFailure(f"the agent on host {self._host} has ended: {self._gone}"))


def _answer_in(line: bytes) -> ReplyFrame:
    """Decode a reply. Raises ValueError if it is malformed, or says that a request was."""
    frame = decode_line(ReplyFrame, line)
    if frame.id is None:
        raise ValueError(f"it could not read a request: {frame.error}")
    return frame
