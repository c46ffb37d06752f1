"""The data block of a page: the frames as JSON in whole microseconds, for the script of the timeline."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from splitbrain.checkers.history import History
from splitbrain.checkers.words import duration, instant
from splitbrain.reports.fault_windows import packed
from splitbrain.reports.faults import fault_label, fault_words
from splitbrain.reports.frames import Frames, PlacedFinding
from splitbrain.reports.measured import Series
from splitbrain.reports.reigns import DrawnReign

TERM_COLOURS = 6
KEYLESS = 6  # the colour class of claims without a key


def embedded(value: object) -> Markup:
    """JSON for a script element, with the characters escaped that could end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def data(frames: Frames) -> Markup:
    """The data block, in whole microseconds."""
    confirmed, answers = frames.confirms, frames.answers
    drawn = {
        "end": _us(frames.end),
        "nodes": list(frames.nodes),
        "servers": [name in frames.servers for name in frames.nodes],
        "reigns": [_reign(reign, order) for order, reign in enumerate(frames.reigns.rows)],
        "node_faults": [
            [fault.node, _us(fault.start), _us(fault.end), fault.kind, fault.window] for fault in frames.node_faults
        ],
        "incidents": [[span.node, _us(span.start), _us(span.end), span.kind, span.words] for span in frames.incidents],
        "faults": [
            {
                "begin": _us(window.begin),
                "effect": None if window.effect is None else _us(window.effect),
                "undo": None if window.undo is None else _us(window.undo),
                "end": _us(window.end),
                "row": row,
                "kind": window.kind,
                "skipped": bool(window.fault.skipped),
                "label": fault_label(window),
                "short": window.shape,
                "words": fault_words(window),
            }
            for window, row in zip(frames.faults, packed(frames.faults), strict=True)
        ],
        "overlaps": [_marked(mark, _length(mark)) for mark in frames.overlaps],
        "stalls": [_marked(mark, f"stall {duration(mark.end - mark.start)}") for mark in frames.stalls],
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
    return embedded(drawn)


def _us(nanoseconds: int) -> int:
    return nanoseconds // 1000


def _steps(times: Any) -> list[int]:
    listed: list[int] = np.diff(times, prepend=0).tolist()
    return listed


def _reign(reign: DrawnReign, order: int) -> list[object]:
    keyed = reign.key is not None
    label = f"term {reign.term}" if reign.term is not None else f"reign {reign.key}" if keyed else "claims"
    number = KEYLESS if not keyed else (order if reign.term is None else reign.term) % TERM_COLOURS
    times = [_us(at) for at in (reign.earliest, reign.first, reign.last, reign.latest)]
    return [reign.node, *times, label, number, reign.claims, reign.line, int(keyed)]


def _length(mark: PlacedFinding) -> str:
    return duration(mark.end - mark.start) if mark.end > mark.start else "an instant"


def _marked(mark: PlacedFinding, label: str) -> dict[str, object]:
    text = f"{mark.words}\n{instant(mark.start)} to {instant(mark.end)}"
    if mark.evidence:
        text += f"\nhistory lines {', '.join(map(str, mark.evidence))}"
    return {"from": _us(mark.start), "to": _us(mark.end), "words": text, "label": label}


def digits(shares: Iterable[float]) -> str:
    """Shares 0..1 as one digit 0..9 each, and NaN as a hyphen."""
    return "".join("-" if math.isnan(share) else str(round(share * 9)) for share in shares)


def _rate_tracks(rows: Sequence[Series]) -> list[dict[str, object]]:
    return [
        {
            "name": f"{row.f}",
            "unit": "answers/s",
            "width": row.width / 1000,
            "lines": [
                {"name": "ok per second", "values": _values(row.ok_per_s)},
                {"name": "failed or unknown per second", "values": _values(row.failed_per_s)},
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
    if not np.nanmax(late.worst_ms, initial=0) > 0:
        return []  # not measured, or in virtual time, where the controller is never late
    lines = [
        {"name": "median, ms", "values": _values(late.median_ms)},
        {"name": "worst, ms", "values": _values(late.worst_ms)},
    ]
    return [{"name": "controller", "unit": "late, ms", "width": late.width / 1000, "lines": lines}]


def _values(numbers: Any) -> list[float | None]:
    """Values with three significant digits, which is below a pixel; NaN becomes null, a gap in the line."""
    return [None if math.isnan(number) else float(f"{number:.3g}") for number in numbers.tolist()]


def notes(frames: Frames, history: History) -> list[str]:
    """Sentences on data that the timeline omits."""
    sentences = []
    if history.truncated:
        sentences.append("The last line of the history is incomplete, as after a killed run, and is ignored.")
    if frames.reigns.left_out:
        sentences.append(
            f"Only the {len(frames.reigns.rows):,} longest reigns are drawn; {frames.reigns.left_out:,} are omitted."
        )
    if frames.confirms.times is None:
        sentences.append(f"The {frames.confirms.total:,} confirmations are drawn as a rate only.")
    if frames.confirms.quiet_left_out:
        sentences.append(f"Gaps between confirmations omitted, the shortest ones: {frames.confirms.quiet_left_out:,}.")
    if frames.terms.left_out:
        sentences.append(f"Later changes of term omitted: {frames.terms.left_out:,}.")
    if frames.confirms.total:
        sentences.append(
            f"“No leadership” shows gaps between confirmations of more than "
            f"{frames.confirms.quiet_longer_than / 1e6:,.0f} ms. Stalls are findings of the checker."
        )
    return sentences
