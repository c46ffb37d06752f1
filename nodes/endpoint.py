"""How a node is asked, over HTTP/1.1: ``GET /status`` and ``POST /confirm``.

Every answer is JSON, echoes the ``nonce`` of its request, so that no late answer can be taken for a fresh
one, and leaves in one write, so that no delayed acknowledgement ever holds back half of it.
"""

from __future__ import annotations

import json
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from nodes.protocol import Answer, Json

CONFIRM_TIMEOUT_S: Final = 10.0


class Asked(Protocol):
    """What answers the questions; called from many threads at once."""

    @property
    def id(self) -> str: ...

    def status(self, nonce: str) -> dict[str, Json]: ...

    def confirm(self, timeout: float) -> Answer: ...


def serve(address: tuple[str, int], asked: Asked) -> ThreadingHTTPServer:
    """Answer at ``address`` from now on, on threads that end with the process."""

    class Handler(_Handler):
        node = asked

    server = _Server(address, Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        # The inherited one looks up the host's full name, which takes seconds where no name server answers.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    node: Asked
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path, nonce = self._request()
        if path == "/status":
            self._reply(HTTPStatus.OK, self.node.status(nonce))
        else:
            self._reply(HTTPStatus.NOT_FOUND, {"nonce": nonce, "error": "expected GET /status"})

    def do_POST(self) -> None:
        path, nonce = self._request()
        if path == "/confirm":
            self._reply(*self._confirm(nonce))
        else:
            self._reply(HTTPStatus.NOT_FOUND, {"nonce": nonce, "error": "expected POST /confirm"})

    def _confirm(self, nonce: str) -> tuple[HTTPStatus, Json]:
        head = {"nonce": nonce, "id": self.node.id}
        try:
            answer = self.node.confirm(CONFIRM_TIMEOUT_S)
        except TimeoutError:
            return HTTPStatus.GATEWAY_TIMEOUT, {**head, "error": "no answer in time"}
        if answer.error is not None:
            return HTTPStatus.CONFLICT, {**head, "error": answer.error}
        return HTTPStatus.OK, {**head, "term": answer.term, "reign": answer.reign}

    def _request(self) -> tuple[str, str]:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))  # the next request starts after it
        url = urlsplit(self.path)
        return url.path, parse_qs(url.query).get("nonce", [""])[0]

    def _reply(self, status: HTTPStatus, body: Json) -> None:
        data = json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + data)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: standard error belongs to the node's own events."""
