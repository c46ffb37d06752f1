"""Nodes in any language: a program that is given events and returns effects, one JSON object a line.

The program makes one node at a time. Each line on its standard input is a request, and it answers each with one line:

    {"start": {"id": "n1", "peers": ["n2", "n3"], "seed": 7, "boot": "61c9b891", "state": null}}
    {"status": {"leading": false}}
    {"event": "received", "at": 1000000, "sender": "n2", "message": {"term": 3}}
    {"effects": [{"effect": "send", "to": "n2", "kind": "vote", "message": {"term": 4}}], "status": {"leading": false}}
    {"event": "status", "at": 2000000}
    {"status": {"leading": false}}

Events, effects and the status have the names and fields of ``splitbrain.nodes.protocol`` in lower case with
underscores; a field that is left out is null. A status is taken to be valid until the next event, unless the answer to
``start`` has ``"timed": true``: then it is asked for at every instant.

A process is kept for the next run, so that a search through a thousand schedules starts as many processes as a run has
nodes. A node that is started again (after a crash, or in another run) is a ``start`` to its process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize
from random import Random
from typing import IO, Any, Final

import msgspec

from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Followed,
    Json,
    Led,
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)

EVENTS: Final[Mapping[type, tuple[str, tuple[str, ...]]]] = {
    Started: ("started", ("at",)),
    Received: ("received", ("at", "sender", "message")),
    TimerFired: ("timer_fired", ("at", "timer")),
    ConfirmAsked: ("confirm_asked", ("at", "request")),
}
EFFECTS: Final[Mapping[str, tuple[type[Any], tuple[str, ...]]]] = {
    "persist": (Persist, ("state",)),
    "send": (Send, ("to", "kind", "message")),
    "set_timer": (SetTimer, ("timer", "after")),
    "cancel_timer": (CancelTimer, ("timer",)),
    "led": (Led, ("term", "reign")),
    "followed": (Followed, ("term", "leader")),
    "answer": (Answer, ("request", "term", "reign", "error")),
}
STATUS: Final = Status._fields
ANSWER_SECONDS: Final = 10.0
MOST_BYTES: Final = 1 << 20
SHOWN: Final = 200  # characters of a wrong answer in a message
LAST_WORDS: Final = 2_000  # bytes of the standard error of a program that has ended


class WrongProgram(Exception):
    """The program ended, did not answer in time, or gave another answer than the protocol has."""


@dataclass(frozen=True, slots=True)
class NodeProgram:
    """Makes nodes that are run by a program: ``command``, in ``folder``."""

    command: tuple[str, ...]
    folder: str

    def __call__(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None
    ) -> ProcessNode:
        return ProcessNode(_process(self, id), id, peers, rng, boot, state)


class ProcessNode:
    """One node, as its process runs it."""

    def __init__(
        self,
        process: NodeProcess,
        id: str,
        peers: Sequence[str],
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None,
    ) -> None:
        self._process = process
        seed = rng.getrandbits(63)
        given = {"id": id, "peers": list(peers), "seed": seed, "boot": boot, "state": state}
        answer = process.ask({"start": given})
        self._timed = answer.get("timed", False) is True
        self._status = _status(answer)

    def handle(self, event: Event) -> list[Effect]:
        """Pass an event on. Raises WrongProgram."""
        name, fields = EVENTS[type(event)]
        answer = self._process.ask({"event": name, **{field: getattr(event, field) for field in fields}})
        self._status = _status(answer)
        effects = answer.get("effects", [])
        if not isinstance(effects, list):
            raise WrongProgram(f"effects: expected a list, got {_shown(effects)}")
        return [_effect(effect) for effect in effects]

    def status(self, at: int) -> Status:
        """The status at that instant. Raises WrongProgram."""
        if self._timed:
            self._status = _status(self._process.ask({"event": "status", "at": at}))
        return self._status


def _effect(given: object) -> Effect:
    if not isinstance(given, dict) or given.get("effect") not in EFFECTS:
        raise WrongProgram(f'effects: expected objects with "effect" one of {", ".join(EFFECTS)}, got {_shown(given)}')
    kind, fields = EFFECTS[given["effect"]]
    if unknown := sorted(given.keys() - {"effect", *fields}):
        raise WrongProgram(f"effects: {given['effect']} has no field {unknown[0]}: expected {', '.join(fields)}")
    effect: Effect = kind(**{field: given.get(field) for field in fields})
    return effect


def _status(answer: Mapping[str, Any]) -> Status:
    given = answer.get("status")
    if not isinstance(given, dict):
        raise WrongProgram(f"status: expected an object, got {_shown(given)}")
    if unknown := sorted(given.keys() - {*STATUS}):
        raise WrongProgram(f"status: there is no field {unknown[0]}: expected {', '.join(STATUS)}")
    return Status(**{"role": "", "leading": False, "leader": None, "term": None, "reign": None, **given})


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


# The processes


class NodeProcess:
    """A running program, to which requests are sent one after another."""

    def __init__(self, program: NodeProgram) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
        self._rest = b""
        try:
            self._process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,  # ctrl-C is ours to handle
            )
        except OSError as failure:
            self._errors.close()
            raise WrongProgram(f"{program.command[0]} cannot be started: {failure.strerror}") from failure

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer. Raises WrongProgram, and then the process has ended."""
        assert self._process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # why it has ended shows when the answer is read
                self._process.stdin.write(msgspec.json.encode(request) + b"\n")
            answer = msgspec.json.decode(self._line())
            if not isinstance(answer, dict):
                raise WrongProgram(f"expected an object, got {_shown(answer)}")
        except msgspec.DecodeError as wrong:
            self.end()
            raise WrongProgram(f"expected a line of JSON: {wrong}") from wrong
        except WrongProgram:
            self.end()
            raise
        return answer

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            if not select.select([out], [], [], ANSWER_SECONDS)[0]:
                raise WrongProgram(f"no answer within {ANSWER_SECONDS:.0f} s")
            came = os.read(out, 1 << 16)
            if not came:
                raise WrongProgram(self._ended())
            self._rest += came
            if len(self._rest) > MOST_BYTES:
                raise WrongProgram(f"expected an answer of at most {MOST_BYTES} bytes")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _ended(self) -> str:
        status = self._process.wait()
        how = f"ended with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS))
        said = self._errors.read().decode(errors="replace").strip()
        return f"the program {how}{f'; its last words: {said}' if said else ''}"

    def end(self) -> None:
        """End the process, if it still runs."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


_processes: dict[tuple[int, NodeProgram, str], NodeProcess] = {}
"""By the process that started it (a fork shares no pipes with its parent), the program and the node."""


def _process(program: NodeProgram, node: str) -> NodeProcess:
    key = (os.getpid(), program, node)
    process = _processes.get(key)
    if process is None or not process.running:
        process = _processes[key] = NodeProcess(program)
        Finalize(process, process.end, exitpriority=0)  # workers of a pool run no handlers of atexit
    return process
