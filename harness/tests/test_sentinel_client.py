"""Interpretation of the answers of Redis servers and Sentinels, valid and invalid."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.resp import RespClient
from splitbrain.nodes.resp import ErrorReply, Reply
from splitbrain.nodes.systems.sentinel.client import claim, clocks, fields, node_at, opinion

AT = {"10.0.0.11": "n1", "10.0.0.12": "n2"}
MASTER_INFO = "# Server\r\nrun_id:0123456789ab\r\n# Replication\r\nrole:master\r\nmaster_replid:ffeeddccbbaa\r\n"
REPLICA_INFO = "run_id:0123456789ab\r\nrole:slave\r\nmaster_host:10.0.0.12\r\nmaster_replid:abcdefabcdef\r\n"


def test_a_master_claims_to_lead_and_its_reign_is_its_run_and_its_history() -> None:
    found = claim("n1", fields(MASTER_INFO), AT)
    assert found == {"leading": True, "leader": "n1", "term": None, "reign": "01234567/ffeeddcc"}


def test_a_replica_follows_its_configured_master() -> None:
    found = claim("n1", fields(REPLICA_INFO), AT)
    assert found == {"leading": False, "leader": "n2", "term": None, "reign": None}


def test_an_incomplete_info_is_unclear_and_an_error_is_a_refusal() -> None:
    with pytest.raises(OutcomeUnknown, match="role"):
        claim("n1", fields("run_id:1\r\n"), AT)
    with pytest.raises(OperationFailed, match="LOADING"):
        fields(ErrorReply("LOADING Redis is loading the dataset in memory"))


def test_the_wall_clock_is_given_in_nanoseconds() -> None:
    assert clocks(fields("server_time_usec:1700000000000001\r\n")) == {"wall": 1_700_000_000_000_001_000}


def record(epoch: str) -> Reply:
    return ["name", "mymaster", "ip", "10.0.0.11", "config-epoch", epoch]


def test_an_opinion_is_an_address_with_its_epoch() -> None:
    told: list[Reply] = [["10.0.0.12", "6379"], record("3"), ["10.0.0.12", "6379"], record("3")]
    assert opinion(told, AT) == {"leader": "n2", "epoch": 3}


@pytest.mark.parametrize(
    "again", [[["10.0.0.11", "6379"], record("3")], [["10.0.0.12", "6379"], record("4")]], ids=["address", "epoch"]
)
def test_an_opinion_that_changes_while_it_is_read_is_discarded(again: list[Reply]) -> None:
    with pytest.raises(OutcomeUnknown, match="changed"):
        opinion([["10.0.0.12", "6379"], record("3"), *again], AT)


def test_an_address_of_no_node_is_refused() -> None:
    with pytest.raises(OperationFailed, match=r"10\.9\.9\.9"):
        node_at(["10.9.9.9", "6379"], AT)
    with pytest.raises(OperationFailed, match="None"):
        node_at(None, AT)


def answering(replies: Callable[[bytes], bytes | None], asked: Callable[[RespClient], Awaitable[Any]]) -> Any:
    """The result of ``asked`` with a server that answers each write with ``replies``, closing on None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            reply = replies(data)
            if reply is None:
                break
            writer.write(reply)
        writer.close()

    async def main() -> Any:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = RespClient(server.sockets[0].getsockname()[1])
        try:
            return await asked(client)
        finally:
            client.close()
            server.close()

    return asyncio.run(main())


def nonce(data: bytes) -> bytes:
    word = data.split(b"\r\n")[4]
    return b"$%d\r\n%b\r\n" % (len(word), word)


def test_an_answer_that_echoes_the_nonce_is_taken() -> None:
    assert answering(lambda data: nonce(data) + b":5\r\n", lambda client: client.ask(("WAIT", 1, 0))) == [5]


def test_an_answer_to_an_older_question_is_not_taken() -> None:
    with pytest.raises(OutcomeUnknown, match="another request"):
        answering(lambda data: b"$12\r\nsplitbrain-0\r\n:5\r\n", lambda client: client.ask(("WAIT", 1, 0)))


def test_a_connection_that_closes_leaves_the_answer_unclear() -> None:
    with pytest.raises(OutcomeUnknown, match="closed"):
        answering(lambda data: None, lambda client: client.ask())


def test_a_closed_port_is_a_refusal() -> None:
    async def nobody() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await RespClient(port).ask()

    with pytest.raises(OperationFailed, match="no connection"):
        asyncio.run(nobody())


def test_a_connection_whose_answer_timed_out_is_never_used_again() -> None:
    seen: list[bytes] = []

    def late(data: bytes) -> bytes:
        seen.append(data)
        return b"" if len(seen) == 1 else nonce(data)

    async def twice(client: RespClient) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.ask()
        return await client.ask()

    assert answering(late, twice) == []
