"""Answers that are wrong or hostile: each is one failed observation with its reason, in a history that reads back."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.history import History
from splitbrain.core.recorder import Recorder
from splitbrain.nodes.clients import answers
from splitbrain.nodes.clients.answers import MOST_BYTES, MOST_TEXT, MOST_WORDS, Answer, printable
from splitbrain.nodes.clients.base import Endpoint, Fail, Ok, OperationFailed, Reply, Unknown
from splitbrain.nodes.clients.claims import Reader
from splitbrain.nodes.clients.probe import ProbeClient
from splitbrain.nodes.systems.probes import Confirm, Http, Probe
from splitbrain.runtimes.docker.probes import reply_to
from splitbrain.workloads.clients import OperationRecorder

PROBE = Probe(
    way=Http(path="/"),
    leading="leading",
    leader="leader",
    term="term",
    reign="id",
    confirm=Confirm(way=Http(path="/confirm")),
)
READER = Reader(PROBE, {"n1": {"name": "n1", "address": "10.0.0.1", "index": "1"}})
SAID = {"leading": False, "leader": "n1", "term": 3, "id": "a-1"}
CLAIM = {"leading": False, "leader": "n1", "term": 3, "reign": "a-1", "leader_term": None}
DEEP = 100_000

T = TypeVar("T")


class Sink:
    """A history in memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None: ...


def recorded(*replies: Reply) -> History:
    """The history of these replies to observers of n1, written and read back."""
    sink, clock = Sink(), iter(range(10**6))
    recorder = Recorder(sink)
    recorder.start_clock(lambda: next(clock))
    operations = OperationRecorder(recorder, iter(range(10**6)))
    for reply in replies:
        process = operations.new_process()
        operations.invoke(process, "observe", "n1")
        operations.complete(process, "observe", "n1", reply)
    return History.from_lines(sink.lines)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with this body and a length that fits it."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def said(**changes: Any) -> bytes:
    return http(json.dumps({**SAID, **changes}).encode())


def raw(term: str = "3", leading: str = "false", id: str = '"a-1"') -> bytes:
    """An answer whose JSON may be no JSON at all."""
    return http(f'{{"leading": {leading}, "leader": "n1", "term": {term}, "id": {id}}}'.encode())


async def asked(sent: bytes, ask: Callable[[ProbeClient], Awaitable[T]], hang: bool = False) -> T:
    """What ``ask`` gives where n1 answers every request with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        if hang:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = ProbeClient({"n1": Endpoint("10.0.0.1", {8000: server.sockets[0].getsockname()[1]})}, PROBE)
    try:
        return await ask(client)
    finally:
        await client.close()
        server.close()


def observed(sent: bytes, *, hang: bool = False) -> Reply:
    """The reply to an observer; a node that stays silent is given up soon."""
    timeout_ns = 50_000_000 if hang else 30_000_000_000
    return asyncio.run(asked(sent, lambda client: reply_to(answers.observed(client, "n1"), timeout_ns), hang))


class Hostile(NamedTuple):
    """An answer, and a part of the reason why it is refused."""

    sent: bytes
    reason: str
    hang: bool = False


HOSTILE = {
    # terms
    "a negative term": Hostile(said(term=-1), "term: expected an integer from 0 to 2**63 - 1, got -1"),
    "a term of 2**63": Hostile(said(term=2**63), "got 9223372036854775808"),
    "a term of 2**64": Hostile(said(term=2**64), "got 18446744073709551616"),
    "a term of 4,000 digits": Hostile(raw(term="9" * 4000), "got 999999"),
    "a term of 100,000 digits": Hostile(raw(term="9" * DEEP), "expected JSON"),
    "a fraction as a term": Hostile(said(term=1.9), "got 1.9"),
    "a term with a point": Hostile(raw(term="7.0"), "got 7.0"),
    "a term beyond every number": Hostile(raw(term="1e999"), "number out of range"),
    "a term that is no number": Hostile(raw(term="NaN"), "expected JSON"),
    "an endless term": Hostile(raw(term="-Infinity"), "expected JSON"),
    "true as a term": Hostile(said(term=True), "got true"),
    "a text as a term": Hostile(said(term="seven"), "got 'seven'"),
    "a term with spaces": Hostile(said(term=" 7 "), "got ' 7 '"),
    "a term with underscores": Hostile(said(term="1_000"), "got '1_000'"),
    "a term in other digits": Hostile(said(term="٧"), "got '٧'"),
    "a list as a term": Hostile(said(term=[3]), "got a list"),
    "an object as a term": Hostile(said(term={"term": 3}), "got an object"),
    # reigns
    "an object as a reign": Hostile(said(id={"a": 1}), "id: expected a text or a number, got an object"),
    "a reign that is too long": Hostile(said(id="x" * (MOST_TEXT + 1)), "at most 1,000 characters"),
    "a reign of 4,000 digits": Hostile(raw(id="9" * 4000), "at most 1,000 characters"),
    "true as a reign": Hostile(said(id=True), "id: expected a text or a number, got true"),
    # leading
    "true as a text": Hostile(said(leading="true"), "leading: expected true or false, got the text 'true'"),
    "one for true": Hostile(said(leading=1), "leading: expected true or false, got 1"),
    "null for false": Hostile(said(leading=None), "got nothing"),
    "leading is missing": Hostile(http(b"{}"), "leading: expected true or false, got nothing"),
    "a list instead of an object": Hostile(http(b"[true]"), "got nothing"),
    "a text instead of an object": Hostile(http(b'"10.0.0.1:8300"'), "got nothing"),
    # bodies
    "nothing": Hostile(http(b""), "expected JSON, got an empty body"),
    "no body allowed": Hostile(http(b"", status="204 No Content"), "expected JSON, got an empty body"),
    "a page": Hostile(http(b"<html>hello</html>"), "expected JSON, got a page: '<html>hello</html>'"),
    "a page by its type": Hostile(http(b"hello", "Content-Type: text/html"), "expected JSON, got a page: 'hello'"),
    "words": Hostile(http(b"I am the leader"), "expected JSON (invalid character (byte 0)), got 'I am the leader'"),
    "half of an object": Hostile(http(b'{"leading": fal'), "expected JSON"),
    "two objects": Hostile(http(b'{"leading": true}{"leading": false}'), "trailing characters"),
    "brackets without an end": Hostile(http(b"[" * DEEP), "nested too deep"),
    "brackets with their ends": Hostile(http(b"[" * DEEP + b"]" * DEEP), "nested too deep"),
    "braces without an end": Hostile(http(b'{"a":' * DEEP), "nested too deep"),
    "a lone surrogate": Hostile(raw(id='"\\ud800"'), "expected JSON"),
    "a surrogate as a name": Hostile(http(b'{"leading": false, "leader": "\\udfff"}'), "expected JSON"),
    "invalid UTF-8": Hostile(http(b'{"leading": false, "id": "\xff\xfe"}'), "expected JSON (in UTF-8)"),
    "UTF-16": Hostile(http('{"leading": true}'.encode("utf-16")), "expected JSON"),
    "a byte order mark": Hostile(http(b'\xef\xbb\xbf{"leading": true}'), "expected JSON"),
    "zeros": Hostile(http(bytes(1000)), "expected JSON"),
    "more than a mebibyte": Hostile(http(b" " * (MOST_BYTES + 1)), "at most 1,048,576 bytes, got more"),
    # compression
    "a small answer that unpacks to 100 MB": Hostile(
        http(gzip.compress(bytes(100 * 2**20)), "Content-Encoding: gzip"), "when unpacked, got more"
    ),
    "the same by deflate": Hostile(
        http(zlib.compress(bytes(100 * 2**20)), "Content-Encoding: deflate"), "when unpacked, got more"
    ),
    "no gzip in spite of the header": Hostile(http(b"{}", "Content-Encoding: gzip"), "compressed by gzip"),
    "another compression": Hostile(http(b"{}", "Content-Encoding: br"), "not compressed, got 'br'"),
    # statuses
    "unauthorised": Hostile(http(b'{"error":"not_authorised"}', status="401 Unauthorized"), "status 401: '{"),
    "unavailable": Hostile(http(b"", status="503 Service Unavailable"), "status 503"),
    "a redirect to another host": Hostile(http(b"", "Location: http://192.0.2.1/", status="302 Found"), "status 302"),
    "a redirect to itself": Hostile(http(b"", "Location: /", status="307 Temporary Redirect"), "status 307"),
    "a redirect to nowhere": Hostile(http(b"", "Location: http://[::1", status="301 Moved"), "status 301"),
    "a redirect to a file": Hostile(http(b"", "Location: file:///etc/passwd", status="303 See Other"), "status 303"),
    "a status that is none": Hostile(http(b"{}", status="999 ?"), "status 999"),
    "a status of letters": Hostile(http(b"{}", status="abc OK"), "expected HTTP"),
    # HTTP
    "no HTTP": Hostile(b"SSH-2.0-OpenSSH_9.2\r\n", "expected HTTP"),
    "TLS": Hostile(b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n", "expected HTTP"),
    "a closed connection": Hostile(b"", "the connection was closed before an answer"),
    "half of a body": Hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", "incomplete answer"),
    "a negative length": Hostile(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "expected HTTP"),
    "two lengths": Hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", "expected HTTP"),
    "a broken chunk": Hostile(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "expected HTTP"),
    "a line without an end": Hostile(b"HTTP/1.1 200 " + b"x" * DEEP, "expected HTTP"),
    "a header without an end": Hostile(b"HTTP/1.1 200 OK\r\nX: " + b"x" * DEEP, "expected HTTP"),
    "a header with a zero": Hostile(http(b"{}", "X: \0"), "expected HTTP"),
    "another protocol": Hostile(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n{}", "status 101"
    ),
    "silence": Hostile(b"", "no answer in time", hang=True),
    "a head and silence": Hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "no answer in time", hang=True),
}

HARMLESS = {
    "an unknown charset": (http(json.dumps(SAID).encode(), "Content-Type: text/plain; charset=base64"), CLAIM),
    "a charset that is none": (http(json.dumps(SAID).encode(), "Content-Type: application/json; charset=\xe4"), CLAIM),
    "a hostile cookie": (http(json.dumps(SAID).encode(), "Set-Cookie: a=b; Domain=\x7f; \xe4="), CLAIM),
    "gzip": (http(gzip.compress(json.dumps(SAID).encode()), "Content-Encoding: gzip"), CLAIM),
    "the greatest term": (said(term=2**63 - 1), {**CLAIM, "term": 2**63 - 1}),
    "a term of digits": (said(term="7"), {**CLAIM, "term": 7}),
    "a number as a reign": (said(id=12), {**CLAIM, "reign": "12"}),
    "a leader that is no node": (said(leader="10.9.9.9:80"), {**CLAIM, "leader": None}),
    "a list as a leader": (said(leader=["n1"]), {**CLAIM, "leader": None}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_one_failed_observation_with_its_reason(name: str) -> None:
    hostile = HOSTILE[name]
    reply = observed(hostile.sent, hang=hostile.hang)
    assert isinstance(reply, Fail | Unknown)
    assert hostile.reason in reply.error and len(reply.error) <= MOST_WORDS
    history = recorded(reply)
    assert not history.observations.ok.any()


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_answer_that_says_enough_is_an_observation(name: str) -> None:
    sent, expected = HARMLESS[name]
    reply = observed(sent)
    assert reply == Ok(expected)
    assert recorded(reply).observations.ok.all()


def test_a_node_that_nobody_listens_on_refuses_the_connection() -> None:
    client_port = 1  # tcpmux, which no machine serves

    async def ask() -> Reply:
        client = ProbeClient({"n1": Endpoint("10.0.0.1", {8000: client_port})}, PROBE)
        try:
            return await reply_to(client.observe("n1"), 30_000_000_000)
        finally:
            await client.close()

    reply = asyncio.run(ask())
    assert isinstance(reply, Fail) and reply.error.startswith("no connection: ")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("200 OK", Ok), ("302 Found", Fail), ("404 Not Found", Fail), ("500 Internal Server Error", Unknown)],
)
def test_an_acknowledgement_is_a_status_and_no_body(status: str, outcome: type[Reply]) -> None:
    sent = http(b"\xff" * 100, "Location: http://192.0.2.1/", status=status)
    reply = asyncio.run(asked(sent, lambda client: reply_to(client.confirm("n1"), 30_000_000_000)))
    assert isinstance(reply, outcome)


def test_an_acknowledgement_that_cannot_be_read_may_have_happened() -> None:
    sent = HOSTILE["more than a mebibyte"].sent
    reply = asyncio.run(asked(sent, lambda client: reply_to(client.confirm("n1"), 30_000_000_000)))
    assert isinstance(reply, Unknown) and "got more" in reply.error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("leading", "leader", "term", "id"), JSON))
BODIES = st.binary(max_size=200) | OBJECTS.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([200, 204, 302, 401, 503]), BODIES), max_size=5))
def test_whatever_a_probe_is_answered_the_history_reads_back(came: list[tuple[int, bytes]]) -> None:
    replies: list[Reply] = []
    for status, body in came:
        try:
            replies.append(Ok(READER.claim("n1", Answer(status=status, body=body), {})))
        except OperationFailed as refused:
            replies.append(Fail(printable(str(refused))))
    assert len(recorded(*replies).observations) == len(came)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
def test_whatever_comes_over_the_connection_the_history_reads_back(sent: bytes) -> None:
    assert len(recorded(observed(sent)).observations) == 1


@given(st.text(st.characters()))
def test_words_for_a_history_are_short_and_printable(words: str) -> None:
    assert len(printable(words)) <= MOST_WORDS
    assert printable(words).isprintable()
    printable(words).encode()


def test_words_cannot_steer_a_terminal() -> None:
    assert printable("\x1b[2J\ngone") == r"\x1b[2J\ngone"
