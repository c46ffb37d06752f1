from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from splitbrain.checkers.history import History
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.errors import EnvironmentFailure


class Clock:
    """A clock that tests set by hand."""

    def __init__(self) -> None:
        self.at = 1_000

    def __call__(self) -> int:
        return self.at


class Lines:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        self.lines.append(b"closed")

    def parsed(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


def test_a_line_has_every_key_that_readers_rely_on_and_an_index_that_counts() -> None:
    lines, clock = Lines(), Clock()
    recorder = Recorder(lines)
    recorder.start_clock(clock)
    clock.at = 1_007
    recorder.invoke(3, "observe", "n4")
    recorder.unknown(3, "observe", "n4", "no answer in time")
    assert lines.parsed() == [
        {"index": 0, "time": 7, "process": 3, "type": "invoke", "f": "observe", "node": "n4", "value": None},
        {
            "index": 1,
            "time": 7,
            "process": 3,
            "type": "info",
            "f": "observe",
            "node": "n4",
            "value": None,
            "error": "no answer in time",
        },
    ]


def test_an_answer_that_no_line_holds_is_unknown_and_the_history_stays_readable() -> None:
    lines = Lines()
    recorder = Recorder(lines)
    recorder.start_clock(Clock())
    recorder.invoke(1, "read-set", None)
    recorder.ok(1, "read-set", None, ["x" * 1_000] * 1_100)
    last = lines.parsed()[-1]
    assert (last["type"], last["value"]) == ("info", None)
    assert "more than a line holds" in last["error"]
    assert History.from_lines(lines.lines).lines == 2


def test_time_never_decreases_even_when_the_clock_does() -> None:
    lines, clock = Lines(), Clock()
    recorder = Recorder(lines)
    recorder.start_clock(clock)
    clock.at = 1_900
    recorder.note("canary", "canary", None, {"late": 0})
    clock.at = 1_500
    recorder.note("canary", "canary", None, {"late": 0})
    assert [line["time"] for line in lines.parsed()] == [900, 900]


def test_the_history_begins_when_its_clock_is_started() -> None:
    lines, clock = Lines(), Clock()
    recorder = Recorder(lines)
    assert recorder.now() == 0 and not recorder.started
    clock.at = 5_000
    recorder.start_clock(clock)
    clock.at = 5_010
    recorder.invoke(0, "observe", "n1")
    assert lines.parsed()[0]["time"] == 10


def test_each_line_is_in_the_file_before_the_call_returns(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    recorder = Recorder(HistoryFile(path))
    recorder.start_clock(Clock())
    recorder.invoke(0, "observe", "n1")
    assert path.read_bytes().endswith(b"}\n")
    recorder.close()


def test_a_full_disk_is_an_error_that_says_so() -> None:
    full = HistoryFile(Path("/dev/full"))
    with pytest.raises(EnvironmentFailure, match="the disk is full"):
        full.write(b"{}\n")


def test_a_partial_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = HistoryFile(tmp_path / "history.jsonl")
    whole = history._file.write
    monkeypatch.setattr(history, "_file", _Halting(whole))
    history.write(b"0123456789")
    assert (tmp_path / "history.jsonl").read_bytes() == b"0123456789"


class _Halting:
    """A file that takes four bytes at a time."""

    def __init__(self, write: Any) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        return int(self._write(data[:4]))


def test_other_disk_errors_keep_their_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history.jsonl")

    class Broken:
        def write(self, data: bytes) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(history, "_file", Broken())
    with pytest.raises(EnvironmentFailure, match="Input/output error"):
        history.write(b"{}\n")
