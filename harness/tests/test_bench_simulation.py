"""The simulation benchmark with a tenth of its work: the form of its output, not its figures."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from splitbrain.bench import simulation as bench

pytestmark = pytest.mark.simulation


def test_every_figure_is_printed_as_a_share_of_the_reference_loop(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bench.main(["--rounds", "1", "--quick", "--out", str(tmp_path / "bench")])
    title, *figures = capsys.readouterr().out.splitlines()
    assert title.startswith("the bare loop: ")
    assert len(figures) == 2 * 4 + 3 * 3
    assert all("sim s/s" in figure and figure.endswith("of the bare loop") for figure in figures)
    with (tmp_path / "bench" / "nodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    parts = ["hosts and links alone", "recorded", "recorded and judged"]
    assert [(row["nodes"], row["part"]) for row in rows] == [(nodes, part) for nodes in "359" for part in parts]
    assert all(float(row["cpu_s"]) > 0 for row in rows)
    assert (tmp_path / "bench" / "nodes.png").is_file()


def test_the_reference_loop_takes_longer_for_more_simulated_time() -> None:
    short = bench.cpu(lambda: bench.reference(5, 0.5), 3)
    assert bench.cpu(lambda: bench.reference(5, 10.0), 3) > 3 * short
