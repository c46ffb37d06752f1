"""The web server of the store, asked in raw HTTP as a hostile page or program would."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web

from splitbrain import serve
from splitbrain.errors import EnvironmentFailure

T = TypeVar("T")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one run, files of several kinds in it, and links out of it."""
    (tmp_path / "secret").write_text("secret")
    store = tmp_path / "store"
    run = store / "raft-kill" / "20261128T000000Z-1"
    (run / "logs").mkdir(parents=True)
    (run / "report.html").write_text("<script>1</script>")
    (run / "logs" / "n1.log").write_text("<script>alert(1)</script>")
    (run / "picture.svg").write_text("<svg onload='alert(1)'/>")
    (run / ".hidden").write_text("secret")
    (run / "stolen").symlink_to("../../../secret")
    (run / "outside").symlink_to("../../..")
    (store / "latest").symlink_to("raft-kill/20261128T000000Z-1")
    os.mkfifo(run / "fifo")
    return store


RUN = "/raft-kill/20261128T000000Z-1"


def during(store: Path, work: Callable[[int], Awaitable[T]]) -> T:
    """Serve the store while ``work`` goes on, which is given the port."""

    async def main() -> T:
        runner = web.AppRunner(serve.app(store), access_log=None, logger=serve._silent(), shutdown_timeout=0.1)
        await runner.setup()
        listening = await serve.listen(runner, 0)
        try:
            return await work(listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
            await runner.cleanup()

    return asyncio.run(main())


async def asked(port: int, request: bytes) -> str:
    """The whole answer to one request, after which the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer.decode()


def get(store: Path, path: str, host: str = "localhost:8080", method: str = "GET") -> tuple[int, str, str]:
    """The status, the head and the body of the answer to a request."""
    request = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    head, _, body = during(store, lambda port: asked(port, request)).partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def test_the_index_is_made_anew_and_nothing_is_written(store: Path) -> None:
    before = sorted(store.rglob("*"))
    for path in ("/", "/index.html"):
        status, _, body = get(store, path)
        assert status == 200 and "raft-kill" in body
    assert sorted(store.rglob("*")) == before


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example:8080", "[", ""])
def test_a_request_to_another_host_name_is_refused(store: Path, host: str) -> None:
    status, _, body = get(store, "/", host)
    assert status in (400, 421) and "raft-kill" not in body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST"])
def test_this_machine_is_known_by_its_names_at_any_port(store: Path, host: str) -> None:
    assert get(store, "/", host)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/raft-kill",
        "/raft-kill/",
        "/latest/report.html",
        f"{RUN}/stolen",
        f"{RUN}/outside/secret",
        f"{RUN}/outside/",
        f"{RUN}/.hidden",
        f"{RUN}/fifo",
        f"{RUN}/none",
        f"{RUN}/{'x' * 300}",
        "/../secret",
        "/%2e%2e/secret",
        f"{RUN}/..%2f..%2f..%2fsecret",
        "//etc/passwd",
    ],
)
def test_what_is_no_file_of_a_run_is_not_found(store: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = get(store, path)
    assert status == 404 and "secret" not in body
    assert not caplog.records


def test_the_folder_of_a_run_is_listed_without_hidden_files(store: Path) -> None:
    status, _, body = get(store, RUN)
    assert status == 301
    _, _, body = get(store, f"{RUN}/")
    assert 'href="logs/"' in body and 'href="report.html"' in body and ".hidden" not in body


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("report.html", "text/html"),
        ("logs/n1.log", "text/plain"),
        ("picture.svg", "text/plain"),
    ],
)
def test_pages_are_sandboxed_and_all_else_is_text(store: Path, path: str, kind: str) -> None:
    status, head, _ = get(store, f"{RUN}/{path}")
    assert status == 200
    assert f"Content-Type: {kind}; charset=utf-8\r\n" in head
    assert "Content-Security-Policy: sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'" in head
    assert "allow-same-origin" not in head
    assert "X-Content-Type-Options: nosniff" in head


def test_only_reading_is_answered(store: Path) -> None:
    assert get(store, "/", method="POST")[0] == 405
    assert get(store, "/", method="HEAD")[0] == 200


def test_half_open_connections_neither_block_a_page_nor_stay(store: Path) -> None:
    async def flood(port: int) -> tuple[str, int]:
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * serve.MOST_CONNECTIONS)]
        for _, writer in connections:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost")
        answer = await asked(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0)
        closed = sum(reader.at_eof() or reader.exception() is not None for reader, _ in connections)
        for _, writer in connections:
            writer.close()
        return answer, closed

    answer, closed = during(store, flood)
    assert answer.startswith("HTTP/1.1 200")
    assert closed >= 2 * serve.MOST_CONNECTIONS


def test_a_taken_port_is_named(store: Path) -> None:
    async def again(port: int) -> None:
        runner = web.AppRunner(serve.app(store))
        await runner.setup()
        try:
            await serve.listen(runner, port)
        finally:
            await runner.cleanup()

    with pytest.raises(EnvironmentFailure, match="is taken; choose another with --port"):
        during(store, again)
