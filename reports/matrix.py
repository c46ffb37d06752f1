"""The matrix as a page, a table, a summary and a JUnit file: each system's promises beside the observations.

A contradiction stands out and is never averaged away: a broken promise, and a known weakness that was not reproduced
where it should have been. A run that was not made, could not be, or failed is listed as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pandas as pd

from splitbrain.names import FAULT_CLASSES, GUARANTEES, MARK_OF, MARKS
from splitbrain.reports import atomic, page

Json = Mapping[str, Any]
OBSERVED_MARKS = {"violated": "x", "held": "·", "not shown": "·", "undecided": "u"}
STATUSES = ("broken promise", "failed", "not shown", "unknown", "as expected", "cannot", "not run")
SYMBOLS = {
    "broken promise": "✗",
    "failed": "!",
    "not shown": "○",
    "unknown": "?",
    "as expected": "✓",
    "cannot": "–",
    "not run": " ",
}
STYLES = {  # of a guarantee, by promise and observation
    ("guaranteed", "violated"): "wrong",
    ("guaranteed", "held"): "good",
    ("guaranteed", "not shown"): "good",
    ("known-weakness", "violated"): "shown",
    ("known-weakness", "held"): "hidden",
    ("known-weakness", "not shown"): "hidden",
    ("known-weakness", "undecided"): "hidden",
    ("not-promised", "violated"): "may",
}


@dataclass(frozen=True, kw_only=True)
class GuaranteeMarks:
    """The marks of promise and observation of one guarantee, and their style."""

    guarantee: str
    promised: str
    observed: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class MatrixEntry:
    """One entry of the table: a system under a fault class in a runtime."""

    status: str
    symbol: str
    marks: tuple[GuaranteeMarks, ...]
    words: str
    link: str | None
    title: str


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The table of one runtime: its columns, and for each system one entry per column, or None without a result."""

    runtime: str
    fault_classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MatrixEntry | None, ...]], ...]


def write(record: Json, store: Path) -> None:
    """Write matrix.html, matrix.csv, matrix.md and matrix.xml into the store. Raises OSError when it cannot."""
    results: list[Json] = list(record["results"])
    store.mkdir(parents=True, exist_ok=True)
    made = page.environment()
    html = made.get_template("matrix.html").render(
        grids=[grid(results, runtime) for runtime in sorted({str(each["runtime"]) for each in results})],
        counts=_counts(results),
        symbols=SYMBOLS,
        guarantees=GUARANTEES,
        marks=MARKS,
        fault_class_help=FAULT_CLASSES,
        command=record.get("command"),
        findings=[each for each in results if each["status"] in ("broken promise", "failed", "not shown")],
        page_css=page.asset(made, "page.css"),
    )
    atomic.write(store / "matrix.html", html.encode())
    atomic.write(store / "matrix.csv", table(results).to_csv(index=False).encode())
    atomic.write(store / "matrix.md", summary(record).encode())
    atomic.write(store / "matrix.xml", junit(results))


def grid(results: Sequence[Json], runtime: str) -> Grid:
    """The results of one runtime, with systems by name and fault classes in their usual order."""
    here = [each for each in results if each["runtime"] == runtime]
    there = {str(each["fault_class"]) for each in here}
    classes = tuple(each for each in FAULT_CLASSES if each in there)
    at = {(each["system"], each["fault_class"]): each for each in here}
    systems = sorted({str(each["system"]) for each in here})
    rows = tuple(
        (system, tuple(_entry(at[system, each]) if (system, each) in at else None for each in classes))
        for system in systems
    )
    return Grid(runtime=runtime, fault_classes=classes, rows=rows)


def _entry(result: Json) -> MatrixEntry:
    promised, observed = result["promised"], result["observed"]
    marks = tuple(
        GuaranteeMarks(
            guarantee=guarantee,
            promised=MARK_OF[promised[guarantee]],
            observed=OBSERVED_MARKS.get(observed.get(guarantee), " "),
            kind=STYLES.get((promised[guarantee], observed.get(guarantee, "")), "calm"),
        )
        for guarantee in GUARANTEES
        if guarantee in promised
    )
    runs = f"{result['runs']} runs" if result["runs"] != 1 else "1 run"
    return MatrixEntry(
        status=str(result["status"]),
        symbol=SYMBOLS[result["status"]],
        marks=marks,
        words=str(result["words"]),
        link=f"{quote(result['run'])}/report.html" if result["run"] else None,
        title=f"{result['system']} {result['fault_class']}: {_done(result, ', ')}; {runs}; {result['status']}",
    )


def _done(result: Json, between: str) -> str:
    """The nemeses of a run, or the name of its targeted schedule."""
    return str(result["schedule"] or between.join(result["nemesis"]))


def _counts(results: Sequence[Json]) -> list[tuple[str, int]]:
    counted = Counter(str(each["status"]) for each in results)
    return [(status, counted[status]) for status in STATUSES if counted[status]]


def table(results: Sequence[Json]) -> pd.DataFrame:
    """One row per result, with a column for the promise and one for the observation of each guarantee."""
    return pd.DataFrame(
        [
            {
                **{key: each[key] for key in ("system", "fault_class", "runtime", "status")},
                "nemesis": _done(each, "+"),
                **{f"{guarantee} promised": each["promised"].get(guarantee) for guarantee in GUARANTEES},
                **{f"{guarantee} observed": each["observed"].get(guarantee) for guarantee in GUARANTEES},
                **{key: each[key] for key in ("runs", "seconds", "words", "run", "command")},
            }
            for each in results
        ]
    )


def summary(record: Json) -> str:
    """The counts, and each unexpected result with the command that reproduces it, as Markdown."""
    results = record["results"]
    lines = ["# Matrix", "", ", ".join(f"{count} {status}" for status, count in _counts(results)) or "nothing was run"]
    for status in ("broken promise", "failed", "not shown"):
        found = [each for each in results if each["status"] == status]
        if found:
            lines += ["", f"## {status.capitalize()}", ""]
            lines += [_line(each) for each in found]
    return "\n".join([*lines, "", f"Again: `{record.get('command')}`", ""])


def _line(result: Json) -> str:
    again = f": `{result['command']}`" if result["command"] else ""
    return f"- {result['system']} {result['fault_class']} ({result['runtime']}): {result['words']}{again}"


def junit(results: Sequence[Json]) -> bytes:
    """JUnit XML, one test case per result: broken promises fail, failed runs are errors, runs not made are skipped."""
    suite = ElementTree.Element("testsuite", name="splitbrain matrix", tests=str(len(results)))
    for each in results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=f"{each['runtime']}.{each['system']}",
            name=str(each["fault_class"]),
            time=f"{each['seconds']:.1f}",
        )
        match each["status"]:
            case "broken promise":
                ElementTree.SubElement(case, "failure", message=str(each["words"])).text = str(each["command"])
            case "failed":
                ElementTree.SubElement(case, "error", message=str(each["words"]))
            case "cannot" | "not run":
                ElementTree.SubElement(case, "skipped", message=str(each["words"]))
            case _:
                ElementTree.SubElement(case, "system-out").text = f"{each['status']} {each['words']}".strip()
    suite.set("failures", str(sum(each["status"] == "broken promise" for each in results)))
    suite.set("errors", str(sum(each["status"] == "failed" for each in results)))
    suite.set("skipped", str(sum(each["status"] in ("cannot", "not run") for each in results)))
    return bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True))
