"""Datagrams: what is encoded is decoded, and whatever else comes is refused without harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nodes.wire import MAX_BYTES, WireError, decode, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(sender=st.text(max_size=20), message=json_values)
def test_what_is_encoded_is_decoded(sender: str, message: object) -> None:
    assert decode(encode(sender, message)) == (sender, message)


@given(st.binary(max_size=MAX_BYTES + 10))
def test_whatever_bytes_come_nothing_but_a_wire_error_is_raised(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@given(sender=st.text(max_size=5), message=json_values, cut=st.integers(min_value=1, max_value=10))
def test_half_a_datagram_is_refused(sender: str, message: object, cut: int) -> None:
    with pytest.raises(WireError):
        decode(encode(sender, message)[:-cut])


@pytest.mark.parametrize(
    "value",
    [
        {"v": 2, "from": "n1", "m": {}},
        {"v": 1, "from": 1, "m": {}},
        {"v": 1, "m": {}},
        {"v": 1, "from": "n1"},
        {"from": "n1", "m": {}},
        ["n1", {}],
        None,
    ],
)
def test_json_that_is_no_datagram_of_this_version_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="expected"):
        decode(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"[" * 1300, b'{"v":1,"from":"n1","m":' + b"9" * 1300 + b"e}", b"\xff\xfe{}"])
def test_nesting_numbers_and_texts_beyond_the_parser_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


def test_a_message_too_large_for_one_datagram_is_refused_at_both_ends() -> None:
    with pytest.raises(WireError, match="at most 1400 bytes"):
        encode("n1", "x" * MAX_BYTES)
    with pytest.raises(WireError, match="at most 1400 bytes"):
        decode(b" " * (MAX_BYTES + 1))


def test_a_datagram_is_compact() -> None:
    assert encode("n1", {"kind": "vote", "term": 7}) == b'{"v":1,"from":"n1","m":{"kind":"vote","term":7}}'
