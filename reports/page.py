"""One run as one HTML file: verdict first, then what happened, what was done, and how it was made.

The page is self-contained: it loads nothing, and opens from a disk with no network. Every word that came from the
run enters it as text (autoescaped, or inside a JSON block in which `<`, `>` and `&` are escaped), so a hostile node
name or error message stays a string.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from checkers.history import History
from reports import words
from reports.frames import Frames, Mark, Recovery, Reign, Series, Window

TERM_COLOURS = 6
KEYLESS = 6  # the colour class of claims without a key
MAX_FINDINGS = 50
MAX_EVIDENCE = 24
MAX_FAULT_ROWS = 400
MAX_LINE = 1_500
_FAULT_ROWS_DRAWN = 5

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Line:
    text: str


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    words: str
    when: str
    lines: str
    start: int  # µs, for the timeline
    end: int
    mark: bool


@dataclass(frozen=True, kw_only=True)
class PropertyRow:
    name: str
    slug: str
    verdict: str
    kind: str | None
    promise: str
    weakness: str | None
    words: str
    numbers: str
    evidence: tuple[Line, ...]
    evidence_left_out: int
    evidence_note: str | None
    findings: tuple[FindingRow, ...]
    findings_total: int
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    id: str
    name: str
    targets: str
    begun: str
    effect: str
    verified: str
    undone: str
    gap: str
    recovery: str
    agreement: str
    start: int  # µs, for the timeline
    end: int
    mark: bool


@dataclass(frozen=True, kw_only=True)
class Picture:
    file: str
    words: str
    data: str
    width: int


@dataclass(frozen=True, kw_only=True)
class Group:
    name: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    name: str
    slug: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything the template shows, already in words."""

    title: str
    verdict: str
    headline: str
    weaknesses: list[str]
    facts: list[str]
    command: str | None
    missing: list[str]
    properties: list[PropertyRow]
    timeline: Markup | None
    notes: list[str]
    faults: list[FaultRow] | None
    faults_note: str | None
    recovery: Json | None
    pictures: list[Picture]
    made: list[Group]
    files: list[str]
    meanings: list[Meaning]


def environment() -> Environment:
    """The templates of this package, with everything escaped unless it says otherwise."""
    loader = PackageLoader("reports", "templates")
    made = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    made.globals["symbols"] = words.SYMBOLS
    return made


def asset(made: Environment, name: str) -> Markup:
    """A style sheet or script of this package, as it stands."""
    assert made.loader is not None
    return Markup(made.loader.get_source(made, name)[0])


def html(page: Page) -> bytes:
    made = environment()
    text = made.get_template("report.html").render(
        page=page,
        page_css=asset(made, "page.css"),
        report_css=asset(made, "report.css"),
        report_js=asset(made, "report.js"),
    )
    return text.encode()


def embedded(value: object) -> Markup:
    """JSON that may stand inside a script element: no character in it can end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def picture(file: str, description: str, png: bytes, width: int) -> Picture:
    data = "data:image/png;base64," + base64.b64encode(png).decode()
    return Picture(file=file, words=description, data=data, width=width)


# ---- what was judged ----


def property_rows(verdicts: Json, history: History, file: Path) -> list[PropertyRow]:
    """The properties, worst first, each with the history lines that prove it."""
    rows = [(str(name), words.mapping(row)) for name, row in words.mapping(verdicts.get("properties")).items()]
    severity = {"invalid": 0, "unknown": 1}
    rows.sort(key=lambda item: severity.get(str(item[1].get("verdict")), 2))
    asked = asked_in(history)
    wanted = {index for _, row in rows for index in _cited(row, asked)}
    text = lines_of(file, wanted)
    return [_property_row(name, row, asked, text) for name, row in rows]


def _cited(row: Json, asked: Mapping[int, int]) -> list[int]:
    """The evidence, each completion preceded by the invocation that opened its window."""
    shown = [index for index in words.sequence(row.get("evidence")) if isinstance(index, int)][:MAX_EVIDENCE]
    return sorted({*shown, *(asked[index] for index in shown if index in asked)})


def _property_row(name: str, row: Json, asked: Mapping[int, int], text: Mapping[int, str]) -> PropertyRow:
    evidence = [index for index in words.sequence(row.get("evidence")) if isinstance(index, int)]
    cited = _cited(row, asked)
    found = [words.mapping(finding) for finding in words.sequence(row.get("findings"))]
    lines = tuple(
        Line(text=f"{'→' if index in evidence else ' '} {index:>7}  {text[index]}") for index in cited if index in text
    )
    absent = [index for index in cited if index not in text]
    note = "An arrow marks the evidence; the other lines are the invocations that it answers." if lines else None
    if absent:
        note = f"Not found in history.jsonl beside this page: lines {', '.join(map(str, absent))}."
    return PropertyRow(
        name=name,
        slug=slug(name),
        verdict=str(row.get("verdict") or "unknown"),
        kind=None if row.get("class") is None else str(row["class"]),
        promise=words.promise(row),
        weakness={"shown": "shown", "not shown": "not shown"}.get(str(row.get("weakness"))),
        words=str(row.get("words") or ""),
        numbers=", ".join(map(str, evidence[:MAX_EVIDENCE])),
        evidence=lines or tuple(Line(text=str(index)) for index in evidence[:MAX_EVIDENCE]),
        evidence_left_out=max(0, len(evidence) - MAX_EVIDENCE),
        evidence_note=note,
        findings=tuple(_finding_row(finding) for finding in found[:MAX_FINDINGS]),
        findings_total=len(found),
        facts=tuple((str(key).replace("_", " "), words.plain(value)) for key, value in _figures(row.get("facts"))),
    )


def _figures(facts: object) -> Iterable[tuple[str, Any]]:
    """The facts that are figures or short; long lists and tables of them have their own places on the page."""
    for key, value in words.mapping(facts).items():
        if isinstance(value, (list, tuple)) and len(value) > 12:
            continue
        if isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list)) for item in value):
            continue
        if isinstance(value, Mapping) and any(isinstance(item, (Mapping, list)) for item in value.values()):
            continue
        yield _in_ms(str(key), value)


def _in_ms(key: str, value: object) -> tuple[str, object]:
    """Nanoseconds are no figures for people."""
    if not key.endswith("_ns") or not isinstance(value, (int, float)) or isinstance(value, bool):
        return key, value
    return f"{key[:-3]}, ms", f"{value / 1e6:,.1f}"


def _finding_row(finding: Json) -> FindingRow:
    start, end = finding.get("start"), finding.get("end")
    placed = isinstance(start, int) and isinstance(end, int)
    return FindingRow(
        words=str(finding.get("words") or ""),
        when=f"{start / 1e9:.3f} to {end / 1e9:.3f} s" if isinstance(start, int) and isinstance(end, int) else "",
        lines=", ".join(str(index) for index in words.sequence(finding.get("evidence"))[:MAX_EVIDENCE]),
        start=start // 1000 if isinstance(start, int) else 0,
        end=end // 1000 if isinstance(end, int) else 0,
        mark=placed,
    )


def asked_in(history: History) -> dict[int, int]:
    """Of each completed operation, the line of its invocation by the line of its completion."""
    found: dict[int, int] = {}
    for f in ("observe", "confirm"):
        done = history.operations(f)
        completed = done.complete_index >= 0
        pairs = zip(done.complete_index[completed].tolist(), done.invoke_index[completed].tolist(), strict=True)
        found.update(pairs)
    return found


def lines_of(file: Path, wanted: set[int]) -> dict[int, str]:
    """Some lines of a history file, verbatim, by their number from 0; a missing file gives none."""
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
    """What the judged properties mean, then those that were not judged."""
    judged = [str(name) for name in words.mapping(verdicts.get("properties"))]
    names = [*judged, *(name for name in words.MEANINGS if name not in judged)]
    return [Meaning(name=name, slug=slug(name), meaning=words.MEANINGS.get(name, words.NO_MEANING)) for name in names]


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())


# ---- what happened ----


def timeline(frames: Frames) -> Markup:
    """What the script draws, in whole microseconds."""
    confirmed, answers = frames.confirms, frames.answers
    data = {
        "end": _us(frames.end),
        "nodes": list(frames.nodes),
        "reigns": [_reign(reign, order) for order, reign in enumerate(frames.reigns.rows)],
        "states": [
            [state.node, _us(state.start), _us(state.end), state.kind, fault_words(frames.hurt[state.window])]
            for state in frames.states
        ],
        "faults": [
            {
                "begin": _us(window.begin),
                "effect": None if window.effect is None else _us(window.effect),
                "undo": None if window.undo is None else _us(window.undo),
                "end": _us(window.end),
                "row": row,
                "kind": window.kind,
                "skipped": bool(window.fault.skipped),
                "label": _fault_label(window),
                "words": fault_words(window),
            }
            for window, row in zip(frames.hurt, packed(frames.hurt), strict=True)
        ],
        "overlaps": [_marked(mark, _lasting(mark)) for mark in frames.overlaps],
        "stalls": [_marked(mark, f"stall {_lasting(mark)}") for mark in frames.stalls],
        "quiet": [[_us(start), _us(end)] for start, end in confirmed.quiet],
        "confirmed": confirmed.total > 0,
        "confirms": [] if confirmed.times is None else [_steps(times // 1000) for times in confirmed.times],
        "answers": {
            "width": answers.width / 1000,
            "answered": [digits(row) for row in answers.answered.tolist()],
            "leading": [digits(row) for row in answers.leading.tolist()],
        },
        "terms": [[[_us(at), term] for at, term in steps] for steps in frames.terms.steps],
        "series": [*_rate_tracks(frames.series), *_latency_tracks(frames.series), *_lateness_track(frames)],
    }
    return embedded(data)


def _us(nanoseconds: int) -> int:
    return nanoseconds // 1000


def _steps(times: Any) -> list[int]:
    listed: list[int] = np.diff(times, prepend=0).tolist()
    return listed


def _reign(reign: Reign, order: int) -> list[object]:
    keyed = reign.key is not None
    label = f"term {reign.term}" if reign.term is not None else f"reign {reign.key}" if keyed else "claims"
    number = KEYLESS if not keyed else (order if reign.term is None else reign.term) % TERM_COLOURS
    times = [_us(at) for at in (reign.earliest, reign.first, reign.last, reign.latest)]
    return [reign.node, *times, label, number, reign.claims, reign.line, int(keyed)]


def _marked(mark: Mark, label: str) -> dict[str, object]:
    told = f"{mark.words}\n{mark.start / 1e9:.3f} to {mark.end / 1e9:.3f} s"
    if mark.evidence:
        told += f"\nhistory lines {', '.join(map(str, mark.evidence))}"
    return {"from": _us(mark.start), "to": _us(mark.end), "words": told, "label": label}


def _lasting(mark: Mark) -> str:
    length = mark.end - mark.start
    return f"{length / 1e9:.2f} s" if length >= 1e9 else f"{length / 1e6:.1f} ms"


def digits(shares: Iterable[float]) -> str:
    """Shares 0..1 as one digit each; - where there is none."""
    return "".join("-" if math.isnan(share) else str(round(share * 9)) for share in shares)


def packed(hurt: Sequence[Window]) -> list[int]:
    """A row for each fault, such that faults of one row do not overlap (beyond five rows they may)."""
    ends: list[int] = []
    rows = []
    for window in hurt:
        row = next((row for row, end in enumerate(ends) if end <= window.begin), len(ends))
        row = min(row, _FAULT_ROWS_DRAWN - 1)
        if row == len(ends):
            ends.append(window.end)
        ends[row] = max(ends[row], window.end)
        rows.append(row)
    return rows


def _fault_label(window: Window) -> str:
    name = window.shape if not window.fault.skipped else f"skipped: {window.shape}"
    return f"{name} ({', '.join(window.fault.nodes)})" if 0 < len(window.fault.nodes) <= 3 else name


def fault_words(window: Window) -> str:
    """A fault in one sentence with its times."""
    fault = window.fault
    told = f"{fault.f} #{fault.id}" if window.shape == fault.f else f"{fault.f} #{fault.id}, {window.shape}"
    told += f": {targets(window)}" if targets(window) else ""
    if fault.skipped:
        return f"{told}\nskipped: {fault.skipped}"
    told += f"\nbegun {window.begin / 1e9:.3f} s"
    if window.effect is not None:
        told += f", in effect {(window.effect - window.begin) / 1e6:.1f} ms later"
    told += f", undone {window.end / 1e9:.3f} s" if window.undone else ", never undone"
    return told + ("\nits effect could NOT be verified" if fault.verified is False else "")


def targets(window: Window) -> str:
    """The nodes and links that a fault names."""
    nodes, links = window.fault.nodes, window.fault.links
    told = [", ".join(nodes)] if nodes else []
    if links:
        pairs = ", ".join(f"{a}→{b}" for a, b in links)
        told.append(pairs if len(links) <= 4 else f"{len(links)} links")
    return "; ".join(told)


def _rate_tracks(rows: Sequence[Series]) -> list[dict[str, object]]:
    return [
        {
            "name": f"{row.f}",
            "unit": "answers a second",
            "width": row.width / 1000,
            "lines": [
                {"name": "ok a second", "values": _values(row.ok_per_s)},
                {"name": "failed or unknown", "values": _values(row.failed_per_s)},
            ],
        }
        for row in rows
    ]


def _latency_tracks(rows: Sequence[Series]) -> list[dict[str, object]]:
    return [
        {
            "name": row.f,
            "unit": "latency, ms",
            "width": row.width / 1000,
            "log": True,
            "band": [0, 1],
            "lines": [
                {"name": "median, ms", "values": _values(row.p50_ms)},
                {"name": "99th percentile, ms", "values": _values(row.p99_ms)},
            ],
        }
        for row in rows
        if not np.isnan(row.p50_ms).all()
    ]


def _lateness_track(frames: Frames) -> list[dict[str, object]]:
    late = frames.lateness
    if np.isnan(late.worst_ms).all():
        return []
    lines = [
        {"name": "median, ms", "values": _values(late.median_ms)},
        {"name": "worst, ms", "values": _values(late.worst_ms)},
    ]
    return [{"name": "controller", "unit": "late, ms", "width": late.width / 1000, "lines": lines}]


def _values(numbers: Any) -> list[float | None]:
    """Three significant digits are more than a pixel; NaN is a hole in the line."""
    return [None if math.isnan(number) else float(f"{number:.3g}") for number in numbers.tolist()]


def notes(frames: Frames, history: History) -> list[str]:
    """What the timeline leaves out, said beside it."""
    told = []
    if history.truncated:
        told.append("The last line of the history was cut off, as in a run that was killed; it is left out.")
    if frames.reigns.left_out:
        told.append(
            f"{len(frames.reigns.rows):,} reigns are drawn, the longest ones; {frames.reigns.left_out:,} are not."
        )
    if frames.confirms.times is None:
        told.append(f"{frames.confirms.total:,} confirmations are too many to draw one by one; their rate is drawn.")
    if frames.confirms.quiet_left_out:
        told.append(f"{frames.confirms.quiet_left_out:,} of the shorter gaps without confirmation are not drawn.")
    if frames.terms.left_out:
        told.append(f"{frames.terms.left_out:,} later changes of term are not drawn.")
    if frames.confirms.total:
        told.append(
            f"“No leadership” shows gaps between confirmations longer than "
            f"{frames.confirms.quiet_longer_than / 1e6:,.0f} ms; a stall is what the checker proved."
        )
    return told


# ---- what was done ----


def fault_rows(frames: Frames) -> list[FaultRow]:
    return [_fault_row(window, frames) for window in frames.hurt[:MAX_FAULT_ROWS]]


def _fault_row(window: Window, frames: Frames) -> FaultRow:
    fault, effect = window.fault, frames.effects.get(str(window.fault.id))
    verified = {True: "yes", False: "NO", None: "not stated"}[fault.verified]
    return FaultRow(
        id=str(fault.id),
        name=fault.f if window.shape == fault.f else f"{fault.f}: {window.shape}",
        targets=targets(window),
        begun=f"{window.begin / 1e9:.2f}",
        effect="–" if window.effect is None or fault.skipped else f"{(window.effect - window.begin) / 1e6:.1f}",
        verified=f"skipped: {fault.skipped}" if fault.skipped else verified,
        undone=f"{window.end / 1e9:.2f}" if window.undone else "–" if fault.skipped else "never",
        gap=words.seconds(effect.gap_s if effect else None),
        recovery=words.seconds(effect.recovery_s if effect else None),
        agreement=words.seconds(effect.agreement_s if effect else None),
        start=_us(window.begin),
        end=_us(window.end),
        mark=True,
    )


def faults_note(frames: Frames, schedule: Json) -> str:
    """How many faults were planned, begun, verified and skipped."""
    planned, begun = len(words.sequence(schedule.get("steps"))), len(frames.hurt)
    if not begun:
        return "No fault was begun." + (f" {planned} were planned." if planned else "")
    skipped = sum(1 for window in frames.hurt if window.fault.skipped)
    failed = sum(1 for window in frames.hurt if window.fault.verified is False)
    told = [f"{begun} begun" + (f" of {planned} planned" if planned else "")]
    told += [f"{skipped} skipped"] if skipped else []
    told += [f"{failed} not verified to have taken effect"] if failed else []
    told += [f"the first {MAX_FAULT_ROWS} are listed"] if begun > MAX_FAULT_ROWS else []
    return "; ".join(told).capitalize() + "."


_CHART_LEFT, _CHART_RIGHT = 210, 965


def recovery_chart(frames: Frames) -> Json | None:
    """The recovery times as positions of a 980 wide drawing; None when no fault was measured."""
    rows, bound = frames.recovery, frames.bound_s
    if not any(row.seconds for row in rows):
        return None
    worst = max([value for row in rows for value in row.seen] + [bound or 0.0]) or 1.0
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1e3, 1e4, 1e9) if worst * 1.08 / s <= 10)

    def x(value: float) -> float:
        return round(_CHART_LEFT + value / (worst * 1.08) * (_CHART_RIGHT - _CHART_LEFT), 1)

    return {
        "height": 64 + 34 * len(rows),
        "ticks": [{"x": x(k * step), "label": f"{k * step:g}"} for k in range(int(worst * 1.08 / step) + 1)],
        "bound_x": None if bound is None else x(bound),
        "bound_label": "" if bound is None else f"bound {bound:g} s",
        "rows": [_recovery_row(row, 38 + 34 * number, x) for number, row in enumerate(rows)],
        "never": sum(len(row.seconds) - len(row.seen) for row in rows),
        "words": "; ".join(_recovery_words(row) for row in rows),
    }


def _recovery_row(row: Recovery, y: int, x: Any) -> Json:
    measured = [(value, fault) for value, fault in zip(row.seconds, row.faults, strict=True) if value is not None]
    unseen = [fault for value, fault in zip(row.seconds, row.faults, strict=True) if value is None]
    return {
        "y": y,
        "name": row.shape,
        "summary": f"{len(row.seen)} of {len(row.seconds)}",
        "median_x": x(float(np.median(row.seen))) if row.seen else None,
        "dots": [
            {"x": x(value), "y": round(y + aside, 1), "words": f"fault {fault}: {value:.2f} s"}
            for (value, fault), aside in zip(measured, spread(len(measured)), strict=True)
        ],
        "never": [
            {"x": _CHART_RIGHT, "y": round(y + aside, 1), "words": f"fault {fault}: none seen"}
            for fault, aside in zip(unseen, spread(len(unseen)), strict=True)
        ],
    }


def spread(count: int, reach: float = 8) -> list[float]:
    """Offsets that keep the dots of one row apart, always the same."""
    return [reach * ((i * 0.618034) % 1 * 2 - 1) if count > 1 else 0.0 for i in range(count)]


def _recovery_words(row: Recovery) -> str:
    if not row.seen:
        return f"{row.shape}: no recovery seen"
    return f"{row.shape}: median {float(np.median(row.seen)):.2f} s, longest {max(row.seen):.2f} s"


# ---- how it was made ----


def facts(history: History, frames: Frames, experiment: Json) -> list[str]:
    """The line under the headline."""
    seen, confirmed = history.observations, history.operations("confirm")
    told = [
        f"{len(history.nodes)} nodes",
        f"{history.end / 1e9:.1f} s",
        f"{len(frames.hurt)} {'fault' if len(frames.hurt) == 1 else 'faults'}",
        f"{len(seen.invoke):,} observations",
        f"{len(confirmed.invoke):,} confirmations asked",
    ]
    told += [f"seed {experiment['seed']}"] if experiment.get("seed") is not None else []
    told += [f"runtime {experiment['runtime']}"] if experiment.get("runtime") else []
    told += [str(experiment["started_utc"])] if experiment.get("started_utc") else []
    return told


def made(experiment: Json) -> list[Group]:
    """Everything the experiment says of itself, in groups; unknown keys are shown too."""
    grouped = ("versions", "durations_s", "workload", "bounds", "promises")
    names = {"durations_s": "durations, s", "workload": "workload", "bounds": "bounds", "promises": "promises"}
    apart = {*grouped, "command", "format", "node_names"}
    top = [(key, value) for key, value in experiment.items() if key not in apart]
    groups = [Group(name="experiment", rows=_rows(top))]
    for key in grouped:
        rows = _rows(words.mapping(experiment.get(key)).items())
        if rows:
            groups.append(Group(name=names.get(key, key), rows=rows))
    return [group for group in groups if group.rows]


def _rows(items: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(key).replace("_", " "), words.plain(value)) for key, value in items)
