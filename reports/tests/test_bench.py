"""The figure of the benchmark: its lines are the table's figures, in ms a simulated second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from splitbrain.reports import bench

FRAME = pd.DataFrame(
    [
        {"nodes": 5, "part": "recorded", "simulated_s": 2.0, "cpu_s": 0.004, "bare_loop_cpu_s": 0.001},
        {"nodes": 3, "part": "recorded", "simulated_s": 4.0, "cpu_s": 0.004, "bare_loop_cpu_s": 0.002},
        {"nodes": 3, "part": "hosts and links alone", "simulated_s": 10.0, "cpu_s": 0.006, "bare_loop_cpu_s": 0.004},
    ]
)


def test_each_line_is_ms_of_cpu_for_a_simulated_second_by_the_number_of_nodes() -> None:
    found = {part: series.round(6).to_dict() for part, series in bench.lines(FRAME).items()}
    assert found == {
        "the bare loop": {3: 0.4, 5: 0.5},
        "hosts and links alone": {3: 0.6},
        "recorded": {3: 1.0, 5: 2.0},
    }


def test_the_figure_has_those_lines_and_names_them() -> None:
    (axes,) = bench.cost(FRAME).axes
    assert [line.get_label() for line in axes.lines] == ["the bare loop", "hosts and links alone", "recorded"]
    assert np.asarray(axes.lines[2].get_ydata(), float).tolist() == pytest.approx([1.0, 2.0])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_the_figure_is_written(tmp_path: Path) -> None:
    bench.write(FRAME, tmp_path / "nodes.png")
    assert (tmp_path / "nodes.png").read_bytes().startswith(b"\x89PNG")
