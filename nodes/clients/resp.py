"""Connections to something that speaks RESP: every question begins with a ``PING`` that carries a nonce, which must
come back first.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from splitbrain.nodes.clients.base import Refused, Unclear
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, Connections, opened
from splitbrain.nodes.resp import Command, ErrorReply, Garbled, Replies, Reply, encode


class RespClient:
    """Asks what listens at one port of 127.0.0.1; questions may be asked at the same time."""

    def __init__(self, port: int) -> None:
        self._connections = Connections(port, _Connection.to)
        self._nonces = itertools.count(1)

    async def ask(self, *commands: Command) -> Sequence[Reply]:
        """The replies to the commands, sent in one write. Raises Refused or Unclear; error replies are replies."""
        nonce = f"splitbrain-{next(self._nonces)}"
        echo, *replies = await self._connections.ask(lambda connection: connection.ask(("PING", nonce), *commands))
        if isinstance(echo, ErrorReply):
            raise Refused(echo)
        if echo != nonce:
            raise Unclear("an answer to another question")
        return replies

    def close(self) -> None:
        self._connections.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> _Connection:
        return cls(*await opened(port))

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
