"""Messages between controller and agents: encoding, decoding, and an answer to every line."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.runtimes.docker.agent import __main__ as agent_main
from splitbrain.runtimes.docker.agent import messages, processes
from splitbrain.runtimes.docker.agent.codec import Malformed, decode, decode_line, encode
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.impairments import Impairments, QueueSettings
from splitbrain.runtimes.docker.agent.messages import (
    REQUESTS,
    Matched,
    PauseMatching,
    ReplyFrame,
    Request,
    RequestFrame,
    SetLinks,
)

MESSAGES = [each for each in vars(messages).values() if isinstance(each, type) and is_dataclass(each)]
VALUES = sorted(
    {each for each in MESSAGES if each not in (messages.RequestHandler, RequestFrame, ReplyFrame)} | {QueueSettings},
    key=lambda each: each.__name__,
)


@functools.cache
def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field with that annotation."""
    arguments = get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: values_of(hints[field.name]) for field in fields(kind)})
    if get_origin(kind) is UnionType:
        return st.one_of([values_of(each) for each in arguments])
    if get_origin(kind) is Mapping:
        return st.dictionaries(st.text(), values_of(arguments[1]), max_size=3)
    if get_origin(kind) is tuple and arguments[1:] == (...,):
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*map(values_of, arguments))
    return st.floats(allow_nan=False) if kind is float else st.from_type(kind)


@pytest.mark.parametrize("kind", VALUES)
@settings(max_examples=25)
@given(data=st.data())
def test_every_message_is_decoded_as_it_was_encoded(kind: type, data: st.DataObject) -> None:
    message = data.draw(values_of(kind))
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_line(kind, line) == message


@given(request=st.sampled_from(list(REQUESTS.values())).flatmap(lambda kind: values_of(kind)), number=st.integers())
def test_a_request_keeps_its_class_and_its_number(request: Request[Any], number: int) -> None:
    frame = decode_line(RequestFrame, encode(RequestFrame.of(number, request)))
    assert (frame.id, frame.opened()) == (number, request)


def test_every_reply_is_a_message() -> None:
    assert {kind.reply_type() for kind in REQUESTS.values()} <= set(VALUES)


def test_whole_numbers_are_floats_too_and_nothing_else_is_converted() -> None:
    settings = decode(SetLinks, {"cut": {}, "ports": [], "loss": {"10.0.0.2": 1}, "impaired": {}})
    assert type(settings.loss["10.0.0.2"]) is float


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"not json", "message: expected a line of JSON, got b'not json'"),
        (b"\xff", "message: expected a line of JSON, got b'\\xff'"),
        (b"[]", "message: expected an object with the fields id, request, fields, got []"),
        (b'{"id": true, "request": "PauseNode", "fields": {}}', "id: expected int, got True"),
        (b'{"id": 7, "request": "Dance", "fields": {}}', "request: expected the name of a request, got 'Dance'"),
        (
            b'{"id": 7, "request": "PauseNode", "fields": {"a": 1}}',
            "PauseNode: expected an object with the fields none",
        ),
        (b'{"id": 7, "request": "GrowMemory", "fields": {}}', "GrowMemory: expected an object with the fields size"),
        (b'{"id": 7, "request": "GrowMemory", "fields": {"size": 1.5}}', "GrowMemory.size: expected int, got 1.5"),
        (b'{"id": 7, "request": "ResumeNode", "fields": {"but": "a"}}', "ResumeNode.but: expected a list, got 'a'"),
        (b'{"id": 7, "request": "ResumeNode", "fields": {"but": ["a", 3]}}', "ResumeNode.but.1: expected str, got 3"),
        (
            b'{"id": 7, "request": "SetLinks", "fields": '
            b'{"cut": {"10.0.0.2": "burn"}, "ports": [], "loss": {}, "impaired": {}}}',
            "SetLinks.cut.10.0.0.2: expected 'drop' or 'reject' or 'payload', got 'burn'",
        ),
        (
            b'{"id": 7, "request": "SetLinks", "fields": '
            b'{"cut": {}, "ports": [], "loss": {"10.0.0.2": "1"}, "impaired": {}}}',
            "SetLinks.loss.10.0.0.2: expected float, got '1'",
        ),
        (
            b'{"id": 7, "request": "KillNode", "fields": {"disk": {"folder": "/d"}, "sockets": false}}',
            "KillNode.disk: expected an object with the fields folder, left, pattern",
        ),
    ],
)
def test_an_agent_answers_a_malformed_line_with_what_it_expected_and_where(
    agent: agent_main.Agent, replies: io.BytesIO, line: bytes, error: str
) -> None:
    agent.accept(line)
    reply = decode_line(ReplyFrame, replies.getvalue())
    assert reply.error is not None and reply.error.startswith(error)
    assert (reply.id, reply.reply) == (7 if b'"id": 7' in line else None, None)


@pytest.mark.parametrize("pairs", [[[1]], [[1, 2, 3]], [[1, 2.5]], [[1, True]], [7], [{"a": 1}]])
def test_a_pair_of_integers_is_exactly_that(pairs: object) -> None:
    with pytest.raises(Malformed, match="expected a list of 2 int"):
        decode(messages.ProbesReceived, {"received": {"10.0.0.2": pairs}, "dropped": {}, "ports": [], "impaired": []})


def test_pairs_of_floats_may_be_whole_numbers() -> None:
    fields = json.loads(encode(Impairments())) | {"bursts": [[0, 1], [0.25, 0.5]]}
    assert decode(Impairments, fields).bursts == ((0.0, 1.0), (0.25, 0.5))


@pytest.fixture
def replies() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch, replies: io.BytesIO) -> agent_main.Agent:
    """An agent without a socket for probes, which finds no process of a node."""
    monkeypatch.setattr(agent_main, "Probes", SimpleNamespace)
    monkeypatch.setattr(processes, "node_processes", list)
    return agent_main.Agent(replies)


def answer_to(agent: agent_main.Agent, replies: io.BytesIO, request: Request[Any]) -> ReplyFrame:
    agent.accept(encode(RequestFrame.of(7, request)))
    agent.close()
    return decode_line(ReplyFrame, replies.getvalue())


def test_the_agent_has_one_handler_for_every_request(agent: agent_main.Agent) -> None:
    assert sorted(agent.handlers, key=str) == sorted(REQUESTS.values(), key=str)
    assert len(list(agent._handlers())) == len(REQUESTS)


def test_an_agent_carries_out_a_request(agent: agent_main.Agent, replies: io.BytesIO) -> None:
    answer = answer_to(agent, replies, PauseMatching(pattern="raft*"))
    assert (answer.id, answer.error) == (7, None)
    assert decode(Matched, answer.reply) == Matched(pids=(), others=0, first=False)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (RequestFailed("it has no process"), "it has no process"),
        (OSError("no such device"), "no such device"),
        (KeyError("pid"), "KeyError: 'pid'"),
    ],
)
def test_a_request_that_fails_is_answered_with_its_error(
    agent: agent_main.Agent,
    replies: io.BytesIO,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    error: str,
) -> None:
    def fails(pattern: str) -> Matched:
        raise failure

    monkeypatch.setattr(processes, "pause_matching", fails)
    assert answer_to(agent, replies, PauseMatching(pattern="raft*")) == ReplyFrame(7, None, error)
