"""Client for servers that speak RESP. Every request begins with a ``PING`` with a nonce, which must be echoed first."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from splitbrain.nodes.clients.answers import MOST_BYTES
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, ConnectionPool, open_connection
from splitbrain.nodes.resp import Command, ErrorReply, Reply, ReplyParser, RespError, encode


class RespClient:
    """Client for the server at one port of 127.0.0.1. Requests may run concurrently. New connections begin with the
    command ``login``, if there is one."""

    def __init__(self, port: int, login: Command | None = None) -> None:
        self._connections = ConnectionPool(lambda: _RespConnection.open(port, login))
        self._nonces = itertools.count(1)

    async def ask(self, *commands: Command) -> Sequence[Reply]:
        """The replies to the commands, sent in one write; error replies are returned.

        Raises OperationFailed or OutcomeUnknown.
        """
        nonce = f"splitbrain-{next(self._nonces)}"
        echo, *replies = await self._connections.ask(lambda connection: connection.ask(("PING", nonce), *commands))
        if isinstance(echo, ErrorReply):
            raise OperationFailed(echo)
        if echo != nonce:
            raise OutcomeUnknown("an answer to another request")
        return replies

    def close(self) -> None:
        self._connections.close()


class _RespConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, login: Command | None) -> _RespConnection:
        connection = cls(*await open_connection(port))
        if login is not None:
            (reply,) = await connection.ask(login)
            if isinstance(reply, ErrorReply):
                connection.close()
                raise OperationFailed(reply)
        return connection

    async def ask(self, *commands: Command) -> list[Reply]:
        parser = ReplyParser()
        replies: list[Reply] = []
        came = 0
        try:
            self._writer.write(encode(*commands))
            while len(replies) < len(commands):
                data = await self._reader.read(READ_BYTES)
                if not data:
                    raise OutcomeUnknown(CLOSED)
                came += len(data)
                if came > MOST_BYTES:
                    raise OutcomeUnknown(f"expected replies of at most {MOST_BYTES:,} bytes, got more")
                replies += parser.feed(data)
        except OSError as broken:
            raise OutcomeUnknown(CLOSED) from broken
        except RespError as wrong:
            raise OutcomeUnknown(f"malformed RESP: {wrong}") from wrong
        if len(replies) > len(commands):
            raise OutcomeUnknown("more replies than commands")
        return replies

    def close(self) -> None:
        self._writer.close()
