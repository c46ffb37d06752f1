"""The list of all runs of a store, newest first, as one page.

A store is `<system>-<nemesis>/<UTC time>-<seed>/`. A run whose files are missing or broken is listed as unreadable
with the reason: a list that drops what it cannot read would hide exactly the runs that went wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from splitbrain.reports import atomic, page, words

_VERDICT, _EXPERIMENT, _PAGE = "verdicts.json", "experiment.json", "report.html"


@dataclass(frozen=True, kw_only=True)
class Row:
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
    """The part of a property's verdict that the list needs."""

    verdict: str = "unknown"
    weakness: str | None = None


class _Verdicts(msgspec.Struct, kw_only=True):
    """The part of verdicts.json that the list needs: the findings, which may be many, are never decoded."""

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
    """Write `store`/index.html, the list of all its runs; returns its path. Raises OSError when it cannot."""
    made = page.environment()
    text = made.get_template("index.html").render(
        runs=runs(store),
        page_css=page.asset(made, "page.css"),
        index_js=page.script(made, "index.mjs"),
    )
    return atomic.write(store / "index.html", text.encode())


def runs(store: Path) -> list[Row]:
    """Every run of a store, newest first."""
    rows = [_row(store, directory) for directory in _directories(store)]
    return sorted(rows, key=lambda row: (row.run, row.name), reverse=True)


def _directories(store: Path) -> Iterator[Path]:
    """Run directories; `latest` and its like are symbolic links to a run that is listed under its own name."""
    for name in sorted(store.iterdir()):
        if name.is_dir() and not name.is_symlink() and not name.name.startswith("."):
            for run in sorted(name.iterdir()):
                if run.is_dir() and not run.is_symlink() and not run.name.startswith("."):
                    yield run


def _row(store: Path, directory: Path) -> Row:
    experiment, wrong = _experiment(directory / _EXPERIMENT)
    try:
        judged = msgspec.json.decode((directory / _VERDICT).read_bytes(), type=_Verdicts)
        verdict = words.verdict_of({"verdict": judged.verdict})
    except Exception as error:  # whatever is wrong with one run, the others are still to be listed
        judged, verdict = _Verdicts(verdict="unreadable"), "unreadable"
        wrong = "; ".join(part for part in (_reason(_VERDICT, error), wrong) if part)
    durations = words.mapping(experiment.durations_s)
    spent = [value for value in durations.values() if isinstance(value, (int, float))]
    seed = experiment.seed if experiment.seed is not None else directory.name.rpartition("-")[2]
    return Row(
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
        note=wrong,
        link=_link(store, directory),
    )


def _found(properties: dict[str, _Judged]) -> str:
    """What stands out in a run, in words."""
    groups = (
        ("broken", [name for name, row in properties.items() if row.verdict == "invalid"]),
        ("cannot tell", [name for name, row in properties.items() if row.verdict == "unknown"]),
        ("known weakness shown", [name for name, row in properties.items() if row.weakness == "shown"]),
    )
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in groups if names)


def _started(run: str) -> str:
    """The time that a run's name begins with, for a reader; nothing if it begins otherwise."""
    told = re.match(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", run)
    return "{}-{}-{} {}:{}:{}".format(*told.groups()) if told else ""


def _experiment(path: Path) -> tuple[_Experiment, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Experiment), ""
    except Exception as error:  # as above
        return _Experiment(), _reason(path.name, error)


def _reason(name: str, error: Exception) -> str:
    return f"no {name}" if isinstance(error, FileNotFoundError) else f"{name}: {error}"


def _link(store: Path, directory: Path) -> str:
    """The report, else the directory: a run that was never drawn still has its history."""
    target = directory / _PAGE if (directory / _PAGE).exists() else directory
    return quote(target.relative_to(store).as_posix()) + ("" if target.suffix == ".html" else "/")
