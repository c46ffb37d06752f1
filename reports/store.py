"""Index page of a store: all its runs, newest first.

A store has the layout `<system>-<nemesis>/<UTC time>-<seed>/`. A run with missing or malformed files is listed as
unreadable, with the reason, because it is likely the run that went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from splitbrain.checkers.files import read_whole
from splitbrain.checkers.verdict import Observed
from splitbrain.reports import atomic, page, words

_VERDICT, _EXPERIMENT, _PAGE = "verdicts.json", "experiment.json", "report.html"
LONGEST_S = 2**63  # a record of somebody else may hold a number that is no float


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run in the list. `link` is relative to the store."""

    name: str
    run: str
    started: str
    verdict: str
    system: str
    nemesis: str
    runtime: str
    seed: str
    duration_s: float | None
    found: str
    note: str
    link: str

    @property
    def duration(self) -> str:
        return "–" if self.duration_s is None else f"{self.duration_s:.1f}"


class _Judged(msgspec.Struct, kw_only=True):
    """The part of a property's verdict that the index shows."""

    verdict: str = "unknown"
    observed: str = ""
    weakness: str | None = None  # of version 0.1, in place of what was observed

    @property
    def permitted(self) -> bool:
        """True for a violation that the promises permit."""
        return self.verdict == "valid" and (self.observed == Observed.VIOLATED or self.weakness == "shown")


class _Verdicts(msgspec.Struct, kw_only=True):
    """The part of verdicts.json that the index shows. Findings, which may be many, are never decoded."""

    verdict: str
    properties: dict[str, _Judged] = {}


class _Experiment(msgspec.Struct, kw_only=True):
    system: Any = None
    nemesis: Any = None
    runtime: Any = None
    seed: Any = None
    started_utc: Any = None
    time_limit_s: Any = None
    durations_s: Any = None


def index(store: Path) -> Path:
    """Write `store`/index.html and return its path. Raises OSError when it cannot be written."""
    return atomic.write(store / "index.html", index_page(store))


def index_page(store: Path) -> bytes:
    """The page that lists the runs of a store."""
    made = page.environment()
    text = made.get_template("index.html").render(
        runs=runs(store),
        page_css=page.asset(made, "page.css"),
        index_js=page.script(made, "index.mjs"),
    )
    return text.encode(errors="replace")  # half of a surrogate pair is no character


def runs(store: Path) -> list[RunRow]:
    """Every run of a store, newest first."""
    rows = [_row(store, directory) for directory in _directories(store)]
    return sorted(rows, key=lambda row: (row.run, row.name), reverse=True)


def _directories(store: Path) -> Iterator[Path]:
    """The run directories. Symbolic links such as `latest` are skipped: their targets are listed."""
    for name in sorted(store.iterdir()):
        if name.is_dir() and not name.is_symlink() and not name.name.startswith("."):
            for run in sorted(name.iterdir()):
                if run.is_dir() and not run.is_symlink() and not run.name.startswith("."):
                    yield run


def _row(store: Path, directory: Path) -> RunRow:
    experiment, note = _experiment(directory / _EXPERIMENT)
    try:
        judged = msgspec.json.decode(read_whole(directory / _VERDICT), type=_Verdicts)
        verdict = words.verdict_of({"verdict": judged.verdict})
    except Exception as error:  # one unreadable run must not hide the others
        judged, verdict = _Verdicts(verdict="unreadable"), "unreadable"
        note = "; ".join(part for part in (_reason(_VERDICT, error), note) if part)
    durations = words.mapping(experiment.durations_s)
    spent = [each for each in durations.values() if isinstance(each, (int, float)) and abs(each) < LONGEST_S]
    seed = experiment.seed if experiment.seed is not None else directory.name.rpartition("-")[2]
    return RunRow(
        name=directory.parent.name,
        run=directory.name,
        started=_started(directory.name) or str(experiment.started_utc or directory.name),
        verdict=verdict,
        system=str(experiment.system or directory.parent.name),
        nemesis=words.nemesis_of({"nemesis": experiment.nemesis}),
        runtime=str(experiment.runtime or ""),
        seed=str(seed),
        duration_s=float(sum(spent)) if spent else None,
        found=_found(judged.properties),
        note=note,
        link=_link(store, directory),
    )


def _found(properties: dict[str, _Judged]) -> str:
    """The remarkable properties of a run, in words."""
    groups = (
        ("violated", [name for name, row in properties.items() if row.verdict == "invalid"]),
        ("inconclusive", [name for name, row in properties.items() if row.verdict == "unknown"]),
        ("violated, and permitted", [name for name, row in properties.items() if row.permitted]),
    )
    return "; ".join(f"{group}: {', '.join(names)}" for group, names in groups if names)


def _started(run: str) -> str:
    """The time that a run's name begins with, in readable form; empty if it begins otherwise."""
    time = re.match(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", run)
    return "{}-{}-{} {}:{}:{}".format(*time.groups()) if time else ""


def _experiment(path: Path) -> tuple[_Experiment, str]:
    try:
        return msgspec.json.decode(read_whole(path), type=_Experiment), ""
    except Exception as error:  # as above
        return _Experiment(), _reason(path.name, error)


def _reason(name: str, error: Exception) -> str:
    return f"no {name}" if isinstance(error, FileNotFoundError) else f"{name}: {error}"


def _link(store: Path, directory: Path) -> str:
    """Link to the report, or to the directory when there is none: a run without a report still has its history."""
    target = directory / _PAGE if (directory / _PAGE).exists() else directory
    return quote(target.relative_to(store).as_posix()) + ("" if target.suffix == ".html" else "/")
