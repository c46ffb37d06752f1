"""One request over HTTP or HTTPS, made anew for every question."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.clients.web import WebSession
from splitbrain.nodes.systems.probes import Http, Tls, filled


class HttpAsker:
    """Asks over kept-alive connections. HTTP has no nonce, so a connection on which an answer is overdue is closed."""

    cost_ns = 0

    def __init__(self, way: Http, target: Target) -> None:
        own = target.own
        scheme = "http" if way.tls is None else "https"
        self._url = f"{scheme}://127.0.0.1:{target.port(way.port)}{filled(way.path, own)}"
        self._method = way.method
        self._body = None if way.body is None else filled(way.body, own).encode()
        self._headers = {**{name: filled(text, own) for name, text in way.headers}, **_authorization(way, own)}
        context = None if way.tls is None else trust(way.tls)
        name = None if way.tls is None else filled(way.tls.server_name, own)
        self._session = WebSession(context, name)

    async def ask(self) -> Answer:
        return await self._session.ask(self._method, self._url, self._headers, self._body)

    async def close(self) -> None:
        await self._session.close()


def _authorization(way: Http, own: Mapping[str, str]) -> Mapping[str, str]:
    if way.basic is None:
        return {}
    words = ":".join(filled(text, own) for text in way.basic)
    return {"Authorization": "Basic " + base64.b64encode(words.encode()).decode()}


def trust(tls: Tls) -> ssl.SSLContext:
    """The context of connections. Raises OSError (``ssl.SSLError`` is one) for a file that cannot be used."""
    context = ssl.create_default_context(cafile=tls.ca)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context
