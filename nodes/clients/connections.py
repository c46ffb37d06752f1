"""A pool of connections, each with one request at a time, reused as long as every answer arrives complete.

Answers arrive in the order of the requests, so a connection on which an answer is overdue is closed and never reused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from splitbrain.nodes.clients.base import OperationFailed

READ_BYTES = 65_536
GREETING_S = 0.1
CLOSED = "incomplete answer: the connection was closed"


class Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)
A = TypeVar("A")


class ConnectionPool(Generic[C]):
    """Connections of one kind, opened by ``connect`` when none is idle. Requests may run concurrently."""

    def __init__(self, connect: Callable[[], Awaitable[C]]) -> None:
        self._connect = connect
        self._idle: list[C] = []

    async def ask(self, request: Callable[[C], Awaitable[A]]) -> A:
        """The result of ``request`` on a connection that no other request uses; closed for good if it raises."""
        connection = self._idle.pop() if self._idle else await self._connect()
        try:
            answer = await request(connection)
        except BaseException:  # a cancelled request too: its answer may still arrive
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


async def open_connection(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to that port of 127.0.0.1. Raises OperationFailed on failure, since no request has been sent yet."""
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except OSError as failure:
        raise OperationFailed(f"no connection: {failure.strerror or failure}") from failure


async def accepts(port: int) -> None:
    """Return if something accepts connections behind that port of 127.0.0.1. Raises OperationFailed.

    A port that an engine publishes is always open: where nothing listens behind it, a connection is closed at once.
    """
    reader, writer = await open_connection(port)
    try:
        async with asyncio.timeout(GREETING_S):
            closed = not await reader.read(1)
    except TimeoutError:
        closed = False  # most servers wait for the client to speak
    except OSError:
        closed = True
    finally:
        writer.close()
    if closed:
        raise OperationFailed("no connection: it was closed at once")
