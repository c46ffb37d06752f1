"""A minimal PostgreSQL client: protocol 3.0, simple queries, one query at a time on each connection.

Source: PostgreSQL 15 documentation, chapter 55, "Frontend/Backend Protocol". Only servers with trust authentication are
supported (``AuthenticationOk`` at once). No library is used, because libraries cancel an abandoned query over a second
connection, which a paused server never answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, ConnectionPool, open_connection

USER = "postgres"
PROTOCOL = 196_608  # 3.0
HEADER_BYTES = 5

PostgresRow = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the server: a letter for its kind, and its content."""

    kind: bytes
    body: bytes


class MessageParser:
    """Parses messages from a byte stream, incrementally."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages completed by these bytes, in order."""
        self._bytes += data
        found: list[Message] = []
        while len(self._bytes) >= HEADER_BYTES:
            end = 1 + int.from_bytes(self._bytes[1:HEADER_BYTES])
            if end < HEADER_BYTES:
                raise OutcomeUnknown(f"expected a PostgreSQL message, got {self._bytes[:40]!r}")
            if len(self._bytes) < end:
                break
            found.append(Message(self._bytes[:1], self._bytes[HEADER_BYTES:end]))
            self._bytes = self._bytes[end:]
        return found


def startup() -> bytes:
    """The startup message."""
    parameters = f"user\0{USER}\0database\0{USER}\0\0".encode()
    return _sized(PROTOCOL.to_bytes(4) + parameters)


def query(sql: str) -> bytes:
    return b"Q" + _sized(sql.encode() + b"\0")


def _sized(data: bytes) -> bytes:
    return (len(data) + 4).to_bytes(4) + data


def row_in(body: bytes) -> PostgresRow:
    """The values of a row as text, None for null."""
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
    """An error's fields by their letter: S severity, C code, M message."""
    fields = (field.decode(errors="replace") for field in body.split(b"\0") if field)
    return {field[:1]: field[1:] for field in fields}


def _waits_after(message: Message) -> bool:
    """True if the client speaks next: the server is ready for a query, or asks for a password."""
    return message.kind == b"Z" or (message.kind == b"R" and int.from_bytes(message.body[:4]) != 0)


class PostgresClient:
    """Client for the server at one port of 127.0.0.1. Queries may run concurrently."""

    def __init__(self, port: int) -> None:
        self._connections = ConnectionPool(lambda: _PostgresConnection.open(port))

    async def ask(self, sql: str) -> Sequence[PostgresRow]:
        """The rows of one statement, which runs as one transaction.

        Raises OperationFailed if the server reports that it was rolled back, OutcomeUnknown if that is unknown.
        """
        rows, error = await self._connections.ask(lambda connection: connection.ask(sql))
        if error is not None:
            raise OperationFailed(error)
        return rows

    def close(self) -> None:
        self._connections.close()


class _PostgresConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages = MessageParser()

    @classmethod
    async def open(cls, port: int) -> _PostgresConnection:
        """Connect until the server is ready. Raises OperationFailed if it refuses, since no query was sent yet."""
        connection = cls(*await open_connection(port))
        try:
            await connection._start()
        except BaseException:
            connection.close()
            raise
        return connection

    async def _start(self) -> None:
        try:
            for message in await self._exchange(startup()):
                match message.kind:
                    case b"E":
                        raise OperationFailed(error_in(message.body).get("M", "connection refused"))
                    case b"R" if int.from_bytes(message.body[:4]) != 0:
                        raise OperationFailed("expected trust authentication")
        except OutcomeUnknown as unclear:
            raise OperationFailed(str(unclear)) from unclear

    async def ask(self, sql: str) -> tuple[Sequence[PostgresRow], str | None]:
        """The rows, and the message of an error after which the connection can be used again."""
        rows: list[PostgresRow] = []
        error = None
        for message in await self._exchange(query(sql)):
            match message.kind:
                case b"D":
                    rows.append(row_in(message.body))
                case b"E":
                    fields = error_in(message.body)
                    error = f"{fields.get('C')} {fields.get('M')}"
                    if fields.get("S") != "ERROR":  # it ends the connection, perhaps after the statement was committed
                        raise OutcomeUnknown(error)
        return rows, error

    async def _exchange(self, data: bytes) -> Sequence[Message]:
        """Send bytes; the server's messages up to the one after which it waits for the client, or its last."""
        messages: list[Message] = []
        try:
            self._writer.write(data)
            while not messages or not _waits_after(messages[-1]):
                received = await self._reader.read(READ_BYTES)
                if not received:
                    if any(message.kind == b"E" for message in messages):
                        break
                    raise OutcomeUnknown(CLOSED)
                messages += self._messages.feed(received)
        except OSError as broken:
            raise OutcomeUnknown(CLOSED) from broken
        return messages

    def close(self) -> None:
        self._writer.transport.abort()
