"""HTML page of one run: the verdict, then the timeline, the faults, and the versions and options of the run.

The page is self-contained: it loads nothing and opens from a disk without a network. All text from the run is escaped
(by Jinja's autoescape, or as JSON in which `<`, `>` and `&` are escaped), so that a hostile node name or error message
stays text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from splitbrain.checkers.history import History
from splitbrain.checkers.words import counted
from splitbrain.names import GUARANTEES
from splitbrain.reports import words
from splitbrain.reports.bundle import bundle
from splitbrain.reports.faults import Chart, FaultRow
from splitbrain.reports.frames import Frames
from splitbrain.reports.properties import Meaning, PropertyRow

Json = Mapping[str, Any]

_WRITES = (("append", "ledger write"), ("acquire", "lock request"), ("add", "set addition"))


@dataclass(frozen=True, kw_only=True)
class Picture:
    file: str
    words: str
    data: str


@dataclass(frozen=True, kw_only=True)
class Group:
    name: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """The contents of the page, as text."""

    title: str
    verdict: str
    headline: str
    not_reproduced: list[str]
    remarks: list[str]
    facts: list[str]
    command: str | None
    missing: list[str]
    properties: list[PropertyRow]
    timeline: Markup | None
    notes: list[str]
    faults: list[FaultRow] | None
    faults_note: str | None
    recovery: Chart | None
    pictures: list[Picture]
    made: list[Group]
    files: list[str]
    meanings: list[Meaning]


@cache
def environment() -> Environment:
    """The Jinja environment of the templates, with autoescape on; one, so that each template is compiled once."""
    loader = PackageLoader("splitbrain.reports", "templates")
    made = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.globals["symbols"] = words.SYMBOLS
    return made


def asset(made: Environment, name: str) -> Markup:
    """A style sheet of this package, verbatim."""
    return Markup(_source(made, name))


@cache
def script(made: Environment, entry: str) -> Markup:
    """A module of js/ and all that it imports, as one classic script."""
    return Markup(bundle(entry, lambda name: _source(made, f"js/{name}")))


def _source(made: Environment, name: str) -> str:
    assert made.loader is not None
    return made.loader.get_source(made, name)[0]


def html(page: Page) -> bytes:
    made = environment()
    text = made.get_template("report.html").render(
        page=page,
        guarantees=GUARANTEES,
        page_css=asset(made, "page.css"),
        report_css=asset(made, "report.css"),
        report_js=script(made, "report.mjs"),
    )
    return text.encode(errors="replace")  # half of a surrogate pair is no character


def picture(file: str, description: str, png: bytes) -> Picture:
    data = "data:image/png;base64," + base64.b64encode(png).decode()
    return Picture(file=file, words=description, data=data)


def facts(history: History, frames: Frames, experiment: Json) -> list[str]:
    """The summary line under the headline, in parts."""
    seen, confirmed = history.observations, history.operations("confirm")
    servers = words.sequence(experiment.get("server_names")) or frames.servers
    found = [
        counted(len(history.nodes) - len(frames.servers), "node"),
        *([counted(len(servers), "server")] if servers else []),
        f"{history.end / 1e9:.1f} s",
        counted(len(frames.faults), "fault"),
        counted(len(seen.invoke), "observation"),
        counted(len(confirmed.invoke), "confirmation request"),
    ]
    found += [counted(len(history.operations(f)), noun) for f, noun in _WRITES if len(history.operations(f))]
    found += [f"seed {experiment['seed']}"] if experiment.get("seed") is not None else []
    found += [f"runtime {experiment['runtime']}"] if experiment.get("runtime") else []
    found += [str(experiment["started_utc"])] if experiment.get("started_utc") else []
    return found


def made(experiment: Json) -> list[Group]:
    """The options and versions of the experiment in groups, including unknown keys."""
    grouped = ("versions", "durations_s", "workload", "bounds", "promises")
    names = {"durations_s": "durations, s", "workload": "workload", "bounds": "bounds", "promises": "promises"}
    apart = {*grouped, "command", "format", "node_names", "server_names", "notes", "judged_by", "origin", "closed"}
    top = [(key, value) for key, value in experiment.items() if key not in apart]
    groups = [Group(name="experiment", rows=_rows(top))]
    for key in grouped:
        rows = _rows(words.mapping(experiment.get(key)).items())
        if rows:
            groups.append(Group(name=names.get(key, key), rows=rows))
    return [group for group in groups if group.rows]


def _rows(items: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(key).replace("_", " "), words.plain(value)) for key, value in items)
