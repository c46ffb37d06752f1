"""The HTTP face of a node, with somebody simple behind it."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from splitbrain.nodes.endpoint import MAX_HEADERS, NodeServer
from splitbrain.nodes.protocol import Answer, Json


class Somebody:
    """Answers as told: with ``answer``, or in time with nothing."""

    id = "n1"

    def __init__(self) -> None:
        self.answer: Answer | None = Answer(1, 7, "boot-1", None)
        self.asked = 0

    def status(self) -> dict[str, Json]:
        self.asked += 1
        return {"id": self.id, "asked": self.asked}

    def confirm(self, timeout: float) -> Answer:
        if self.answer is None:
            raise TimeoutError
        return self.answer


@pytest.fixture
def somebody() -> Somebody:
    return Somebody()


@pytest.fixture
def address(somebody: Somebody) -> Iterator[tuple[str, int]]:
    with NodeServer(("127.0.0.1", 0), somebody) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield endpoint.server_address[:2]  # type: ignore[misc]
        endpoint.shutdown()
        thread.join()


@pytest.fixture
def connection(address: tuple[str, int]) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(*address, timeout=10)
    yield connection
    connection.close()


def ask(connection: HTTPConnection, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
    connection.request(method, path, body)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def raw(address: tuple[str, int], request: bytes) -> bytes:
    """Everything that comes back before the other side closes the connection."""
    with socket.create_connection(address, timeout=10) as stream:
        stream.sendall(request)
        return b"".join(iter(lambda: stream.recv(4096), b""))


def test_a_status_echoes_the_nonce_as_it_was_meant(connection: HTTPConnection) -> None:
    assert ask(connection, "GET", "/status?nonce=a%20b") == (200, {"nonce": "a b", "id": "n1", "asked": 1})
    assert ask(connection, "GET", "/status") == (200, {"nonce": "", "id": "n1", "asked": 2})


def test_a_confirmation_is_ok_refused_or_late(connection: HTTPConnection, somebody: Somebody) -> None:
    head = {"nonce": "q", "id": "n1"}
    assert ask(connection, "POST", "/confirm?nonce=q") == (200, {**head, "term": 7, "reign": "boot-1"})
    somebody.answer = Answer(1, 7, None, "lost leadership")
    assert ask(connection, "POST", "/confirm?nonce=q") == (409, {**head, "error": "lost leadership"})
    somebody.answer = None
    assert ask(connection, "POST", "/confirm?nonce=q") == (504, {**head, "error": "no answer in time"})


def test_what_is_not_asked_here_is_not_found(connection: HTTPConnection) -> None:
    assert ask(connection, "GET", "/metrics?nonce=1")[0] == 404
    assert ask(connection, "POST", "/status")[0] == 404
    assert ask(connection, "GET", "/confirm")[0] == 404


def test_each_of_many_answers_on_one_connection_leaves_in_one_write(
    connection: HTTPConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes an answer could cost a delayed acknowledgement each time, of some 40 ms."""
    write, written = socketserver._SocketWriter.write, list[bytes]()  # type: ignore[attr-defined]

    def noted(writer: object, data: bytes) -> int:
        written.append(data)
        return int(write(writer, data))

    monkeypatch.setattr("socketserver._SocketWriter.write", noted)
    assert [ask(connection, "GET", "/status")[1]["asked"] for _ in range(50)] == list(range(1, 51))
    assert len(written) == 50 and all(answer.startswith(b"HTTP/1.1 200 OK") for answer in written)


def test_a_body_is_read_past(connection: HTTPConnection) -> None:
    for _ in range(3):
        assert ask(connection, "POST", "/confirm", '{"some": "body"}')[0] == 200


def test_a_connection_is_closed_when_asked_and_by_an_old_client(address: tuple[str, int]) -> None:
    closing = raw(address, b"GET /status HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert closing.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close" in closing
    assert raw(address, b"GET /status HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /status FTP/1.1\r\n\r\n",
        b"GET /status HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: some\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: 65537\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_client_served(
    address: tuple[str, int], connection: HTTPConnection, request_: bytes
) -> None:
    assert raw(address, request_).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert ask(connection, "GET", "/status")[0] == 200


def test_a_client_that_goes_away_harms_no_other(
    address: tuple[str, int], connection: HTTPConnection, capfd: pytest.CaptureFixture[str]
) -> None:
    socket.create_connection(address).close()
    assert ask(connection, "GET", "/status")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_method_of_no_meaning_here_is_refused(connection: HTTPConnection) -> None:
    connection.request("PUT", "/status")
    response = connection.getresponse()
    response.read()
    assert response.status == 501
