"""The benchmark of the simulation, on a tenth of its work: its figures are told, its shape is held."""

from __future__ import annotations

import pytest

from harness import bench


def test_every_figure_stands_beside_the_reference_loop(capsys: pytest.CaptureFixture[str]) -> None:
    bench.main(["--rounds", "1", "--quick"])
    title, *figures = capsys.readouterr().out.splitlines()
    assert title.startswith("the bare loop: ")
    assert len(figures) == 2 * 4 + 3
    assert all("sim s/s" in figure and figure.endswith("of the bare loop") for figure in figures)


def test_the_reference_loop_really_elects_and_its_time_passes() -> None:
    short = bench.cpu(lambda: bench.reference(5, 0.5), 3)
    assert bench.cpu(lambda: bench.reference(5, 10.0), 3) > 3 * short
