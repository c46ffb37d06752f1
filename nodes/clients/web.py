"""HTTP requests to nodes on 127.0.0.1: the answer is bounded, and no redirect, cookie or proxy is followed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from ssl import SSLContext
from typing import Any, Final

import aiohttp
from yarl import URL

from splitbrain.nodes.clients.answers import MOST_BYTES, Answer, WrongAnswer, check_size
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown

ZLIB_OR_GZIP: Final = 47  # wbits: the format is detected
PLAIN: Final = ("", "identity")
PACKED: Final = ("gzip", "x-gzip", "deflate")


class WebSession:
    """Requests over kept-alive connections; may run concurrently. A cancelled request closes its connection.

    With ``tls``, over connections to machines whose certificate is that of ``server_name``.
    """

    def __init__(self, tls: SSLContext | None = None, server_name: str | None = None) -> None:
        self._tls: dict[str, Any] = {} if tls is None else {"ssl": tls, "server_hostname": server_name}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )

    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """The answer to one request, whatever its status. Raises OperationFailed or OutcomeUnknown."""
        try:
            request = self._session.request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False, **self._tls
            )
            async with request as response:
                came = await _bounded(response.content)
        except aiohttp.ClientConnectorCertificateError as failure:
            raise OperationFailed(f"no trusted certificate: {failure.certificate_error}") from failure
        except aiohttp.ClientConnectorError as failure:
            raise OperationFailed(f"no connection: {failure.strerror or failure}") from failure
        except aiohttp.ServerDisconnectedError as closed:
            raise OutcomeUnknown("the connection was closed before an answer") from closed
        except aiohttp.ClientOSError as broken:
            raise OutcomeUnknown(f"the connection broke: {broken.strerror or broken}") from broken
        except aiohttp.ClientPayloadError as broken:
            raise OutcomeUnknown("incomplete answer: the connection was closed") from broken
        except aiohttp.ClientResponseError as wrong:
            raise OutcomeUnknown(f"expected HTTP: {wrong.message.partition(chr(10))[0].rstrip(':')}") from wrong
        except (aiohttp.ClientError, OSError, ValueError) as broken:
            raise OutcomeUnknown(f"incomplete answer: {type(broken).__name__}") from broken
        kind, coding = (response.headers.get(name, "") for name in ("Content-Type", "Content-Encoding"))
        return Answer(status=response.status, kind=kind.lower(), body=_unpacked(came, coding))

    async def close(self) -> None:
        await self._session.close()


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        check_size(body)
    return bytes(body)


def _unpacked(body: bytes, coding: str) -> bytes:
    """The body without its compression, which was not asked for, but which some servers apply all the same."""
    coding = coding.strip().lower()
    if coding in PLAIN:
        return body
    if coding not in PACKED:
        raise WrongAnswer(f"expected an answer that is not compressed, got {coding[:40]!r}")
    try:
        unpacked = zlib.decompressobj(ZLIB_OR_GZIP).decompress(body, MOST_BYTES + 1)
    except zlib.error as wrong:
        raise WrongAnswer(f"expected an answer compressed by {coding}: {wrong}") from wrong
    if len(unpacked) > MOST_BYTES:
        raise WrongAnswer(f"expected an answer of at most {MOST_BYTES:,} bytes when unpacked, got more")
    return unpacked
