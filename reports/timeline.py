"""What the timeline's script draws: the frames in whole microseconds, as JSON that may stand in a page."""

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
from splitbrain.reports.frames import Frames, Mark
from splitbrain.reports.measured import Series
from splitbrain.reports.reigns import Reign

TERM_COLOURS = 6
KEYLESS = 6  # the colour class of claims without a key


def embedded(value: object) -> Markup:
    """JSON that may stand inside a script element: no character in it can end the element or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def data(frames: Frames) -> Markup:
    """What the script draws, in whole microseconds."""
    confirmed, answers = frames.confirms, frames.answers
    drawn = {
        "end": _us(frames.end),
        "nodes": list(frames.nodes),
        "servers": [name in frames.servers for name in frames.nodes],
        "reigns": [_reign(reign, order) for order, reign in enumerate(frames.reigns.rows)],
        "states": [[state.node, _us(state.start), _us(state.end), state.kind, state.window] for state in frames.states],
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
            for window, row in zip(frames.hurt, packed(frames.hurt), strict=True)
        ],
        "overlaps": [_marked(mark, duration(mark.end - mark.start)) for mark in frames.overlaps],
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


def _reign(reign: Reign, order: int) -> list[object]:
    keyed = reign.key is not None
    label = f"term {reign.term}" if reign.term is not None else f"reign {reign.key}" if keyed else "claims"
    number = KEYLESS if not keyed else (order if reign.term is None else reign.term) % TERM_COLOURS
    times = [_us(at) for at in (reign.earliest, reign.first, reign.last, reign.latest)]
    return [reign.node, *times, label, number, reign.claims, reign.line, int(keyed)]


def _marked(mark: Mark, label: str) -> dict[str, object]:
    told = f"{mark.words}\n{instant(mark.start)} to {instant(mark.end)}"
    if mark.evidence:
        told += f"\nhistory lines {', '.join(map(str, mark.evidence))}"
    return {"from": _us(mark.start), "to": _us(mark.end), "words": told, "label": label}


def digits(shares: Iterable[float]) -> str:
    """Shares 0..1 as one digit each; - where there is none."""
    return "".join("-" if math.isnan(share) else str(round(share * 9)) for share in shares)


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
    if not np.nanmax(late.worst_ms, initial=0) > 0:
        return []  # never measured, or a controller in virtual time, which is never late
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
