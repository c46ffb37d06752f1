"""Logging in to databases, and the answers of queries."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from splitbrain.nodes.clients.answers import WrongAnswer
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.postgres import Login, PostgresClient, Result, by_md5, columns_in
from splitbrain.nodes.clients.scram import Scram, ScramError
from splitbrain.nodes.clients.ways.sql import answer_of
from splitbrain.tests.test_ways import served

# RFC 7677, section 3
NONCE = "rOprNGfwEbeRWgbNEkqO"
ASKED = f"r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROVEN = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_scram_says_and_checks_what_its_specification_shows() -> None:
    scram = Scram("user", "pencil", NONCE)
    assert scram.first == f"n,,n=user,r={NONCE}"
    assert scram.final(ASKED).endswith(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(PROVEN)
    with pytest.raises(ScramError, match="does not prove"):
        scram.check("v=AAAA")


@pytest.mark.parametrize(
    "said", ["", "r=x,s=AAAA", f"r={NONCE}1,s=!,i=1", f"r={NONCE}1,s=AAAA,i=99999999", "r=other,s=AAAA,i=1"]
)
def test_a_server_that_speaks_no_scram_is_refused(said: str) -> None:
    with pytest.raises(ScramError):
        Scram("user", "pencil", NONCE).final(said)


def test_a_password_by_md5_is_hashed_with_the_user_and_the_salt() -> None:
    login = Login(user="postgres", password="secret")
    assert by_md5(login, b"\1\2\3\4") == b"md5bb41a296aab6baccb36ff243a562abff\0"


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def asks(kind: int, more: bytes = b"") -> bytes:
    return message(b"R", kind.to_bytes(4) + more)


READY = message(b"Z", b"I")
COLUMNS = message(b"T", b"\0\2" + b"leading\0" + bytes(18) + b"n\0" + bytes(18))
ROW = message(b"D", b"\0\2\0\0\0\1t\xff\xff\xff\xff")


def queried(*answers: bytes, heard: list[bytes] | None = None) -> Result:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            data = await reader.read(65_536)
            (heard if heard is not None else []).append(data)
            writer.write(answer)

    login = Login(user="me", password="secret", database="db")
    return asyncio.run(served(serve, lambda endpoint: PostgresClient(endpoint.ports[8000], login).result("SELECT")))


def test_a_password_in_clear_text_is_sent_where_it_is_asked_for_and_columns_have_names() -> None:
    heard: list[bytes] = []
    result = queried(asks(3), asks(0) + READY, COLUMNS + ROW + READY, heard=heard)
    assert heard[1] == message(b"p", b"secret\0") and b"user\0me\0database\0db\0" in heard[0]
    assert (result.columns, result.rows) == (["leading", "n"], [["t", None]])


@pytest.mark.parametrize(
    "answers",
    [
        (asks(10, b"SCRAM-SHA-256\0\0"), asks(11, b"nonsense")),
        (asks(10, b"SCRAM-SHA-256\0\0"), asks(3)),
        (asks(5, b"abcd"), message(b"E", b"SFATAL\0Mno\0\0")),
        (asks(7),),
    ],
)
def test_a_login_that_fails_is_refused(answers: tuple[bytes, ...]) -> None:
    with pytest.raises(OperationFailed):
        queried(*answers)


def test_columns_without_their_end_are_no_result() -> None:
    with pytest.raises(OutcomeUnknown):
        columns_in(b"\0\5abc")


def test_an_answer_has_the_columns_of_its_first_row_and_all_rows() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": Decimal("1.5")}, {"a": 2, "b": None}]
    assert json.loads(answer_of(rows).body) == {
        "a": 1,
        "b": "1.5",
        "rows": [{"a": 1, "b": "1.5"}, {"a": 2, "b": None}],
    }
    assert json.loads(answer_of([]).body) == {"rows": []}
    with pytest.raises(WrongAnswer, match="at most"):
        answer_of([{"a": "x" * 2**20}])
