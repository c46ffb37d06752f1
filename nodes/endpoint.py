"""The HTTP/1.1 interface of a node: ``GET /status`` and ``POST /confirm``.

Every answer is JSON and echoes the ``nonce`` of its request, so that a late answer is never accepted for a new request.
It is sent in one write, so that no delayed TCP acknowledgement holds back half of it. Connections are kept alive, each
with its thread, so that one slow client delays no other.
"""

from __future__ import annotations

import json
import socketserver
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from splitbrain.nodes.protocol import Answer, Json

CONFIRM_TIMEOUT_S: Final = 10.0
MAX_LINE: Final = 8192
MAX_HEADERS: Final = 100
MAX_BODY: Final = 65_536


class ServedNode(Protocol):
    """The node behind the interface. Its methods are called from many threads at once."""

    @property
    def id(self) -> str: ...

    def status(self) -> dict[str, Json]: ...

    def confirm(self, timeout: float) -> Answer:
        """Raises TimeoutError after ``timeout`` seconds without an answer."""
        ...


class NodeServer(ThreadingHTTPServer):
    """HTTP server of one node, bound on creation; it answers while ``serve_forever`` runs, in daemon threads."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], node: ServedNode) -> None:
        self.node = node
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The inherited method looks up the host's full name, which takes seconds without a name server.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect or do not speak HTTP."""


class _Handler(BaseHTTPRequestHandler):
    server: NodeServer
    raw_requestline: bytes
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path, nonce = self._target()
        if path == "/status":
            self._reply(HTTPStatus.OK, {"nonce": nonce, **self.server.node.status()})
        else:
            self._reply(HTTPStatus.NOT_FOUND, {"nonce": nonce, "error": "expected GET /status"})

    def do_POST(self) -> None:
        path, nonce = self._target()
        if path == "/confirm":
            status, facts = self._confirm()
            self._reply(status, {"nonce": nonce, "id": self.server.node.id, **facts})
        else:
            self._reply(HTTPStatus.NOT_FOUND, {"nonce": nonce, "error": "expected POST /confirm"})

    def _confirm(self) -> tuple[HTTPStatus, dict[str, Json]]:
        try:
            answer = self.server.node.confirm(CONFIRM_TIMEOUT_S)
        except TimeoutError:
            return HTTPStatus.GATEWAY_TIMEOUT, {"error": "no answer in time"}
        if answer.error is not None:
            return HTTPStatus.CONFLICT, {"error": answer.error}
        return HTTPStatus.OK, {"term": answer.term, "reign": answer.reign}

    def _target(self) -> tuple[str, str]:
        """The path and the nonce of the request."""
        path, _, query = self.path.partition("?")
        return path, parse_qs(query).get("nonce", [""])[0]

    def parse_request(self) -> bool:
        """Read one request; False if it is refused.

        The inherited method parses headers as an email message, which costs three times as much as the rest.
        """
        self.close_connection = True
        self.command, self.requestline = "", str(self.raw_requestline, "iso-8859-1").rstrip("\r\n")
        parts = self.requestline.split()
        headers = self._read_headers()
        length = "" if headers is None else headers.get("content-length", "0")
        short = length.isdecimal() and len(length) < 10 and int(length) <= MAX_BODY
        if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or headers is None or not short:
            self._reply(HTTPStatus.BAD_REQUEST, {"error": "expected a short HTTP/1.1 request"})
            return False
        self.command, self.path, self.request_version = parts
        default = "close" if self.request_version == "HTTP/1.0" else "keep-alive"
        self.close_connection = headers.get("connection", default).lower() == "close"
        self.rfile.read(int(length))  # discarded: the next request begins after the body
        return True

    def _read_headers(self) -> dict[str, str] | None:
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self.rfile.readline(MAX_LINE)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = str(line, "iso-8859-1").partition(":")
            headers[name.lower()] = value.strip()
        return None

    def _reply(self, status: HTTPStatus, body: Json) -> None:
        data = json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
            f"Connection: {'close' if self.close_connection else 'keep-alive'}\r\n\r\n"
        )
        self.wfile.write(head.encode() + data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: standard error is for the node's events."""
