"""Connections to PostgreSQL, in its own words: protocol 3.0, simple queries, one question at a time on each.

Source: PostgreSQL 15's documentation, chapter 55, "Frontend/Backend Protocol". Only a server that trusts whoever asks
is asked (``AuthenticationOk`` at once). Small enough to be without a library: those cancel a question that is given up
over a second connection, which a paused server never answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splitbrain.nodes.clients.base import Refused, Unclear
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, Connections, opened

USER = "postgres"
PROTOCOL = 196_608  # 3.0
HEADER_BYTES = 5

Row = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the server: a letter for its kind, and what it holds."""

    kind: bytes
    body: bytes


class Messages:
    """Takes bytes as they come, gives messages as they are whole."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole with these bytes, in order."""
        self._bytes += data
        found: list[Message] = []
        while len(self._bytes) >= HEADER_BYTES:
            end = 1 + int.from_bytes(self._bytes[1:HEADER_BYTES])
            if end < HEADER_BYTES:
                raise Unclear(f"no message of PostgreSQL: {self._bytes[:40]!r}")
            if len(self._bytes) < end:
                break
            found.append(Message(self._bytes[:1], self._bytes[HEADER_BYTES:end]))
            self._bytes = self._bytes[end:]
        return found


def greeting() -> bytes:
    """What a client says first."""
    words = f"user\0{USER}\0database\0{USER}\0\0".encode()
    return _sized(PROTOCOL.to_bytes(4) + words)


def query(sql: str) -> bytes:
    return b"Q" + _sized(sql.encode() + b"\0")


def _sized(data: bytes) -> bytes:
    return (len(data) + 4).to_bytes(4) + data


def row_in(body: bytes) -> Row:
    """The values of a row, as text, None for null."""
    row: list[str | None] = []
    at = 2
    for _ in range(int.from_bytes(body[:2])):
        length = int.from_bytes(body[at : at + 4], signed=True)
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(body[at : at + length].decode(errors="replace"))
            at += length
    return row


def error_in(body: bytes) -> Mapping[str, str]:
    """An error's fields by their letter: S how bad it is, in words, C its code, M the message."""
    fields = (field.decode(errors="replace") for field in body.split(b"\0") if field)
    return {field[:1]: field[1:] for field in fields}


def _waits_after(message: Message) -> bool:
    """Whether the client is to speak next: the server is ready, or asks for a password."""
    return message.kind == b"Z" or (message.kind == b"R" and int.from_bytes(message.body[:4]) != 0)


class PostgresClient:
    """Asks what listens at one port of 127.0.0.1; questions may be asked at the same time."""

    def __init__(self, port: int) -> None:
        self._connections = Connections(port, _Connection.to)

    async def ask(self, sql: str) -> Sequence[Row]:
        """The rows of one statement, which is a transaction of its own.

        Raises Refused when the server says that it was undone, Unclear when nobody knows.
        """
        rows, error = await self._connections.ask(lambda connection: connection.ask(sql))
        if error is not None:
            raise Refused(error)
        return rows

    def close(self) -> None:
        self._connections.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages = Messages()

    @classmethod
    async def to(cls, port: int) -> _Connection:
        """One that is ready for questions. Raises Refused when it is turned away: nothing has been asked yet."""
        connection = cls(*await opened(port))
        try:
            await connection._greet()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _greet(self) -> None:
        try:
            for message in await self._said(greeting()):
                match message.kind:
                    case b"E":
                        raise Refused(error_in(message.body).get("M", "turned away"))
                    case b"R" if int.from_bytes(message.body[:4]) != 0:
                        raise Refused("it does not trust whoever asks")
        except Unclear as unclear:
            raise Refused(str(unclear)) from unclear

    async def ask(self, sql: str) -> tuple[Sequence[Row], str | None]:
        """The rows, and the message of an error after which the connection can be used again."""
        rows: list[Row] = []
        error = None
        for message in await self._said(query(sql)):
            match message.kind:
                case b"D":
                    rows.append(row_in(message.body))
                case b"E":
                    told = error_in(message.body)
                    error = f"{told.get('C')} {told.get('M')}"
                    if told.get("S") != "ERROR":  # the end of the connection, perhaps after the statement's
                        raise Unclear(error)
        return rows, error

    async def _said(self, words: bytes) -> Sequence[Message]:
        """The server's messages up to the one after which it waits for the client, or its last."""
        said: list[Message] = []
        try:
            self._writer.write(words)
            while not said or not _waits_after(said[-1]):
                data = await self._reader.read(READ_BYTES)
                if not data:
                    if any(message.kind == b"E" for message in said):
                        break
                    raise Unclear(CLOSED)
                said += self._messages.feed(data)
        except OSError as broken:
            raise Unclear(CLOSED) from broken
        return said

    def close(self) -> None:
        self._writer.transport.abort()
