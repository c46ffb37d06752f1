"""Connections on which one question is asked at a time, kept for the next one while every answer comes whole.

Replies come in the order of the questions, so a connection on which an answer is overdue is closed and never used
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from splitbrain.nodes.clients.base import Refused

READ_BYTES = 65_536
CLOSED = "no whole answer: the connection was closed"


class Closing(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closing)
A = TypeVar("A")


class Connections(Generic[C]):
    """Those to one port of 127.0.0.1, made by ``made`` when none is idle; questions may be asked at the same time."""

    def __init__(self, port: int, made: Callable[[int], Awaitable[C]]) -> None:
        self._port = port
        self._made = made
        self._idle: list[C] = []

    async def ask(self, question: Callable[[C], Awaitable[A]]) -> A:
        """What ``question`` gets on a connection of its own, which is closed for good if it raises."""
        connection = self._idle.pop() if self._idle else await self._made(self._port)
        try:
            answer = await question(connection)
        except BaseException:  # also when the question is given up: its answer may still come
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to that port of 127.0.0.1. Raises Refused when there is none: nothing has been asked yet."""
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except OSError as refused:
        raise Refused(f"no connection: {refused.strerror or refused}") from refused
