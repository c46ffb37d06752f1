from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from splitbrain.checkers.history import History
from splitbrain.reports import figures, frames
from splitbrain.reports.frames import Frames, RecoveryBound, RecoveryTimes
from splitbrain.reports.measured import Terms
from splitbrain.reports.reigns import DrawnReign
from splitbrain.reports.tests import samples
from splitbrain.reports.tests.literal import fault, history, observe, until
from splitbrain.reports.tests.runs import judged

S = 1_000_000_000
RUN = history(
    observe("n1", 0, S, leading=True, term=4),
    observe("n1", 8 * S, 9 * S, leading=True, term=4),
    fault("pause", 3 * S, 4 * S, id=1, nodes=["n2"], shape="long-pause"),
    fault("resume", 6 * S, 7 * S, id=2, nodes=["n2"]),
    until(20 * S),
)


def timeline(gathered: Frames) -> Figure:
    return figures.timeline(
        nodes=gathered.nodes,
        end=gathered.end,
        reigns=gathered.reigns,
        faults=gathered.faults,
        node_faults=gathered.node_faults,
        overlaps=gathered.overlaps,
        stalls=gathered.stalls,
        quiet=gathered.confirms.quiet,
    )


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


def test_the_timeline_has_a_lane_a_node_below_its_rows_of_events() -> None:
    figure = timeline(frames.gather(RUN, {}, {}))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "faults",
        "two leaders",
        "no leadership",
        "n1",
        "n2",
    ]
    assert axes.get_xlim() == (0, 20)
    assert {text.get_text() for text in axes.texts} == {"term 4", "long-pause"}


def test_the_legend_explains_what_is_there_and_nothing_else() -> None:
    calm = legend(timeline(frames.gather(history(observe("n1", 0, S), until(2 * S)), {}, {})))
    faults = legend(timeline(frames.gather(RUN, {}, {})))
    found = {"properties": {"exclusivity": {"findings": [{"start": 0, "end": S}]}}}
    split = legend(timeline(frames.gather(RUN, found, {})))
    assert calm == []
    assert faults == ["certainly leads (colour: term)", "possibly leads", "paused"]
    assert split == [*faults, "two leaders, proven"]


def test_neighbouring_terms_have_different_colours_and_a_claim_without_a_key_has_none() -> None:
    reign = DrawnReign(node=0, term=1, key="1", earliest=0, first=0, last=1, latest=1, claims=1, line=0)
    colours = [figures.colour_of(replace(reign, term=term), 0) for term in range(6)]
    assert len(set(colours)) == 6
    assert figures.colour_of(replace(reign, term=None), 8) == 2
    assert figures.colour_of(replace(reign, key=None, term=None), 0) is None


def test_a_recovery_that_was_never_seen_is_counted_and_drawn_apart() -> None:
    rows = (RecoveryTimes(shape="kill", seconds=(0.5, None, 0.7), faults=("1", "2", "3")),)
    (axes,) = figures.recovery(rows=rows, bounds=(RecoveryBound(words="promised", seconds=2.1),)).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["kill (2 of 3)"]
    assert [text.get_text() for text in axes.texts] == ["promised 2.1 s "]
    seen, never = axes.get_lines()[:2]
    assert np.asarray(seen.get_xdata()).tolist() == [0.5, 0.7]
    assert np.asarray(never.get_xdata()).min() > 2.1


def test_every_observed_term_lies_within_the_figure() -> None:
    steps = Terms(steps=(((0, 3), (S, 9)), ((0, 4),)), left_out=0)
    (axes,) = figures.terms(nodes=("n1", "n2"), end=2 * S, steps=steps, faults=()).axes
    low, high = axes.get_ylim()
    assert low < 3 < 9 < high


def test_a_name_is_no_formula() -> None:
    names = ("$x^$", "$", "n_1", "<b>", "", "a" * 200)
    truth = samples.elections(count=len(names), seconds=24)
    new = dict(zip(truth.nodes, names, strict=True))
    renamed = replace(
        truth,
        nodes=names,
        reigns=tuple(replace(led, node=new[led.node]) for led in truth.reigns),
        faults=tuple(replace(each, nodes=names, links=(), shape=shape) for each in truth.faults for shape in names),
    )
    run = History.from_lines(samples.lines(renamed))
    gathered = frames.gather(run, judged(run), {})
    assert {window.shape for window in gathered.faults} >= set(names) - {""} and set(gathered.nodes) == set(names)
    for figure in (
        timeline(gathered),
        figures.terms(nodes=gathered.nodes, end=gathered.end, steps=gathered.terms, faults=gathered.faults),
        figures.recovery(rows=gathered.recovery, bounds=()),
    ):
        figure.draw_without_rendering()


def test_a_formula_between_dollars_would_not_be_drawn() -> None:
    figure = Figure()
    figure.text(0, 0, "$x^$")
    with pytest.raises(ValueError, match="Expected"):
        figure.draw_without_rendering()


def test_reports_are_drawn_from_any_directory_and_never_import_pyplot(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from splitbrain import reports; from splitbrain.checkers.history import History;"
        "assert 'matplotlib' not in sys.modules;"
        f"written = reports.render(History.from_entries([]), {{}}, {{}}, {{}}, pathlib.Path({str(tmp_path)!r}));"
        "assert 'matplotlib.figure' in sys.modules and 'matplotlib.pyplot' not in sys.modules; print(len(written))"
    )
    # Isolated (-I): neither the working directory nor PYTHONPATH is searched, as for the installed command.
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("6\n", "")
