"""Interpretation of PostgreSQL's answers, given as literal bytes and rows."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

import pytest

from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.postgres import (
    Login,
    Message,
    MessageParser,
    PostgresClient,
    PostgresRow,
    error_in,
    query,
    row_in,
    startup,
)
from splitbrain.nodes.systems.etcd.client import value_in
from splitbrain.nodes.systems.patroni.client import claim

AT = {"172.18.0.2": "n1", "172.18.0.3": "n2"}
TRUSTED = b"R\0\0\0\x08\0\0\0\0"
READY = b"Z\0\0\0\x05I"
ROW = b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff"
WHOLE_ROW = b"D\0\0\0\x10" + ROW
DUPLICATE = b"SERROR\0C23505\0Mduplicate key\0\0"
SHUT_DOWN = b"SFATAL\0C57P01\0Mterminating connection\0\0"
TOO_EARLY = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"


def _error(fields: bytes) -> bytes:
    return b"E" + (4 + len(fields)).to_bytes(4) + fields


def test_a_primary_leads_in_its_timeline_and_its_reign_is_its_start() -> None:
    assert claim("n1", [("3", "1700000000000000", None)], AT) == {
        "leading": True,
        "leader": "n1",
        "term": 3,
        "reign": "1700000000000000-3",
    }


def test_a_replica_names_its_leader_and_does_not_lead() -> None:
    assert claim("n1", [(None, "17", "172.18.0.3")], AT) == {
        "leading": False,
        "leader": "n2",
        "term": None,
        "reign": None,
    }


@pytest.mark.parametrize("sender", [None, "172.18.0.9"])
def test_a_replica_of_an_unknown_primary_names_no_leader(sender: str | None) -> None:
    assert claim("n1", [(None, "17", sender)], AT)["leader"] is None


@pytest.mark.parametrize("rows", [[], [("3", "17")], [("three", "17", None)], [("3", "17", None)] * 2])
def test_an_invalid_answer_to_a_claim_is_unclear(rows: Sequence[PostgresRow]) -> None:
    with pytest.raises(OutcomeUnknown):
        claim("n1", rows, AT)


def test_the_greeting_and_a_query_are_the_bytes_of_protocol_3_0() -> None:
    assert startup(Login()) == b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0"
    assert query("SELECT 1") == b"Q\0\0\0\x0dSELECT 1\0"


def test_messages_are_parsed_for_any_split_of_their_bytes() -> None:
    said = TRUSTED + WHOLE_ROW + READY
    whole = MessageParser().feed(said)
    assert whole == [Message(b"R", bytes(4)), Message(b"D", ROW), Message(b"Z", b"I")]
    slowly = MessageParser()
    assert [message for byte in said for message in slowly.feed(bytes([byte]))] == whole


def test_a_length_below_the_size_of_the_length_field_is_no_message() -> None:
    with pytest.raises(OutcomeUnknown):
        MessageParser().feed(b"D\0\0\0\x03ab")


def test_a_null_is_not_an_empty_text() -> None:
    assert row_in(b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0") == ["ab", None, ""]


def test_the_fields_of_an_error_are_read_by_their_codes() -> None:
    assert error_in(DUPLICATE) == {"S": "ERROR", "C": "23505", "M": "duplicate key"}


def test_a_key_has_its_value_and_an_absent_one_none() -> None:
    assert value_in({"kvs": [{"key": "a2V5", "value": base64.b64encode(b"n2").decode()}]}) == "n2"
    assert value_in({"header": {}}) is None


@pytest.mark.parametrize("answer", [[], {"kvs": [{"key": "a2V5"}]}, {"kvs": [{"value": "not base64!"}]}])
def test_an_invalid_range_of_keys_is_unclear(answer: object) -> None:
    with pytest.raises(OutcomeUnknown):
        value_in(answer)


async def _asked(answers: Sequence[bytes]) -> list[object]:
    """The replies to a query, one for each answer that the server gives in turn on every connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(65_536)
            writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = PostgresClient(server.sockets[0].getsockname()[1])
    given: list[object] = []
    try:
        for _ in answers[1:] or [b""]:
            try:
                given.append(await client.ask("SELECT"))
            except (OperationFailed, OutcomeUnknown) as failed:
                given.append((type(failed), str(failed)))
    finally:
        client.close()
        server.close()
    return given


def _ask(*answers: bytes) -> list[object]:
    return asyncio.run(_asked(answers))


def test_a_connection_goes_on_after_an_error_of_a_statement() -> None:
    assert _ask(TRUSTED + READY, _error(DUPLICATE) + READY, WHOLE_ROW + READY) == [
        (OperationFailed, "23505 duplicate key"),
        [["ab", None]],
    ]


def test_a_server_that_ends_within_a_statement_may_have_done_it() -> None:
    assert _ask(TRUSTED + READY, _error(SHUT_DOWN)) == [(OutcomeUnknown, "57P01 terminating connection")]
    assert _ask(TRUSTED + READY, WHOLE_ROW) == [(OutcomeUnknown, "incomplete answer: the connection was closed")]


def test_a_connection_refused_before_the_query_has_sent_nothing() -> None:
    assert _ask(_error(TOO_EARLY)) == [(OperationFailed, "the database system is starting up")]
    assert _ask(b"R\0\0\0\x08\0\0\0\x07") == [
        (OperationFailed, "expected trust or a password, got a demand for authentication 7")
    ]
    assert _ask(b"") == [(OperationFailed, "incomplete answer: the connection was closed")]
