"""The protocol of Redis: replies are whole whatever way their bytes come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nodes.resp import ErrorReply, Reply, ReplyParser, RespError, encode

WIRE = b"+OK\r\n-READONLY no writes\r\n:7\r\n$5\r\na\r\nbc\r\n$-1\r\n*3\r\n:1\r\n*1\r\n$0\r\n\r\n+x\r\n*-1\r\n"
MEANS: list[Reply] = ["OK", "READONLY no writes", 7, "a\r\nbc", None, [1, [""], "x"], None]


def test_commands_are_arrays_of_words() -> None:
    assert encode(("SET", "k", 12), ("PING",)) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n*1\r\n$4\r\nPING\r\n"


@given(st.lists(st.integers(0, len(WIRE)), max_size=6))
def test_replies_come_out_whole_however_the_bytes_were_cut_up(cuts: list[int]) -> None:
    parser, found, at = ReplyParser(), list[Reply](), 0
    for cut in [*sorted(cuts), len(WIRE)]:
        found += parser.feed(WIRE[at:cut])
        at = cut
    assert found == MEANS


def test_a_refusal_is_told_from_a_word() -> None:
    word, refusal = ReplyParser().feed(b"+OK\r\n-ERR no\r\n")
    assert isinstance(refusal, ErrorReply) and not isinstance(word, ErrorReply)


def test_a_reply_comes_out_with_its_last_byte_and_not_before() -> None:
    parser = ReplyParser()
    assert parser.feed(b"*2\r\n$3\r\nabc\r\n:1\r") == []
    assert parser.feed(b"\n") == [["abc", 1]]


@pytest.mark.parametrize("wire", [b"HTTP/1.1 400 Bad Request\r\n", b":seven\r\n", b"$x\r\n"])
def test_what_is_no_reply_is_said_to_be_none(wire: bytes) -> None:
    with pytest.raises(RespError):
        ReplyParser().feed(wire)
