"""Ways of asking a described system, and the claims that are put together from several answers."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
import subprocess
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from splitbrain.nodes.clients.answers import Answer, WrongAnswer
from splitbrain.nodes.clients.base import Add, AskOpinion, Endpoint, Members, OperationFailed, OutcomeUnknown, Question
from splitbrain.nodes.clients.claims import Reader, hint, nowhere
from splitbrain.nodes.clients.insides import NO_INSIDES
from splitbrain.nodes.clients.kept_sets import members_in
from splitbrain.nodes.clients.probe import ProbeClient
from splitbrain.nodes.clients.ways import Target, asker
from splitbrain.nodes.clients.ways.http import trust
from splitbrain.nodes.systems.probes import Confirm, Further, Http, KeptSet, Probe, Tls, Way
from splitbrain.user_systems.description.probes import WAYS
from splitbrain.user_systems.description.system import system_of
from splitbrain.user_systems.description.table import Description

OWN = {"name": "n1", "address": "10.0.0.1", "index": "1"}
T = TypeVar("T")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def served(serve: Serve, use: Callable[[Endpoint], Awaitable[T]], tls: ssl.SSLContext | None = None) -> T:
    """What ``use`` gives with a node that serves its port 8000 so."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        return await use(Endpoint("10.0.0.1", {8000: server.sockets[0].getsockname()[1]}))
    finally:
        server.close()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answering(*answers: bytes, heard: list[bytes] | None = None) -> Serve:
    """Serves these answers to the requests of all connections, in turn."""
    left = [*answers]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while left:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            (heard if heard is not None else []).append(head + await reader.readexactly(length))
            writer.write(left.pop(0))

    return serve


async def asked_once(way: Way, endpoint: Endpoint) -> Answer:
    made = asker(way, Target(endpoint=endpoint, own=OWN, inside=NO_INSIDES))
    try:
        return await made.ask()
    finally:
        await made.close()


def test_a_request_has_the_method_headers_body_and_user_of_the_description() -> None:
    way = Http(
        path="/v1/{name}?address={address}",
        method="POST",
        headers=(("X-Node", "{index}"),),
        body='{"key": "{name}"}',
        basic=("me-{name}", "secret"),
    )
    heard: list[bytes] = []
    said = asyncio.run(served(answering(http(b"{}"), heard=heard), lambda endpoint: asked_once(way, endpoint)))
    assert said.status == 200
    head, _, body = heard[0].decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST /v1/n1?address=10.0.0.1 HTTP/1.1" and body == '{"key": "n1"}'
    assert {"X-Node: 1", "Authorization: Basic bWUtbjE6c2VjcmV0"} <= set(lines)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own authority for n1, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=n1 -keyout key -out cert"
    command = ["openssl", *words.split(), "-addext", "subjectAltName=DNS:n1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "cert").read_text() + (folder / "key").read_text())
    return both


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        (Tls(ca="CERT"), None),
        (Tls(verify=False), None),
        (Tls(), "no trusted certificate"),
        (Tls(ca="CERT", server_name="n2"), "no trusted certificate"),
    ],
)
def test_a_node_is_asked_over_https_by_its_certificate(certificate: Path, tls: Tls, words: str | None) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    trusted = Tls(ca=tls.ca and str(certificate), verify=tls.verify, server_name=tls.server_name)
    way = Http(path="/", tls=trusted)

    def ask() -> Answer:
        return asyncio.run(served(answering(http(b"{}")), lambda endpoint: asked_once(way, endpoint), context))

    if words is None:
        assert ask().status == 200
    else:
        with pytest.raises(OperationFailed, match=words):
            ask()


def test_a_client_shows_its_certificate(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    way = Http(path="/", tls=Tls(ca=str(certificate), cert=str(certificate)))
    said = asyncio.run(served(answering(http(b"{}")), lambda endpoint: asked_once(way, endpoint), context))
    assert said.status == 200 and trust(Tls(verify=False)).verify_mode is ssl.CERT_NONE


# Several answers


ALSO = Probe(
    way=Http(path="/raft"),
    leading="leader == .me.id",
    term="me.term",
    also={"me": Further(way=Http(path="/me"))},
)


def observed(probe: Probe, *answers: bytes) -> Mapping[str, Any]:
    async def use(endpoint: Endpoint) -> Mapping[str, Any]:
        client = ProbeClient({"n1": endpoint}, probe)
        try:
            return await client.observe("n1")
        finally:
            await client.close()

    return asyncio.run(served(answering(*answers), use))


def me(term: int = 3, load: int = 0, status: str = "200 OK") -> bytes:
    return http(json.dumps({"id": "a", "term": term, "load": load}).encode(), status)


RAFT = http(b'{"leader": "a"}')


def test_a_further_answer_is_found_under_its_name_and_may_change_where_nothing_is_read_of_it() -> None:
    claim = observed(ALSO, me(load=1), RAFT, me(load=2))
    assert claim == {"leading": True, "leader": "n1", "term": 3, "reign": None}


def test_a_claim_of_answers_that_changed_meanwhile_is_none() -> None:
    with pytest.raises(OutcomeUnknown, match="changed meanwhile"):
        observed(ALSO, me(term=3), RAFT, me(term=4))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ((me(status="500 No"), RAFT, me()), "me: status 500"),
        ((me(), http(b"[1]"), me()), "expected an object to put further answers into, got a list"),
    ],
)
def test_a_further_answer_that_cannot_be_used_says_which_one(answers: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(WrongAnswer, match=words):
        observed(ALSO, *answers)


# Claims


OWNS = {name: {"name": name, "address": f"10.0.0.{name[1]}", "index": name[1]} for name in ("n1", "n2", "n3")}


def claim(probe: Probe, value: Any, node: str = "n1", status: int = 200) -> Mapping[str, Any]:
    return Reader(probe, OWNS).claim(node, Answer(status=status, body=json.dumps(value).encode()), {})


def test_words_of_the_description_stand_for_nodes() -> None:
    names = {"{address}:8222": "{name}", "server-{index}": "{name}", "the third": "n3", "77": "n2"}
    probe = Probe(way=Http(path="/"), leading="leads", leader="leader", vote="vote", names=names)
    for word, node in (("10.0.0.2:8222", "n2"), ("server-3", "n3"), ("the third", "n3"), (77, "n2"), ("n9", None)):
        assert claim(probe, {"leads": False, "leader": word})["leader"] == node
    assert claim(probe, {"leads": True, "vote": "server-2"})["vote"] == "n2"


def test_a_test_may_name_the_node_that_answers() -> None:
    probe = Probe(way=Http(path="/"), leading="meta.leader == {name}", leader="meta.leader")
    said = [claim(probe, {"meta": {"leader": "n2"}}, node) for node in ("n1", "n2")]
    assert [(each["leading"], each["leader"]) for each in said] == [(False, "n2"), (True, "n2")]


def test_statuses_that_a_test_names_are_answers_and_503_with_them() -> None:
    probe = Probe(way=Http(path="/"), leading="status in [200, 204] and role == primary")
    assert claim(probe, {"role": "primary"}, status=204)["leading"]
    assert not claim(probe, {"role": "primary"}, status=503)["leading"]
    with pytest.raises(WrongAnswer, match="status 500"):
        claim(probe, {"role": "primary"}, status=500)


@pytest.mark.parametrize(
    ("leading", "status", "words"),
    [
        ("role == leader", 503, "`status = [503]`"),
        ("role == leader", 401, "`basic`"),
        ("role == leader", 404, None),
        ("status == 200", 503, None),
        ("role == leader", 200, None),
    ],
)
def test_a_status_that_is_refused_comes_with_advice(leading: str, status: int, words: str | None) -> None:
    advice = hint(Probe(way=Http(path="/"), leading=leading), Answer(status=status, body=b""))
    assert advice is None if words is None else advice is not None and words in advice


def test_a_path_at_which_no_answer_has_anything_is_found() -> None:
    probe = Probe(way=Http(path="/"), leading="role == leader and me.ready", also={"me": Further(way=Http(path="/"))})
    assert nowhere(probe, ['{"state": 1}', "{}"]) == "role"
    assert nowhere(probe, ['{"role": 1}', "{}"]) is None
    assert nowhere(probe, ["<html>", None]) is None


def counted(*leading: bool | None) -> list[str | None]:
    """The reigns of a node that leads in these answers, and once gives none."""
    probe = Probe(way=Http(path="/"), leading="leads", reign="count")
    answers = [http(b"x" if leads is None else json.dumps({"leads": leads}).encode()) for leads in leading]

    async def use(endpoint: Endpoint) -> list[str | None]:
        client, reigns = ProbeClient({"n1": endpoint}, probe), []
        for _ in answers:
            try:
                reigns.append((await client.observe("n1"))["reign"])
            except WrongAnswer:
                reigns.append("refused")
        await client.close()
        return reigns

    return asyncio.run(served(answering(*answers), use))


def test_leaderships_are_counted_and_a_missing_answer_ends_one() -> None:
    assert counted(False, True, True, False, True, None, True) == [
        *(None, "counted-1", "counted-1", None, "counted-2", "refused", "counted-3"),
    ]


# Confirmations


@pytest.mark.parametrize(
    ("ok", "answer", "error"),
    [
        (None, http(b""), None),
        (None, http(b"", "404 No"), OperationFailed),
        (None, http(b"", "500 No"), OutcomeUnknown),
        ("done == true", http(b'{"done": true}'), None),
        ("done == true", http(b'{"done": false}'), OperationFailed),
        ("done == true", http(b"<html>"), OutcomeUnknown),
        ("status == 409", http(b"", "409 Conflict"), None),
    ],
)
def test_an_acknowledgement_is_a_status_or_a_test_that_holds(
    ok: str | None, answer: bytes, error: type[Exception] | None
) -> None:
    probe = Probe(way=Http(path="/"), leading="leads", confirm=Confirm(way=Http(path="/c", method="POST"), ok=ok))

    async def use(endpoint: Endpoint) -> Mapping[str, Any]:
        client = ProbeClient({"n1": endpoint}, probe)
        try:
            return await client.confirm("n1")
        finally:
            await client.close()

    if error is None:
        assert asyncio.run(served(answering(answer), use)) == {"term": None, "reign": None}
    else:
        with pytest.raises(error):
            asyncio.run(served(answering(answer), use))


# Sets


KEPT = Probe(
    way=Http(path="/"),
    leading="leads",
    kept=KeptSet(
        add=Confirm(way=Http(path="/add/{element}", method="POST"), ok="added == true"),
        read=Further(way=Http(path="/all")),
        members="set",
    ),
)


def of_set(question: Question, *answers: bytes, heard: list[bytes]) -> Mapping[str, Any]:
    async def use(endpoint: Endpoint) -> Mapping[str, Any]:
        client = ProbeClient({"n1": endpoint}, KEPT)
        try:
            return await client.answer(question)
        finally:
            await client.close()

    return asyncio.run(served(each_answered(*answers, heard=heard), use))


def each_answered(*answers: bytes, heard: list[bytes]) -> Serve:
    """Serves these answers in turn, one on each connection."""
    left = [*answers]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(left.pop(0))

    return serve


def test_an_element_is_added_in_its_place_and_all_are_read_from_the_leader() -> None:
    heard: list[bytes] = []
    assert of_set(Add("n1", "n1-7"), http(b'{"added": true}'), heard=heard) == {"through": "n1"}
    assert heard[0].startswith(b"POST /add/n1-7 ")
    members = of_set(Members(), http(b'{"leads": true}'), http(b'{"set": ["b", "a"]}'), heard=heard)
    assert members == {"members": ["a", "b"]}


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        (Add("n1", "x"), (http(b'{"added": false}'),)),
        (Add("s1", "x"), ()),
        (Members(), (http(b'{"leads": false}'),)),
        (Members(), (http(b'{"leads": true}'), http(b"", "500 No"))),
        (Members(), (http(b'{"leads": true}'), http(b'{"set": "all"}'))),
        (AskOpinion("s1"), ()),
    ],
)
def test_a_set_that_refuses_is_a_failure(question: Question, answers: tuple[bytes, ...]) -> None:
    with pytest.raises(OperationFailed):
        of_set(question, *answers, heard=[])


def test_elements_are_texts_or_rows_with_one_column() -> None:
    assert members_in(["b", 1], ".") == ["1", "b"] and members_in([{"x": "b"}, {"x": "a"}], "rows") == ["a", "b"]
    with pytest.raises(WrongAnswer, match="rows: expected a text or a number, got an object"):
        members_in([{"x": 1, "y": 2}], "rows")


# The documentation

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("asking.md", "workloads.md")
PARTS = [part for page in PAGES for part in re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_of_descriptions_in_the_documentation_are_right(part: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    given = tomllib.loads(part)
    usual = {"leading": "leading"} | ({} if WAYS.keys() & given.get("probe", {}).keys() else {"path": "/"})
    whole = {"image": "mine:1", **given, "probe": usual | given.get("probe", {})}
    assert system_of(Description(name="mine.toml", folder=tmp_path, given=whole, text="")).probe is not None
