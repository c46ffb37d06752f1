"""Report of one run: a page and its figures, written into the run's directory.

A figure that cannot be drawn affects neither the other figures nor the page, and the page states the reason. The
verdict is stored before anything is drawn and is never changed here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from splitbrain.checkers.history import History
from splitbrain.reports import atomic, faults, page, timeline, words
from splitbrain.reports import frames as framing
from splitbrain.reports.frames import Frames
from splitbrain.reports.properties import meanings, property_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
Json = Mapping[str, Any]

_DPI = 110
_FILES = ("history.jsonl", "schedule.json", "experiment.json", "verdicts.json", "logs")


class _Run(NamedTuple):
    """The stored parts of a run, and its directory."""

    history: History
    verdicts: Json
    experiment: Json
    schedule: Json
    directory: Path


class Attempts:
    """Makes the parts of a report one by one and collects failures as sentences."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def __call__(self, part: str, make: Callable[[], T]) -> T | None:
        """The result of `make`, or None after a failure, which is recorded under the name of the part."""
        try:
            return make()
        except Exception as error:  # a failure in one part must not cost the others
            self.failures.append(f"{part} could not be made: {type(error).__name__}: {error}")
            return None


def render(history: History, verdicts: Json, experiment: Json, schedule: Json, directory: Path) -> list[Path]:
    """Write report.html and the figures of a run into its directory; returns the files written.

    `verdicts`, `experiment` and `schedule` are the stored JSON objects; any key may be missing. Raises OSError when the
    directory cannot be written.
    """
    run = _Run(history, verdicts, experiment, schedule, directory)
    attempt = Attempts()
    frames = attempt("The measurements", lambda: framing.gather(history, verdicts, experiment))
    written, pictures = _pictures(frames, directory, attempt) if frames else ([], [])
    shown = _page(run, frames, pictures, attempt)
    return [atomic.write(directory / "report.html", page.html(shown)), *written]


def _pictures(frames: Frames, directory: Path, attempt: Attempts) -> tuple[list[Path], list[page.Picture]]:
    written, pictures = [], []
    for name, (description, draw) in _figures(frames).items():
        path = directory / name
        png = attempt(f"The figure {name}", lambda draw=draw: _png(draw()))  # type: ignore[misc]
        if png is None:
            path.unlink(missing_ok=True)  # a figure left from an earlier report would look like a current one
            continue
        written.append(atomic.write(path, png))
        pictures.append(page.picture(name, description, png))
    return written, pictures


def _figures(frames: Frames) -> Mapping[str, tuple[str, Callable[[], Figure]]]:
    # Imported late: matplotlib takes half a second, and commands that draw nothing should not wait for it.
    from splitbrain.reports import figures

    return {
        "timeline.png": (
            "Leadership by node, with faults, proven overlaps of leaders, stalls and gaps between confirmations.",
            lambda: figures.timeline(
                nodes=frames.nodes,
                end=frames.end,
                reigns=frames.reigns,
                faults=frames.faults,
                node_faults=(*frames.node_faults, *frames.incidents),
                overlaps=frames.overlaps,
                stalls=frames.stalls,
                quiet=frames.confirms.quiet,
            ),
        ),
        "terms.png": (
            "Observed term of each node over time; faults are shaded.",
            lambda: figures.terms(nodes=frames.nodes, end=frames.end, steps=frames.terms, faults=frames.faults),
        ),
        "recovery.png": (
            "Recovery time by shape of the fault.",
            lambda: figures.recovery(rows=frames.recovery, bounds=frames.bounds),
        ),
        "rates.png": (
            "Response rate of each operation, and the lateness of the controller.",
            lambda: figures.rates(rows=frames.series, late=frames.lateness, end=frames.end, faults=frames.faults),
        ),
        "latency.png": (
            "Latency of each operation: median and 99th percentile.",
            lambda: figures.latency(rows=frames.series, end=frames.end, faults=frames.faults),
        ),
    }


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def _page(run: _Run, frames: Frames | None, pictures: list[page.Picture], attempt: Attempts) -> page.Page:
    def of(part: str, make: Callable[[Frames], T]) -> T | None:
        return None if frames is None else attempt(part, lambda: make(frames))

    file = run.directory / _FILES[0]
    command = run.experiment.get("command")
    return page.Page(
        title=words.title(run.experiment),
        verdict=words.verdict_of(run.verdicts),
        headline=words.headline(run.verdicts, run.experiment),
        not_reproduced=words.not_reproduced(run.verdicts),
        remarks=words.remarks(run.verdicts, run.experiment),
        facts=of("The summary line", lambda frames: page.facts(run.history, frames, run.experiment)) or [],
        command=str(command) if command else None,
        properties=attempt("The properties", lambda: property_rows(run.verdicts, run.history, file)) or [],
        timeline=of("The timeline", timeline.data),
        notes=of("The notes", lambda frames: timeline.notes(frames, run.history)) or [],
        faults=of("The table of faults", faults.fault_rows),
        faults_note=of("The count of faults", lambda frames: faults.faults_note(frames, run.schedule)),
        recovery=of("The recovery chart", faults.recovery_chart),
        pictures=pictures,
        made=attempt("The description of the run", lambda: page.made(run.experiment)) or [],
        files=[name for name in _FILES if (run.directory / name).exists()],
        meanings=meanings(run.verdicts),
        missing=attempt.failures,
    )
