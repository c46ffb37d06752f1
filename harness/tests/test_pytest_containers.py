"""The pytest fixture on containers: a description, a run that is kept, and a machine without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NAIVE = f"""
def test_an_isolated_leader(splitbrain):
    run = splitbrain.run({str(EXAMPLES / "naive.toml")!r}, nemesis="isolated-leader", seconds=8, seed=1)
    run.must_hold("exclusivity")
"""

pytest_plugins = ("pytester",)


@pytest.mark.engine
def test_a_description_is_held_to_a_property_on_containers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(NAIVE)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--splitbrain-store", "kept")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*1 promise that did not hold, of a run with seed 1",
            "*VIOLATED  exclusivity: two leaders *",
            "*line *  observe n*  ok  {*",
            "*again: splitbrain test *naive.toml --nemesis isolated-leader --runtime docker *--seed 1*",
            "kept: kept/*/report.html",
        ]
    )
    (run,) = pytester.path.glob("kept/*/*-1")
    assert (run / "report.html").is_file()


def test_without_an_engine_a_test_on_containers_is_skipped(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{pytester.path}/no.sock")
    pytester.makepyfile(NAIVE)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *no Docker engine answers*"])
