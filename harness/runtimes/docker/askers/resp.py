"""Connections to something that speaks RESP, one question at a time on each.

Replies come in the order of the commands, so a connection on which an answer is overdue is closed and never used
again; besides, every question begins with a ``PING`` that carries a nonce, which must come back first.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from harness.runtimes.docker.askers.base import Refused, Unclear
from nodes.resp import Command, ErrorReply, Garbled, Replies, Reply, encode

READ_BYTES = 65_536
CLOSED = "no whole answer: the connection was closed"


class RespClient:
    """Asks what listens at one port of 127.0.0.1; questions may be asked at the same time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self._nonces = itertools.count(1)

    async def ask(self, *commands: Command) -> Sequence[Reply]:
        """The replies to the commands, sent in one write. Raises Refused or Unclear; error replies are replies."""
        nonce = f"splitbrain-{next(self._nonces)}"
        connection = self._idle.pop() if self._idle else await _Connection.to(self._port)
        try:
            echo, *replies = await connection.ask(("PING", nonce), *commands)
        except BaseException:  # also when the question is given up: its answer may still come
            connection.close()
            raise
        self._idle.append(connection)
        if isinstance(echo, ErrorReply):
            raise Refused(echo)
        if echo != nonce:
            raise Unclear("an answer to another question")
        return replies

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> _Connection:
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port))
        except OSError as refused:
            raise Refused(f"no connection: {refused.strerror or refused}") from refused

    async def ask(self, *commands: Command) -> list[Reply]:
        parser = Replies()
        replies: list[Reply] = []
        try:
            self._writer.write(encode(*commands))
            while len(replies) < len(commands):
                data = await self._reader.read(READ_BYTES)
                if not data:
                    raise Unclear(CLOSED)
                replies += parser.feed(data)
        except OSError as broken:
            raise Unclear(CLOSED) from broken
        except Garbled as wrong:
            raise Unclear(f"no RESP: {wrong}") from wrong
        if len(replies) > len(commands):
            raise Unclear("more answers than questions")
        return replies

    def close(self) -> None:
        self._writer.close()
