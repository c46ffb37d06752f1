"""A query to MySQL or MariaDB by PyMySQL, which blocks, on threads of its own.

The extra ``splitbrain[mysql]`` installs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pymysql
import pymysql.cursors

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.connections import ConnectionPool
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.clients.ways.sql import answer_of
from splitbrain.nodes.systems.probes import Sql, filled

WAIT_S: Final = 2  # longer than any caller waits; a thread is given up no later
OPEN_S: Final = 15  # a server may look for the client's name first, in vain
WORKERS: Final = 4
NO_CONNECTION: Final = (2002, 2003, 2005)
LOST: Final = (2006, 2013, 2014, 2055)  # the connection broke after the query had left

T = TypeVar("T")


class MysqlAsker:
    """Asks over kept connections. One on which an answer is overdue is closed."""

    cost_ns = 0

    def __init__(self, way: Sql, target: Target) -> None:
        self._query = filled(way.query, target.own)
        self._threads = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="mysql")
        self._options = {
            "user": filled(way.user, target.own),
            "password": filled(way.password, target.own),
            "database": filled(way.database, target.own) or None,
            "port": target.port(way.port),
        }
        self._connections: ConnectionPool[_Connection] = ConnectionPool(self._open)
        self._opening: asyncio.Future[_Connection] | None = None

    async def ask(self) -> Answer:
        return await self._connections.ask(lambda connection: self._on_thread(connection.ask, self._query))

    async def close(self) -> None:
        self._connections.close()
        if self._opening is not None:
            self._opening.add_done_callback(_close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _open(self) -> _Connection:
        """A new connection. One that is given up while it is being opened is for the next question."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._on_thread(_Connection, self._options))
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        finally:
            if opening.done() and self._opening is opening:
                self._opening = None

    async def _on_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except pymysql.err.MySQLError as failure:
            code = failure.args[0] if failure.args else None
            if code in LOST:
                raise OutcomeUnknown(f"incomplete answer: {_words(failure)}") from failure
            raise OperationFailed(("no connection: " if code in NO_CONNECTION else "") + _words(failure)) from failure


def _close(opening: asyncio.Future[_Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _Connection:
    """One connection; blocks.

    A result is read whole, unless the question is given up first: PyMySQL's cursors that read by and by hang after an
    error.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        connection: Any = pymysql.connect(
            host="127.0.0.1",
            autocommit=True,
            connect_timeout=WAIT_S,
            read_timeout=OPEN_S,
            write_timeout=WAIT_S,
            cursorclass=pymysql.cursors.DictCursor,
            **options,
        )
        connection._read_timeout = WAIT_S
        self._connection = connection

    def ask(self, query: str) -> Answer:
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            rows = cursor.fetchall()
        return answer_of([{name: _value(value) for name, value in row.items()} for row in rows])

    def close(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it is closed already; a thread that reads it goes on
            self._connection._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(pymysql.err.MySQLError):
            self._connection._force_close()


def _value(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _words(failure: pymysql.err.MySQLError) -> str:
    return " ".join(str(part) for part in failure.args) or type(failure).__name__
