"""Formats of answers: what each makes of a body, and that every body is read or refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nodes.clients.answers import WrongAnswer
from splitbrain.nodes.clients.formats import FORMATS, read
from splitbrain.nodes.systems.probes import Format

METRICS = b"""\
# HELP raft_term The term.
# TYPE raft_term gauge
raft_term 7
raft_index 1.5e+06
raft_lag 0.25
raft_state{state="leader"} 1
raft_state{state="a } b"} 0 1395066363000
raft_nan NaN
"""


@pytest.mark.parametrize(
    ("format", "body", "value"),
    [
        ("json", b'{"a": [1]}', {"a": [1]}),
        ("text", "Führer\n".encode(), {"text": "Führer\n"}),
        ("status", b"\xff", None),
        ("lines", b"", {"text": "", "lines": []}),
    ],
)
def test_a_body_becomes_the_value_of_its_format(format: Format, body: bytes, value: Any) -> None:
    assert read(format, body) == value


def test_lines_have_keys_however_these_are_parted_from_their_values() -> None:
    value = read(
        "lines", b"role:master\r\nrole:slave\nMode: leader\nzk_state\tleader\na = b=c\nwsrep  Primary x\nalone\n"
    )
    pairs = {"role": "master", "Mode": "leader", "zk_state": "leader", "a": "b=c", "wsrep": "Primary x"}
    assert {key: value[key] for key in pairs} == pairs and value["lines"][6] == "alone"
    assert set(value) == {*pairs, "text", "lines"}


def test_metrics_are_numbers_by_name_and_by_name_with_labels() -> None:
    value = read("prometheus", METRICS)
    assert (value["raft_term"], value["raft_index"], value["raft_lag"]) == (7, 1_500_000, 0.25)
    assert type(value["raft_index"]) is int and value["raft_nan"] != value["raft_nan"]
    assert value['raft_state{state="leader"}'] == 1 and value['raft_state{state="a } b"}'] == 0
    assert "raft_state" not in value  # which of the two it would be is not known


@pytest.mark.parametrize(
    ("format", "body", "words"),
    [
        ("json", b"<html>", "got a page"),
        ("text", b"\xff", "expected text in UTF-8"),
        ("lines", b"\xff", "expected text in UTF-8"),
        ("prometheus", b"hello", "expected a metric"),
        ("prometheus", b"a bcd", "expected a number in a metric, got 'bcd'"),
    ],
)
def test_a_body_of_another_format_is_refused(format: Format, body: bytes, words: str) -> None:
    with pytest.raises(WrongAnswer, match=words):
        read(format, body)


def test_every_format_has_its_reader() -> None:
    assert tuple(FORMATS) == get_args(Format)


@given(st.sampled_from([*FORMATS]), st.binary(max_size=60) | st.text('ab{}=" \t\n#:.1e-', max_size=60).map(str.encode))
def test_every_body_is_read_or_refused(format: Format, body: bytes) -> None:
    try:
        read(format, body)
    except WrongAnswer as refused:
        assert "expected" in str(refused)
