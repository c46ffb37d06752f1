"""Expressions on answers: what each means, what is refused with its place, and that no text or answer breaks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from splitbrain.nodes.clients.answers import WrongAnswer
from splitbrain.nodes.clients.expressions import Asked, Expression, ExpressionError, at

OWN = {"name": "n1", "address": "10.0.0.1", "index": "1"}
RAFT = {"state": "Leader", "term": 7, "lease": 1.5, "peers": [{"id": "n2"}, {"id": "n3"}], "ready": True, "none": None}
ANSWER: dict[str, Any] = {
    "raft": RAFT,
    "raft.state": "follower",
    "leader": "8e9e05c52164694d",
    "header": {"member_id": "8E9E05C52164694D"},
    "url": "http://10.0.0.1:80",
    "members": ["n1", "n2", 3, None, {"id": "n4"}],
    "status": "leader",
    "in": "sync",
    "count": "12",
    "text": "Zookeeper version: 3.8\nMode: leader\nterm=12",
}


def asked(status: int | None = 200) -> Asked:
    return Asked(value=ANSWER, status=status, own=OWN)


@pytest.mark.parametrize(
    "text",
    [
        "raft.state == leader",
        "raft.state == 'LEADER'",
        "raft.state != follower",
        "raft.ready",
        "raft.ready == true",
        "not raft.ready == false",
        "raft.term == 7",
        "raft.term == 7.0",
        'raft.term == "7"',
        "raft.term >= 7 and raft.term < 8",
        "raft.lease > 1",
        "count >= 12",
        "raft.peers.0.id == n2",
        "raft.peers[1].id == n3",
        ".raft.state == leader",
        '"raft.state" == follower',
        'raft."state" == leader',
        '"in" == sync',
        "leader == .header.member_id",
        "leader != .raft.state",
        "url == http://{address}:80",
        'url == "http://{address}:80"',
        "{name} in members",
        "n{index} == .members[0]",
        "raft.state in [primary, leader]",
        "raft.term in [6, 7]",
        "raft.none == null",
        "raft.missing == null",
        "raft.state != null",
        "status == 200",
        "status in [200, 204]",
        "status < 300",
        "status == leader",
        '"status" == leader',
        "text ~ /Mode: lead/",
        "text ~ /^Mode: leader$/",
        "text ~ /TERM/ or text ~ /(?i)TERM/",
        r"url ~ /^http:\/\/10/",
        "raft.term ~ /7/",
        "not (raft.term == 8 or raft.state == follower)",
        "raft.term == 8 and raft.missing or raft.ready",
        "header.member_id == 8e9e05c52164694d and not raft.term > 9",
    ],
)
def test_a_test_that_holds(text: str) -> None:
    assert Expression(text).holds(asked())


@pytest.mark.parametrize(
    "text",
    [
        "raft.state == follower",
        "raft.missing == leader",
        "raft.missing in [leader]",
        "raft.missing ~ /leader/",
        "raft.missing == .raft.other",
        "raft.none == leader",
        "none in members",
        "n4 in members",
        "status == 503",
        "status == 7",
        "raft.lease == 1",
        "raft.term == 07.5",
    ],
)
def test_a_test_that_does_not_hold(text: str) -> None:
    if text == "n4 in members":
        text = "{name}4 in members"
    assert not Expression(text).holds(asked())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raft.state", "raft.state: expected true or false, got the text 'Leader'"),
        ("raft.term", "expected true or false, got 7"),
        ("raft == leader", "raft: expected a text, a number, true or false, got an object"),
        ("raft.missing != leader", "raft.missing: expected a value, got nothing"),
        ("raft.missing < 3", "raft.missing: expected a value, got nothing"),
        ("not raft.missing == leader", "raft.missing: expected a value, got nothing"),
        ("not (raft.ready and raft.missing ~ /x/)", "expected a value, got nothing"),
        ("raft.state > 3", "raft.state: expected a number, got 'Leader'"),
        ("{name} in raft.state", "raft.state: expected a list, got 'Leader'"),
        ("raft.peers ~ /x/", "expected a text, a number"),
    ],
)
def test_an_answer_that_does_not_decide_is_refused(text: str, words: str) -> None:
    with pytest.raises(WrongAnswer) as refused:
        Expression(text).holds(asked())
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("raft.term", 7),
        ("raft.peers[1].id", "n3"),
        ("raft.peers[9].id", None),
        (r"text ~ /term=(\d+)/", "12"),
        ("text ~ /Mode: \\w+/", "Mode: leader"),
        ("text ~ /none/", None),
        ("{name}", "n1"),
        ("raft.ready == true", True),
    ],
)
def test_a_value_is_found_at_its_path_or_by_its_group(text: str, value: object) -> None:
    assert Expression(text).value(asked()) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at character 1: expected a path, got the end"),
        ("state = leader", "at character 7: expected an operator or the end, got '= leader'"),
        ("state ==", "at character 9: expected a value, got the end"),
        ("state == a)", "at character 11: expected an operator or the end, got ')'"),
        ("(state == a", "at character 12: expected an operator or ), got the end"),
        ("state == 'a", "at character 10: expected a value"),
        ("a..b == c", "at character 2: expected an operator or the end, got '..b == c'"),
        ("a[x]", "at character 2: expected an operator or the end"),
        ("in == b", "at character 1: expected a path; a key of that name is written in quotes"),
        ("a and", "at character 6: expected a path, got the end"),
        ("a in b c", "at character 8: expected an operator or the end"),
        ("a in [b", "at character 8: expected , or ], got the end"),
        ("a ~ b", "at character 5: expected a regular expression such as /leader/"),
        ("a ~ /(b/", "at character 6: in the regular expression: expected ) for this ("),
        ("a == {nome}", "at character 6: unknown placeholder {nome}: expected {name}, {address}, {index}"),
        ("a < null", "expected a number, got null"),
        ("(" * 21 + "a" + ")" * 21, "at most 20 of not and ( within one another"),
        ("not " * 21 + "a", "at most 20 of not and ( within one another"),
        ("a" * 2_001, "expected at most 2,000 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        Expression(text)
    assert words in str(refused.value)


def test_a_status_is_a_key_where_answers_have_none() -> None:
    assert Expression("status == 200").statuses == {200}
    assert Expression("status in [200, 503] or status == 429").statuses == {200, 429, 503}
    assert Expression("status == 200", range(0)).statuses == frozenset()
    assert not Expression("status == 200").paths


def test_a_path_leads_into_objects_and_lists_only() -> None:
    assert at({"a": [{"b": 1}]}, ("a", "0", "b")) == 1 and at({"a": []}, ("a", "0", "b")) is None
    assert at("text", ("0",)) is None and at([1], ("-1",)) is None


WORDS = st.sampled_from(
    [
        *("a", "a.b", '"a"', "'a b'", "[0]", "null", "7", "-1.5", "status", "/a.b/", "/(/", "{name}", "{"),
        *("==", "!=", "<", ">=", "in", "~", "and", "or", "not", "(", ")", "[", "]", ",", "."),
        *(" ", "\n", "\x00", "é", "\\"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "status"]), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=30), JSON)
@example("a ~ /(a|aa)+b/", {"a": "a" * 1_000})
def test_whatever_is_written_and_answered_the_outcome_is_a_truth_or_a_refusal(text: str, value: Any) -> None:
    try:
        expression = Expression(text)
    except ExpressionError as refused:
        assert "at character" in str(refused)
        return
    try:
        assert type(expression.holds(Asked(value=value, own=OWN))) is bool
    except WrongAnswer as refused:
        assert "expected" in str(refused)
