"""A minimal PostgreSQL client: protocol 3.0, simple queries, one query at a time on each connection.

Source: PostgreSQL 15 documentation, chapter 55, "Frontend/Backend Protocol". A server may trust, or ask for a password
in clear text, by MD5 or by SCRAM-SHA-256. No library is used, because libraries cancel an abandoned query over a second
connection, which a paused server never answers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from splitbrain.nodes.clients.answers import MOST_BYTES
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.connections import CLOSED, READ_BYTES, ConnectionPool, open_connection
from splitbrain.nodes.clients.scram import MECHANISM, Scram, ScramError

PROTOCOL = 196_608  # 3.0
HEADER_BYTES = 5
COLUMN_BYTES = 19  # of a column's description after its name, with the zero that ends that

PostgresRow = Sequence[str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """The user, the password where the server asks for one, and the database."""

    user: str = "postgres"
    password: str = ""
    database: str = "postgres"


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
            if not HEADER_BYTES <= end <= MOST_BYTES:
                raise OutcomeUnknown(f"expected a PostgreSQL message, got {self._bytes[:40]!r}")
            if len(self._bytes) < end:
                break
            found.append(Message(self._bytes[:1], self._bytes[HEADER_BYTES:end]))
            self._bytes = self._bytes[end:]
        return found


def startup(login: Login) -> bytes:
    """The startup message."""
    parameters = f"user\0{login.user}\0database\0{login.database}\0\0".encode()
    return _sized(PROTOCOL.to_bytes(4) + parameters)


def password(words: bytes) -> bytes:
    """The answer to a server that asks for a password, of whatever kind."""
    return b"p" + _sized(words)


def by_md5(login: Login, salt: bytes) -> bytes:
    """The answer to a server that asks for a password by MD5."""
    inner = hashlib.md5((login.password + login.user).encode()).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode() + b"\0"


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


def columns_in(body: bytes) -> Sequence[str]:
    """The names of the columns of the rows that follow."""
    names: list[str] = []
    at = 2
    for _ in range(int.from_bytes(body[:2])):
        end = body.find(b"\0", at)
        if end < 0:
            raise OutcomeUnknown("expected the columns of a PostgreSQL result")
        names.append(body[at:end].decode(errors="replace"))
        at = end + COLUMN_BYTES
    return names


def error_in(body: bytes) -> Mapping[str, str]:
    """An error's fields by their letter: S severity, C code, M message."""
    fields = (field.decode(errors="replace") for field in body.split(b"\0") if field)
    return {field[:1]: field[1:] for field in fields}


AUTHENTICATED, CLEAR_TEXT, MD5, SASL, SASL_CONTINUES, SASL_FINAL = 0, 3, 5, 10, 11, 12


def _asked_of(message: Message) -> int:
    """What a server asks of a client that logs in, by its number; ``AUTHENTICATED`` for every other message."""
    return int.from_bytes(message.body[:4]) if message.kind == b"R" else AUTHENTICATED


def _waits_after(message: Message) -> bool:
    """True if the client speaks next: the server is ready for a query, or asks for a password."""
    return message.kind == b"Z" or _asked_of(message) not in (AUTHENTICATED, SASL_FINAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The rows that a statement gave, and the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[PostgresRow]


LOGIN: Final = Login()


class PostgresClient:
    """Client for the server at one port of 127.0.0.1. Queries may run concurrently."""

    def __init__(self, port: int, login: Login = LOGIN) -> None:
        self._connections = ConnectionPool(lambda: _PostgresConnection.open(port, login))

    async def ask(self, sql: str) -> Sequence[PostgresRow]:
        """The rows of one statement, which runs as one transaction.

        Raises OperationFailed if the server reports that it was rolled back, OutcomeUnknown if that is unknown.
        """
        return (await self.result(sql)).rows

    async def result(self, sql: str) -> Result:
        """As ``ask``, with the names of the columns."""
        result, error = await self._connections.ask(lambda connection: connection.ask(sql))
        if error is not None:
            raise OperationFailed(error)
        return result

    def close(self) -> None:
        self._connections.close()


class _PostgresConnection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._messages = MessageParser()

    @classmethod
    async def open(cls, port: int, login: Login) -> _PostgresConnection:
        """Connect until the server is ready. Raises OperationFailed if it refuses, since no query was sent yet."""
        connection = cls(*await open_connection(port))
        try:
            await connection._start(login)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _start(self, login: Login) -> None:
        try:
            last = await self._answered(startup(login))
            asked = _asked_of(last)
            if asked == CLEAR_TEXT:
                await self._answered(password(login.password.encode() + b"\0"))
            elif asked == MD5:
                await self._answered(password(by_md5(login, last.body[4:8])))
            elif asked == SASL:
                await self._prove(login)
            elif asked != AUTHENTICATED:
                raise OperationFailed(f"expected trust or a password, got a demand for authentication {asked}")
        except OutcomeUnknown as unclear:
            raise OperationFailed(str(unclear)) from unclear

    async def _prove(self, login: Login) -> None:
        """Log in by SCRAM; the user is known from the startup message."""
        scram = Scram("", login.password)
        first = scram.first.encode()
        begin = MECHANISM.encode() + b"\0" + len(first).to_bytes(4) + first
        try:
            asked = await self._answered(password(begin))
            if _asked_of(asked) != SASL_CONTINUES:
                raise ScramError("expected a salt")
            messages = await self._exchange(password(scram.final(_words(asked)).encode()))
            self._check(messages)
            scram.check(next((_words(each) for each in messages if _asked_of(each) == SASL_FINAL), ""))
        except ScramError as wrong:
            raise OperationFailed(str(wrong)) from wrong

    async def _answered(self, data: bytes) -> Message:
        """The message after which the server waits. Raises OperationFailed if it refuses."""
        messages = await self._exchange(data)
        self._check(messages)
        return messages[-1]

    @staticmethod
    def _check(messages: Sequence[Message]) -> None:
        for message in messages:
            if message.kind == b"E":
                raise OperationFailed(error_in(message.body).get("M", "connection refused"))

    async def ask(self, sql: str) -> tuple[Result, str | None]:
        """The result, and the message of an error after which the connection can be used again."""
        columns: Sequence[str] = ()
        rows: list[PostgresRow] = []
        error = None
        for message in await self._exchange(query(sql)):
            match message.kind:
                case b"T":
                    columns = columns_in(message.body)
                case b"D":
                    rows.append(row_in(message.body))
                case b"E":
                    fields = error_in(message.body)
                    error = f"{fields.get('C')} {fields.get('M')}"
                    if fields.get("S") != "ERROR":  # it ends the connection, perhaps after the statement was committed
                        raise OutcomeUnknown(error)
        return Result(columns=columns, rows=rows), error

    async def _exchange(self, data: bytes) -> Sequence[Message]:
        """Send bytes; the server's messages up to the one after which it waits for the client, or its last."""
        messages: list[Message] = []
        came = 0
        try:
            self._writer.write(data)
            while not messages or not _waits_after(messages[-1]):
                received = await self._reader.read(READ_BYTES)
                if not received:
                    if any(message.kind == b"E" for message in messages):
                        break
                    raise OutcomeUnknown(CLOSED)
                came += len(received)
                if came > MOST_BYTES:
                    raise OutcomeUnknown(f"expected an answer of at most {MOST_BYTES:,} bytes, got more")
                messages += self._messages.feed(received)
        except OSError as broken:
            raise OutcomeUnknown(CLOSED) from broken
        return messages

    def close(self) -> None:
        self._writer.transport.abort()


def _words(message: Message) -> str:
    """What a server says in an exchange of SCRAM."""
    return message.body[4:].decode(errors="replace")
