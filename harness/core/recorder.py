"""The writer of a history: one JSON object a line, each line complete before anything else happens.

Judging rests on this: an ``invoke`` is in the file before anything is sent, a completion only after
the answer has come, and ``time`` never decreases. So the partial order of the file's lines is one that really
held (Jepsen's interpreter journals in the same order, for the same reason).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

import msgspec

from splitbrain.checkers.reading import MOST_LINE
from splitbrain.errors import EnvironmentFailure

Process = int | str


class Sink(Protocol):
    """Takes the lines of a history."""

    def write(self, line: bytes, /) -> object: ...

    def close(self) -> None: ...


class HistoryFile:
    """An unbuffered file: a killed run keeps all but the line that is being written."""

    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "w")
        self._path = path

    def write(self, line: bytes) -> None:
        try:
            written = self._file.write(line)
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as failure:
            reason = "the disk is full" if failure.errno == errno.ENOSPC else failure.strerror
            raise EnvironmentFailure(f"{self._path}: cannot write the history: {reason}") from failure

    def close(self) -> None:
        self._file.close()


class Recorder:
    """Numbers, times and writes the lines of one history, from ``start_clock`` on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._now: Callable[[], int] | None = None
        self._zero = 0
        self._last = 0
        self._encode = msgspec.json.Encoder().encode
        self.lines = 0

    def start_clock(self, now: Callable[[], int]) -> None:
        """Make this instant the zero of the history; ``now`` gives integer ns."""
        assert self._now is None, "a clock starts once"
        self._now = now
        self._zero = now()

    @property
    def started(self) -> bool:
        return self._now is not None

    def now(self) -> int:
        """Ns since the zero of the history, never less than a time already written; 0 before the clock starts."""
        return self._last if self._now is None else max(self._last, self._now() - self._zero)

    def stop_clock(self) -> None:
        """Give all later lines the time of the last one: they tell of what happened before."""
        stopped = self._zero
        self._now = lambda: stopped

    def since_start(self, at: int) -> int:
        """An instant of the clock that times the history, as ns of the history; none before its zero."""
        return max(0, at - self._zero)

    def invoke(self, process: Process, f: str, node: str | None, value: Any = None) -> int:
        return self._write(process, "invoke", f, node, value, None)

    def ok(self, process: Process, f: str, node: str | None, value: Any) -> int:
        return self._write(process, "ok", f, node, value, None)

    def fail(self, process: Process, f: str, node: str | None, error: str) -> int:
        return self._write(process, "fail", f, node, None, error)

    def unknown(self, process: Process, f: str, node: str | None, error: str) -> int:
        return self._write(process, "info", f, node, None, error)

    def note(self, process: Process, f: str, node: str | None, value: Any) -> int:
        """Record an event that is no operation of a client: a fault, the canary, a node's report of itself."""
        return self._write(process, "info", f, node, value, None)

    def close(self) -> None:
        self._sink.close()

    def _write(self, process: Process, kind: str, f: str, node: str | None, value: Any, error: str | None) -> int:
        time = self._last = self.now()
        line: dict[str, Any] = {
            "index": self.lines,
            "time": time,
            "process": process,
            "type": kind,
            "f": f,
            "node": node,
            "value": value,
        }
        if error is not None:
            line["error"] = error
        text = self._encode(line) + b"\n"
        if len(text) > MOST_LINE:  # a ledger of some 20,000 entries; the reader would refuse the entire history
            problem = f"an answer of {len(text)} bytes, more than a line holds"
            text = self._encode({**line, "type": "info", "value": None, "error": problem}) + b"\n"
        self._sink.write(text)
        self.lines += 1
        return time
