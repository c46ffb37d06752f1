"""Whole runs in a directory, as the harness would have stored them, small enough to be drawn in a test."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch

from splitbrain import reports
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import ALL_PROMISED, judge
from splitbrain.reports import run
from splitbrain.reports.tests import samples

HOSTILE = "</script><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"

EXPERIMENT: dict[str, Any] = {
    "format": 1,
    "system": "raft",
    "nemesis": ["partition", "kill"],
    "runtime": "docker",
    "nodes": 5,
    "time_limit_s": 24,
    "seed": 7,
    "bounds": {"stall_ms": 2100},
    "command": "splitbrain test raft --nemesis partition,kill --seed 7",
    "versions": {"splitbrain": "0.1.0", "images": {"raft": "sha256:8be1"}},
    "started_utc": "2025-11-23T19:00:00+00:00",
    "durations_s": {"set_up": 3.1, "faults": 24.0},
    "notes": [],
}


def stored(directory: Path, truth: samples.Truth) -> History:
    """The history of that truth, written to the directory and read from there."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "history.jsonl").write_bytes(b"".join(samples.lines(truth)))
    return History.read(directory / "history.jsonl")


def judged(history: History) -> dict[str, Any]:
    verdicts = judge(history, ALL_PROMISED).as_json()
    plain: dict[str, Any] = json.loads(json.dumps(verdicts))
    return plain


def without_pictures() -> AbstractContextManager[object]:
    """Reports are made without their pictures meanwhile, which cost most of the time."""
    return patch.object(run, "_figures", lambda _: {})


def rendered(directory: Path, truth: samples.Truth, *, pictures: bool = False, **experiment: Any) -> str:
    """The page of that truth, drawn in the directory."""
    history = stored(directory, truth)
    with nullcontext() if pictures else without_pictures():
        reports.render(history, judged(history), EXPERIMENT | experiment, {"format": 1, "steps": []}, directory)
    return (directory / "report.html").read_text()


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def count(self, tag: str) -> int:
        return sum(1 for name, _ in self.tags if name == tag)

    def loads(self) -> list[str]:
        """All addresses that the page fetches or links to, without fragments and embedded data."""
        links = [attrs.get(key) for _, attrs in self.tags for key in ("src", "href", "action", "srcset", "data")]
        return [link for link in links if link and not link.startswith(("#", "data:"))]
