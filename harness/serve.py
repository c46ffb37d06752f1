"""A web server for the store, on 127.0.0.1 only: an index of the runs, and their files.

Runs of other people are data. So every page is sandboxed: its script runs, but not on this origin, and reaches
nothing else here (W3C, Content Security Policy Level 3, section 6.3.2). Only requests addressed to this machine are
answered, or a web site could read the store by a host name of its own that it points here (DNS rebinding). No link is
followed, and all files but pages and pictures are shown as text.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import stat
from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import click
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from splitbrain import reports
from splitbrain.ending import ending_signals
from splitbrain.errors import EnvironmentFailure, UsageError

ADDRESS: Final = "127.0.0.1"
HOSTS: Final = frozenset((ADDRESS, "localhost"))
INDEX: Final = ("index.html",)
MOST_CONNECTIONS: Final = 64
IDLE_S: Final = 10.0  # of a connection without a complete request
RUN_DEPTH: Final = 2  # a run is store/<system>-<nemesis>/<time>-<seed>
TYPES: Final = {".html": "text/html; charset=utf-8", ".png": "image/png"}
TEXT: Final = "text/plain; charset=utf-8"
HEADERS: Final = {
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve_store(store: Path, port: int) -> None:
    """Serve until interrupted. Raises UsageError for no store, EnvironmentFailure for a taken port."""
    if not store.is_dir():
        raise UsageError(f"{store}: expected a store, found none; any run creates one")
    asyncio.run(_serve(store, port))


async def _serve(store: Path, port: int) -> None:
    runner = web.AppRunner(
        app(store), access_log=None, logger=_silent(), keepalive_timeout=IDLE_S, shutdown_timeout=0.5
    )
    await runner.setup()
    try:
        listening = await listen(runner, port)
        click.echo(f"http://{ADDRESS}:{listening.sockets[0].getsockname()[1]}/index.html (ctrl-C ends it)")
        await _until_interrupted()
        listening.close()
    finally:
        await runner.cleanup()


async def listen(runner: web.AppRunner, port: int) -> asyncio.Server:
    """Accept connections, at most ``MOST_CONNECTIONS`` at a time. Raises EnvironmentFailure for a taken port."""
    assert runner.server is not None, "the runner is set up"
    try:
        return await asyncio.get_running_loop().create_server(partial(_accept, runner.server), ADDRESS, port)
    except OSError as failure:
        reason = "is taken" if failure.errno == errno.EADDRINUSE else f"cannot be used: {failure.strerror}"
        raise EnvironmentFailure(f"port {port} on {ADDRESS} {reason}; choose another with --port") from failure


def _accept(server: web.Server) -> RequestHandler:
    """The protocol of a new connection, for which the oldest ones beyond the limit are closed."""
    for oldest in server.connections[: 1 - MOST_CONNECTIONS]:
        oldest.force_close()
    return server()


async def _until_interrupted() -> None:
    ended = asyncio.Event()
    for number in ending_signals():
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def _silent() -> logging.Logger:
    """A logger that prints nothing: a malformed request is no failure of this program."""
    logger = logging.getLogger(__name__)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def app(store: Path) -> web.Application:
    """The application that shows a store."""
    made = web.Application(middlewares=[_guarded])
    made.router.add_get("/{path:.*}", partial(_answer, store.resolve()))
    made.on_response_prepare.append(_add_headers)
    return made


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


@web.middleware
async def _guarded(request: web.Request, handler: Answer) -> web.StreamResponse:
    """Answer only requests that were addressed to this machine by its name; any failure becomes a status."""
    if not _is_here(request.host):
        raise web.HTTPMisdirectedRequest(text=f"expected the host {' or '.join(sorted(HOSTS))}, got another\n")
    try:
        return await handler(request)
    except FileNotFoundError:
        raise web.HTTPNotFound from None
    except OSError as failure:
        raise web.HTTPInternalServerError(text=f"cannot be read: {failure.strerror}\n") from failure


def _is_here(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in HOSTS
    except ValueError:
        return False


async def _answer(store: Path, request: web.Request) -> web.StreamResponse:
    parts = tuple(part for part in request.match_info["path"].split("/") if part)
    if parts in ((), INDEX):
        text = await asyncio.to_thread(reports.index_page, store)
        return web.Response(body=text, headers={"Content-Type": TYPES[".html"]})
    place = located(store, parts)
    if place.is_file():
        return web.FileResponse(place, headers={"Content-Type": TYPES.get(place.suffix, TEXT)})
    if not request.path.endswith("/"):
        raise web.HTTPMovedPermanently(f"/{quote('/'.join(parts))}/")
    return web.Response(text=_listing(place), content_type="text/html")


def located(store: Path, parts: tuple[str, ...]) -> Path:
    """The regular file of the store at these parts of a path, or the folder within a run.

    Raises FileNotFoundError for anything else, for a hidden file, and for what only a link leads to.
    """
    place = store.joinpath(*parts)
    if any(part.startswith(".") or "\0" in part for part in parts):
        raise FileNotFoundError(place)
    try:
        mode = place.lstat().st_mode
    except OSError as failure:  # a name that is too long, or a folder that may not be read
        raise FileNotFoundError(place) from failure
    shown = stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and len(parts) >= RUN_DEPTH)
    if not shown or place.resolve() != place:
        raise FileNotFoundError(place)
    return place


def _listing(folder: Path) -> str:
    """A page of links to what is in a folder of a run."""
    names = sorted(each.name + "/" * each.is_dir() for each in folder.iterdir() if not each.name.startswith("."))
    links = "".join(f'<li><a href="{quote(name)}">{escape(name)}</a></li>' for name in names)
    return f"<!doctype html><title>{escape(folder.name)}</title><ul>{links}</ul>"
