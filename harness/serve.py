"""A web server for the store, on 127.0.0.1 only: the index and the reports are plain files."""

from __future__ import annotations

import contextlib
import errno
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from splitbrain import reports
from splitbrain.errors import EnvironmentFailure, Interrupted, UsageError


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a log line for each."""

    def log_message(self, format: str, *args: object) -> None:
        return


def serve_store(store: Path, port: int) -> None:
    """Serve until interrupted. Raises UsageError for no store, EnvironmentFailure for a taken port."""
    if not store.is_dir():
        raise UsageError(f"{store}: expected a store, found none; any run creates one")
    reports.index(store)
    handler = functools.partial(Quiet, directory=str(store))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as failure:
        reason = "is taken" if failure.errno == errno.EADDRINUSE else f"cannot be used: {failure.strerror}"
        raise EnvironmentFailure(f"port {port} on 127.0.0.1 {reason}; choose another with --port") from failure
    with server:
        click.echo(f"http://127.0.0.1:{server.server_port}/index.html (ctrl-C ends it)")
        with contextlib.suppress(Interrupted):
            server.serve_forever()
