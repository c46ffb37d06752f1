"""The report of one run: a page and its pictures, written beside the history.

A picture that cannot be drawn takes neither the other pictures nor the page with it, and the page says what is
missing and why. The verdict was written before anything is drawn and is never touched here.
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
    """What is known of a run, and where its files are."""

    history: History
    verdicts: Json
    experiment: Json
    schedule: Json
    directory: Path


class Attempts:
    """Runs one part of a report after another and keeps the failures as sentences."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def __call__(self, what: str, make: Callable[[], T]) -> T | None:
        """What `make` returns, or None after a failure, which is remembered under `what`."""
        try:
            return make()
        except Exception as error:  # whatever went wrong in one part, the others are still worth having
            self.failures.append(f"{what} could not be made: {type(error).__name__}: {error}")
            return None


def render(history: History, verdicts: Json, experiment: Json, schedule: Json, directory: Path) -> list[Path]:
    """Write report.html and the pictures of a run into its directory; returns the files written.

    `verdicts`, `experiment` and `schedule` are the JSON forms that the run stores; any key of theirs may be
    missing. Raises OSError when the directory cannot be written.
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
        png = attempt(f"The picture {name}", lambda draw=draw: _png(draw()))  # type: ignore[misc]
        if png is None:
            path.unlink(missing_ok=True)  # a picture of an earlier report would pass for one of this
            continue
        written.append(atomic.write(path, png))
        pictures.append(page.picture(name, description, png))
    return written, pictures


def _figures(frames: Frames) -> Mapping[str, tuple[str, Callable[[], Figure]]]:
    # Imported here because matplotlib costs half a second, which a command that draws nothing should not pay.
    from splitbrain.reports import figures

    return {
        "timeline.png": (
            "Leadership by node, with faults, proven overlaps, stalls and gaps between confirmations.",
            lambda: figures.timeline(
                nodes=frames.nodes,
                end=frames.end,
                reigns=frames.reigns,
                hurt=frames.hurt,
                states=frames.states,
                overlaps=frames.overlaps,
                stalls=frames.stalls,
                quiet=frames.confirms.quiet,
            ),
        ),
        "terms.png": (
            "The term that each node told, over time; faults are shaded.",
            lambda: figures.terms(nodes=frames.nodes, end=frames.end, steps=frames.terms, hurt=frames.hurt),
        ),
        "recovery.png": (
            "Time to recover by the shape of the fault.",
            lambda: figures.recovery(rows=frames.recovery, bounds=frames.bounds),
        ),
        "rates.png": (
            "Answers a second by operation, and how late the controller itself was.",
            lambda: figures.rates(rows=frames.series, late=frames.lateness, end=frames.end, hurt=frames.hurt),
        ),
        "latency.png": (
            "Latency of the answers by operation: median and 99th percentile.",
            lambda: figures.latency(rows=frames.series, end=frames.end, hurt=frames.hurt),
        ),
    }


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI)
    return content.getvalue()


def _page(run: _Run, frames: Frames | None, pictures: list[page.Picture], attempt: Attempts) -> page.Page:
    def of(what: str, make: Callable[[Frames], T]) -> T | None:
        return None if frames is None else attempt(what, lambda: make(frames))

    file = run.directory / _FILES[0]
    command = run.experiment.get("command")
    return page.Page(
        title=words.title(run.experiment),
        verdict=words.verdict_of(run.verdicts),
        headline=words.headline(run.verdicts, run.experiment),
        weaknesses=words.weaknesses(run.verdicts),
        remarks=[str(note) for note in words.sequence(run.experiment.get("notes"))],
        facts=of("The line of figures", lambda frames: page.facts(run.history, frames, run.experiment)) or [],
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
