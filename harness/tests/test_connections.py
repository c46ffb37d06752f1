"""Connections to servers that are only known to accept some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from splitbrain.nodes.clients.base import OperationFailed
from splitbrain.nodes.clients.connections import accepts


def accepted(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> None:
    """Ask whether a server that treats connections like this accepts them."""

    async def ask() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            await accepts(server.sockets[0].getsockname()[1])
        finally:
            server.close()

    asyncio.run(ask())


def test_a_server_that_waits_for_the_client_accepts_connections() -> None:
    accepted(lambda reader, writer: None)


def test_a_server_that_greets_the_client_accepts_connections() -> None:
    accepted(lambda reader, writer: writer.write(b"220 ready"))


def test_a_port_with_nothing_behind_it_closes_connections_at_once() -> None:
    with pytest.raises(OperationFailed, match="closed at once"):
        accepted(lambda reader, writer: writer.close())


def test_a_port_that_is_not_open_refuses_connections() -> None:
    with pytest.raises(OperationFailed, match="no connection"):
        asyncio.run(accepts(1))
