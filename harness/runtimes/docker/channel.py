"""The line to one host's agent: requests go in on its standard input, answers come back as they are ready.

The engine multiplexes an exec's output into frames (stream, three zero bytes, length, payload). A thread reads
them, because the engine's socket may be TLS or a named pipe, which an event loop cannot wait on everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
from typing import Any

import docker

from splitbrain.errors import EnvironmentFailure

AGENT = ["python3", "-u", "-m", "splitbrain.runtimes.docker.agent"]
AGENT_HOME = "/opt/splitbrain"
ANSWER_SECONDS = 15.0


class AgentChannel:
    """One running agent. ``ask`` may be called from the event loop only."""

    def __init__(self, host: str, stream: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._stream = stream
        self._socket = getattr(stream, "_sock", stream)
        self._loop = loop
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._stderr: list[bytes] = []
        self._gone: str | None = None
        self._reader = threading.Thread(target=self._read, name=f"agent of {host}", daemon=True)
        self._reader.start()

    @classmethod
    def open(
        cls, client: docker.DockerClient, container: str, host: str, loop: asyncio.AbstractEventLoop
    ) -> AgentChannel:
        """Start the agent in ``container``. Blocking; raises DockerException."""
        command = client.api.exec_create(container, AGENT, stdin=True, stdout=True, stderr=True, workdir=AGENT_HOME)
        stream = client.api.exec_start(command["Id"], socket=True)
        return cls(host, stream, loop)

    async def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request and its answer; raises EnvironmentFailure when the agent is gone or could not do it."""
        if self._gone is not None:
            raise EnvironmentFailure(f"the agent on host {self._host} is gone: {self._gone}")
        request = next(self._ids)
        answer = self._waiting[request] = self._loop.create_future()
        try:
            self._socket.sendall(json.dumps({"id": request, "do": do, **arguments}).encode() + b"\n")
            reply = await asyncio.wait_for(answer, ANSWER_SECONDS)
        except OSError as failure:
            raise EnvironmentFailure(f"the agent on host {self._host} cannot be reached: {failure}") from failure
        except TimeoutError as late:
            raise EnvironmentFailure(
                f"the agent on host {self._host} did not answer {do!r} in {ANSWER_SECONDS:.0f} s"
            ) from late
        finally:
            self._waiting.pop(request, None)
        if "error" in reply:
            raise EnvironmentFailure(f"host {self._host} could not {do}: {reply['error']}")
        return dict(reply["ok"])

    def close(self) -> None:
        """End the agent, whose input closes; blocking, at most a moment."""
        with contextlib.suppress(OSError):  # already gone is as good as closed
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeout=1.0)
        with contextlib.suppress(OSError):
            self._stream.close()

    def _read(self) -> None:
        reason = "its output ended"
        pending = b""
        try:
            while header := self._exactly(8):
                payload = self._exactly(int.from_bytes(header[4:], "big"))
                if header[0] == 2:
                    self._stderr.append(payload)
                    continue
                *lines, pending = (pending + payload).split(b"\n")
                for line in lines:
                    self._loop.call_soon_threadsafe(self._answered, json.loads(line))
        except (OSError, ValueError, RuntimeError) as failure:
            reason = str(failure) or type(failure).__name__
        if self._stderr:
            reason = b"".join(self._stderr).decode(errors="replace").strip().splitlines()[-1]
        self._gone = reason
        try:
            self._loop.call_soon_threadsafe(self._lost)
        except RuntimeError:
            return  # the loop has ended, and with it everyone who could wait

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk: bytes = self._socket.recv(size - len(data))
            if not chunk:
                return b""
            data += chunk
        return data

    def _answered(self, reply: dict[str, Any]) -> None:
        waiting = self._waiting.get(reply["id"])
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lost(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(EnvironmentFailure(f"the agent on host {self._host} is gone: {self._gone}"))
