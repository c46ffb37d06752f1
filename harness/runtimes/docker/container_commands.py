"""Run a command in a container and wait for its end, within a time. The functions block."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container

from splitbrain.errors import EnvironmentFailure
from splitbrain.nodes.clients.answers import printable
from splitbrain.nodes.systems.base import SetUp
from splitbrain.runtimes.docker.engine import translated
from splitbrain.runtimes.docker.exec_streams import Frames, read_ahead

AGAIN_SECONDS = 1.0  # between two tries
LINES_SHOWN = 20
LOOK_SECONDS = 0.2  # between two looks at whether the time is over
MOST_BYTES = 64 << 10  # of the end of its output


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandEnded:
    """How a command ended: its status, None if it had not ended in time, and the end of its output."""

    status: int | None
    output: str


def run_command(container: Container, words: Sequence[str], seconds: float, stop: Event) -> CommandEnded:
    """Run a command in a container, for so long at most, or until ``stop`` is set.

    What has not ended then goes on until its container is removed.
    """
    client = container.client
    assert client is not None and container.id is not None, "a client created it"
    give_up = time.monotonic() + seconds
    try:
        command = client.api.exec_create(container.id, list(words))
        stream = client.api.exec_start(command["Id"], socket=True)
    except APIError as failure:
        return CommandEnded(status=-1, output=str(failure.explanation or failure))
    with contextlib.closing(stream):
        ended, output = _read(getattr(stream, "_sock", stream), read_ahead(stream), give_up, stop)
    status = client.api.exec_inspect(command["Id"])["ExitCode"] if ended else None
    return CommandEnded(status=status, output=output.decode(errors="replace"))


def set_up_in(container: Container, name: str, words: Sequence[str], set_up: SetUp, stop: Event) -> None:
    """Run a command of the set-up, again if it fails and may be, until its time is over.

    Raises EnvironmentFailure with how it ended and the end of its output.
    """
    give_up = time.monotonic() + set_up.timeout_s
    while True:
        with translated(f"running {words[0]} on {name}"):
            ended = run_command(container, words, give_up - time.monotonic(), stop)
        if ended.status == 0:
            return
        if ended.status is None or not set_up.retry or time.monotonic() + AGAIN_SECONDS > give_up:
            raise EnvironmentFailure(_failed(name, words, set_up.timeout_s, ended))
        stop.wait(AGAIN_SECONDS)


def _failed(name: str, words: Sequence[str], seconds: float, ended: CommandEnded) -> str:
    how = f"did not end within {seconds:g} s" if ended.status is None else f"ended with status {ended.status}"
    lines = [printable(line) for line in ended.output.splitlines()[-LINES_SHOWN:]]
    said = "it said nothing" if not lines else "the end of its output:\n  " + "\n  ".join(lines)
    return f"the set-up failed: on {name} the command {shlex.join(words)} {how}; {said}"


def _read(socket: Any, head: bytes, give_up: float, stop: Event) -> tuple[bool, bytes]:
    """Read output, of which ``head`` has come already: whether it ended before the time was over, and the end of it."""
    socket.settimeout(LOOK_SECONDS)
    frames = Frames()
    output = b"".join(payload for _, payload in frames.feed(head))
    while time.monotonic() < give_up and not stop.is_set():
        try:
            chunk = socket.recv(MOST_BYTES)
        except TimeoutError:
            continue
        if not chunk:
            return True, output
        for _, payload in frames.feed(chunk):
            output = (output + payload)[-MOST_BYTES:]
    return False, output
