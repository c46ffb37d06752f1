"""The table of properties: verdict, explanation and evidence lines of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Observed
from splitbrain.checkers.words import instant
from splitbrain.reports import words

MAX_FINDINGS = 50
MAX_EVIDENCE = 24
MAX_LINE = 1_500

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class EvidenceLine:
    text: str


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    words: str
    lines: str
    start: int  # µs, for the timeline
    end: int
    mark: bool


@dataclass(frozen=True, kw_only=True)
class PropertyRow:
    name: str
    slug: str
    verdict: str
    observed: str
    kind: str | None
    promised: str
    words: str
    numbers: str
    evidence: tuple[EvidenceLine, ...]
    evidence_left_out: int
    evidence_note: str | None
    findings: tuple[FindingRow, ...]
    findings_total: int
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    name: str
    slug: str
    meaning: str


def property_rows(verdicts: Json, history: History, file: Path) -> list[PropertyRow]:
    """The rows of the properties with their evidence from the history: worst first, then those with findings, and last
    those that are not judged."""
    rows = sorted(words.rows(verdicts), key=lambda item: _weight(item[1]))
    invoked = invocations(history, {index for _, row in rows for index in _evidence(row)})
    text = lines_of(file, {index for _, row in rows for index in _cited(row, invoked)})
    return [_property_row(name, row, invoked, text) for name, row in rows]


def _weight(row: Json) -> tuple[int, bool]:
    outcome = {"invalid": 0, "unknown": 1, Observed.NOT_JUDGED: 3}.get(str(row.get("verdict")), 2)
    return outcome, words.observed(row) != Observed.VIOLATED


def _evidence(row: Json) -> list[int]:
    return [index for index in words.sequence(row.get("evidence")) if isinstance(index, int)]


def _cited(row: Json, invoked: Mapping[int, int]) -> list[int]:
    """The lines of the evidence, each completion with its invocation."""
    shown = _evidence(row)[:MAX_EVIDENCE]
    return sorted({*shown, *(invoked[index] for index in shown if index in invoked)})


def _property_row(name: str, row: Json, invoked: Mapping[int, int], text: Mapping[int, str]) -> PropertyRow:
    evidence, cited = _evidence(row), _cited(row, invoked)
    found = [words.mapping(finding) for finding in words.sequence(row.get("findings"))]
    lines = tuple(
        EvidenceLine(text=f"{'→' if index in evidence else ' '} {index:>7}  {text[index]}")
        for index in cited
        if index in text
    )
    absent = [index for index in cited if index not in text]
    note = "Arrows mark the evidence; the other lines are its invocations." if lines else None
    if absent:
        note = f"Not found in history.jsonl beside this page: lines {', '.join(map(str, absent))}."
    return PropertyRow(
        name=name,
        slug=slug(name),
        verdict=str(row.get("verdict") or "unknown"),
        observed=words.observed(row),
        kind=None if row.get("class") is None else str(row["class"]),
        promised=words.promise(row),
        words=str(row.get("words") or ""),
        numbers=", ".join(map(str, evidence[:MAX_EVIDENCE])),
        evidence=lines or tuple(EvidenceLine(text=str(index)) for index in evidence[:MAX_EVIDENCE]),
        evidence_left_out=max(0, len(evidence) - MAX_EVIDENCE),
        evidence_note=note,
        findings=tuple(_finding_row(finding) for finding in found[:MAX_FINDINGS]),
        findings_total=len(found),
        facts=tuple((str(key).replace("_", " "), words.plain(value)) for key, value in _figures(row.get("facts"))),
    )


def _figures(facts: object) -> Iterable[tuple[str, Any]]:
    """The short facts. Long lists and tables are shown elsewhere on the page."""
    for key, value in words.mapping(facts).items():
        items = value.values() if isinstance(value, Mapping) else words.sequence(value)
        if len(items) <= 12 and not any(isinstance(item, (Mapping, list, tuple)) for item in items):
            yield _readable(str(key), value)


def _readable(key: str, value: object) -> tuple[str, object]:
    """The fact with its nanoseconds converted to readable units."""
    if key.endswith("_ns") and isinstance(value, (int, float)):
        return f"{key[:-3]}, ms", f"{value / 1e6:,.1f}"
    if key == "unavailable" and isinstance(value, (list, tuple)):
        return key, " to ".join(instant(at) for at in value)
    return key, value


def _finding_row(finding: Json) -> FindingRow:
    start, end = finding.get("start"), finding.get("end")
    placed = isinstance(start, int) and isinstance(end, int)
    return FindingRow(
        words=str(finding.get("words") or ""),
        lines=", ".join(str(index) for index in words.sequence(finding.get("evidence"))[:MAX_EVIDENCE]),
        start=start // 1000 if isinstance(start, int) else 0,
        end=end // 1000 if isinstance(end, int) else 0,
        mark=placed,
    )


def invocations(history: History, completions: set[int]) -> dict[int, int]:
    """The line of the invocation for each of these lines that is a completion."""
    wanted = np.fromiter(completions, np.int64, len(completions))
    found: dict[int, int] = {}
    for done in (history.observations, *history.others.values()):
        rows = np.flatnonzero(np.isin(done.complete_index, wanted))
        found.update(zip(done.complete_index[rows].tolist(), done.invoke_index[rows].tolist(), strict=True))
    return found


def lines_of(file: Path, wanted: set[int]) -> dict[int, str]:
    """The wanted lines of a history file, verbatim, by line number from 0; none if the file is missing."""
    if not wanted or not file.is_file():
        return {}
    found: dict[int, str] = {}
    last = max(wanted)
    with file.open("rb") as lines:
        for number, line in enumerate(lines):
            if number in wanted:
                text = line.decode(errors="replace").rstrip("\n")
                found[number] = text if len(text) <= MAX_LINE else text[:MAX_LINE] + "… (cut here)"
            if number >= last:
                break
    return found


def meanings(verdicts: Json) -> list[Meaning]:
    """The definitions of the judged properties, then those of all others."""
    judged = [str(name) for name in words.mapping(verdicts.get("properties"))]
    names = [*judged, *(name for name in words.MEANINGS if name not in judged)]
    return [Meaning(name=name, slug=slug(name), meaning=words.MEANINGS.get(name, words.NO_MEANING)) for name in names]


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
