"""HTTP requests to nodes on 127.0.0.1: the answer is bounded, and no redirect, cookie or proxy is followed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

from splitbrain.nodes.clients.answers import WrongAnswer, excerpt, json_in
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown

MOST_BYTES: Final = 2**20
ZLIB_OR_GZIP: Final = 47  # wbits: the format is detected
PLAIN: Final = ("", "identity")
PACKED: Final = ("gzip", "x-gzip", "deflate")


@dataclass(frozen=True, kw_only=True, slots=True)
class WebAnswer:
    """An answer that has arrived completely; ``kind`` is its content type."""

    status: int
    kind: str
    body: bytes

    def json(self) -> Any:
        """The JSON of the body. Raises WrongAnswer."""
        return json_in(self.body, self.kind)

    @property
    def refusal(self) -> str:
        """The status, and the beginning of the body, for messages."""
        return f"status {self.status}" + (f": {excerpt(self.body)}" if self.body else "")


class WebSession:
    """Requests over kept-alive connections; may run concurrently. A cancelled request closes its connection."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,
        )

    async def ask(self, method: str, url: str) -> WebAnswer:
        """The answer to one request, whatever its status. Raises OperationFailed or OutcomeUnknown."""
        try:
            request = self._session.request(method, URL(url, encoded=True), allow_redirects=False)
            async with request as response:
                body = await _bounded(response.content)
                headers = response.headers
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
        kind = headers.get("Content-Type", "").lower()
        return WebAnswer(status=response.status, kind=kind, body=_unpacked(body, headers.get("Content-Encoding", "")))

    async def close(self) -> None:
        await self._session.close()


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MOST_BYTES:
            raise WrongAnswer(f"expected an answer of at most {MOST_BYTES:,} bytes, got more")
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
