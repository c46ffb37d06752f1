"""The pytest plugin in inner test runs: passing, failing, repeating, storing runs, and its cost for other tests."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import splitbrain.core.run  # noqa: F401 - with all its imports, since modules imported by an inner test run are unloaded at its end
from splitbrain.cli import cli
from splitbrain.errors import UsageError
from splitbrain.nemesis.faults import Partition
from splitbrain.nemesis.schedules import Schedule, Step, loads
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM, RAFT_SYSTEM
from splitbrain.tests.test_node_class import Calm
from splitbrain.user_systems import runs
from splitbrain.user_systems.judged_run import BrokenPromise
from splitbrain.user_systems.sim_run import SimRun

pytestmark = pytest.mark.simulation

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
LONELY = Schedule(steps=(Step(at_ms=1_000, for_ms=2_000, fault=Partition(shape="isolated-leader")),), length_ms=5_000)

BOLD = """
from lowest import Lowest

class Bold(Lowest):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.majority = 1
"""

pytest_plugins = ("pytester",)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A user's project with the example node and a buggy copy of it."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(lowest=(EXAMPLES / "lowest.py").read_text(), bold=BOLD)
    return pytester


def outcome_of(project: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    """The result of one test file with that body, in which ``Lowest`` and ``Bold`` are defined."""
    project.makepyfile(test_it=f"from lowest import Lowest\nfrom bold import Bold\n\n{body}")
    return project.runpytest_inprocess("-p", "no:cacheprovider", *options)


FIVE_LINES = """
def test_a_lonely_leader(splitbrain):
    run = splitbrain.run({node}, nodes=5, nemesis="isolated-leader", seconds=8, seed=7)
    run.must_hold("exclusivity", "stall")
"""


def test_the_example_of_the_documentation_passes(pytester: pytest.Pytester) -> None:
    for name in ("lowest.py", "test_lowest.py"):
        (pytester.path / name).write_text((EXAMPLES / name).read_text())
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=5)


def test_a_correct_election_passes_in_five_lines(project: pytest.Pytester) -> None:
    outcome_of(project, FIVE_LINES.format(node="Lowest")).assert_outcomes(passed=1)


def test_a_failure_of_the_harness_is_an_error_with_status_3_and_no_broken_election(project: pytest.Pytester) -> None:
    crash = """
from splitbrain.user_systems import judged_run

def test_it(splitbrain, monkeypatch):
    monkeypatch.setattr(judged_run, "judge_run", {}.pop)
    splitbrain.run(Lowest, nodes=3, nemesis="none", seconds=3).must_hold()
"""
    result = outcome_of(project, crash)
    result.assert_outcomes(errors=1)
    assert result.ret == 3
    result.stdout.fnmatch_lines(["*no verdict on the election: a bug of splitbrain*"])


def test_a_broken_election_beside_a_failure_of_the_harness_ends_with_1(project: pytest.Pytester) -> None:
    crash = """
def test_it(splitbrain, monkeypatch):
    from splitbrain.user_systems import sim_run
    monkeypatch.setattr(sim_run, "simulate", {}.pop)
    splitbrain.run(Lowest, nodes=3, nemesis="none", seconds=3)
"""
    result = outcome_of(project, crash + FIVE_LINES.format(node="Bold"))
    result.assert_outcomes(errors=1, failed=1)
    assert result.ret == 1


def test_a_broken_election_fails_with_evidence_seed_and_how_to_replay(project: pytest.Pytester) -> None:
    result = outcome_of(project, FIVE_LINES.format(node="Bold"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*BrokenPromise: bold:Bold: 1 promise that did not hold, of a run with seed 7",
            "*VIOLATED  exclusivity: two leaders once, for at least *: n1 *and n2 *",
            '*line *  observe n1  ok  {"leading":true,*',
            "*faults injected into 5 nodes:",
            "*the leader n1 is alone: n1 | n2 n3 n4 n5, in effect after * ms",
            "*again: pytest test_it.py::test_a_lonely_leader",
            "*again: splitbrain test bold:Bold --nemesis isolated-leader --runtime sim --nodes 5 *--seed 7*",
            "*a second run is the same, line by line*",
        ]
    )
    assert "harness/trial.py" not in result.stdout.str(), "a reader is shown the test, not the harness"


def test_the_command_that_a_failure_shows_fails_in_the_same_way(project: pytest.Pytester) -> None:
    body = FIVE_LINES.format(node="Bold")
    first = outcome_of(project, body, "--splitbrain-seeds", "3", "--splitbrain-seed", "40")
    first.assert_outcomes(failed=3)
    command = next(line for line in first.stdout.lines if "again: pytest" in line and "seed+2" in line)
    arguments = command.partition("again: pytest ")[2].replace("'", "").split()
    assert arguments == [
        "test_it.py::test_a_lonely_leader[seed+2]",
        "--splitbrain-seed",
        "40",
        "--splitbrain-seeds",
        "3",
    ]
    again = project.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(["*of a run with seed 42"])


def test_a_test_is_repeated_over_seeds_that_differ(project: pytest.Pytester) -> None:
    body = """
def test_seeds(splitbrain):
    with open("seeds", "a") as file:
        print(splitbrain.run(Lowest, nodes=3, seconds=1, nemesis="none", seed=7).experiment.seed, file=file)

def test_of_something_else():
    pass
"""
    outcome_of(project, body, "--splitbrain-seeds", "3").assert_outcomes(passed=4)
    assert (project.path / "seeds").read_text().split() == ["7", "8", "9"]


@pytest.mark.parametrize("seeds", ["0", "-1", "many"])
def test_an_impossible_number_of_seeds_is_refused(project: pytest.Pytester, seeds: str) -> None:
    result = outcome_of(project, "", "--splitbrain-seeds", seeds)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--splitbrain-seeds: expected a whole number from 1, got '{seeds}'"])


def test_only_a_failing_run_is_kept_and_with_its_report(project: pytest.Pytester) -> None:
    body = FIVE_LINES.format(node="Bold") + FIVE_LINES.format(node="Lowest").replace("lonely", "sound")
    body += """
def test_one_that_expects_the_failure(splitbrain):
    import pytest
    with pytest.raises(AssertionError, match="exclusivity"):
        splitbrain.run(Bold, nemesis="isolated-leader", seconds=8).must_hold()
"""
    result = outcome_of(project, body, "--splitbrain-store", "kept")
    result.assert_outcomes(failed=1, passed=2)
    (run,) = project.path.glob("kept/*/*-7")
    result.stdout.fnmatch_lines([f"kept: {run.relative_to(project.path)}/report.html"])
    names = {path.name for path in run.iterdir()}
    assert {"experiment.json", "schedule.json", "history.jsonl", "verdicts.json", "report.html", "logs"} <= names
    assert json.loads((run / "verdicts.json").read_text())["verdict"] == "invalid"


def test_with_hypothesis_the_smallest_schedule_is_reported(project: pytest.Pytester) -> None:
    body = """
from hypothesis import given, settings, strategies as st
from splitbrain.nemesis.faults import Partition
from splitbrain.nemesis.schedules import Schedule, Step

@settings(deadline=None, derandomize=True, database=None)
@given(for_ms=st.sampled_from([50, 100, 1000, 2000, 3000]))
def test_no_cut_is_so_long_that_two_lead(splitbrain, for_ms):
    step = Step(at_ms=1000, for_ms=for_ms, fault=Partition(shape="isolated-leader"))
    schedule = Schedule(steps=(step,), length_ms=4500)
    splitbrain.run(Bold, nodes=3, schedule=schedule).must_hold("exclusivity")
"""
    result = outcome_of(project, body)
    result.assert_outcomes(failed=1)
    text = next(line for line in result.stdout.lines if "schedule.json: " in line).partition("schedule.json: ")[2]
    assert [step.for_ms for step in loads(text).steps] == [1000]
    result.stdout.fnmatch_lines(["*again: splitbrain replay schedule.json --system bold:Bold --runtime sim --nodes 3*"])


def test_shrinking_ends_when_its_time_is_over(project: pytest.Pytester) -> None:
    """Each example takes a virtual second here. The failure is reported, as small as it is by then."""
    body = """
from hypothesis import given, settings, strategies as st
from splitbrain.nemesis.faults import Partition
from splitbrain.nemesis.schedules import Schedule, Step

now, ran = [0], []

@settings(deadline=None, derandomize=True, database=None)
@given(for_ds=st.integers(8, 20))
def test_no_cut_is_so_long_that_two_lead(splitbrain, for_ds):
    now[0] += 1
    step = Step(at_ms=1000, for_ms=100 * for_ds, fault=Partition(shape="isolated-leader"))
    run = splitbrain.run(Bold, nodes=3, schedule=Schedule(steps=(step,), length_ms=3000))
    ran.append(for_ds)
    run.must_hold("exclusivity")

def test_how_many_were_tried():
    print("tried", len(ran))
"""
    project.makeconftest(
        "import sys, types\nfrom splitbrain.user_systems import pytest_plugin\n"
        "pytest_plugin.time = types.SimpleNamespace(monotonic=lambda: sys.modules['test_it'].now[0])\n"
    )

    def runs_within(seconds: int) -> int:
        result = outcome_of(project, body, "-s", "--splitbrain-shrink-seconds", str(seconds))
        result.assert_outcomes(failed=1, passed=1)
        result.stdout.fnmatch_lines(["*VIOLATED  exclusivity*", "*again: splitbrain replay schedule.json*"])
        return int(result.stdout.str().partition("tried ")[2].split()[0])

    assert runs_within(2) < runs_within(1_000)


def test_a_nondeterministic_node_is_reported(project: pytest.Pytester) -> None:
    body = """
import itertools
calls = itertools.count()

class Moody(Bold):
    def obey(self, who, at):
        return next(calls) % 1000 > 100 and super().obey(who, at)

def test_moody(splitbrain):
    splitbrain.run(Moody, nemesis="isolated-leader", seconds=8).must_hold("exclusivity")
"""
    result = outcome_of(project, body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["a second run differs from line * on: the node depends on more than its seed*"])


def test_a_node_that_raises_fails_the_test_with_only_the_lines_of_the_node(project: pytest.Pytester) -> None:
    body = """
class Falling(Lowest):
    def obey(self, who, at):
        return 1 // (who != "n4")

def test_falling(splitbrain):
    splitbrain.run(Falling, seed=7)
"""
    result = outcome_of(project, body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*NodeFailure: test_it:Falling as n4, * s after it was started, raised on *",
            "*ZeroDivisionError: * (*test_it.py:7)",
            "*That was before the run began, with seed 7.",
        ]
    )
    assert "sim/hosts.py" not in result.stdout.str()


def test_a_failure_without_any_run_is_left_alone(project: pytest.Pytester) -> None:
    result = outcome_of(project, "def test_it(splitbrain):\n    assert False\n", "--splitbrain-store", "kept")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*-- splitbrain --*")
    assert not (project.path / "kept").exists()


def test_the_plugin_costs_other_tests_nothing() -> None:
    code = (
        "import sys, pytest, argparse, shlex; before = set(sys.modules); import splitbrain.user_systems.pytest_plugin; "
        "print(sorted(name for name in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['splitbrain', 'splitbrain.user_systems', 'splitbrain.user_systems.pytest_plugin']"


def test_a_test_run_without_an_election_never_loads_the_simulation(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n\ndef test_it():\n"
        "    assert 'splitbrain.user_systems.pytest_plugin' in sys.modules\n"
        "    assert not {'numpy', 'pandas', 'splitbrain.checkers', 'hypothesis.strategies'} & set(sys.modules)\n"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


# The run itself


def test_a_run_is_the_run_of_the_command_line_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "calm_node.py").write_text(
        'from splitbrain.tests import test_node_class\n\n\nclass Calm(test_node_class.Calm):\n    "Does nothing."\n'
    )
    made = runs.run(importlib.import_module("calm_node").Calm, nodes=3, nemesis="halves", seconds=3, seed=5)
    assert isinstance(made, SimRun)
    kept = made.keep(tmp_path / "kept")
    assert made.again[0].startswith("splitbrain test calm_node:Calm --nemesis halves --runtime sim")
    done = CliRunner().invoke(cli, [*made.again[0].split()[1:], "--store", str(tmp_path / "store"), "--json"])
    assert done.exit_code == 1
    stored = Path(json.loads(done.stdout)["run"])
    assert stored.parent.name == "calm_node.Calm-halves", "no colon in the name of a folder"
    for file in ("history.jsonl", "schedule.json", "logs"):
        if (kept / file).is_file():
            assert (kept / file).read_bytes() == (stored / file).read_bytes(), file
    of_kept, of_stored = (json.loads((run / "verdicts.json").read_text())["properties"] for run in (kept, stored))
    assert of_kept == of_stored


def test_a_run_of_a_schedule_is_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = runs.run("raft-basic", nodes=3, schedule=LONELY, seed=5)
    assert made.again == ("splitbrain replay schedule.json --system raft-basic --runtime sim --nodes 3 --seed 5",)
    assert isinstance(made, SimRun)
    kept = made.keep(tmp_path / "kept")
    (tmp_path / "schedule.json").write_bytes((kept / "schedule.json").read_bytes())
    done = CliRunner().invoke(cli, [*made.again[0].split()[1:], "--json"])
    stored = Path(json.loads(done.stdout)["run"])
    assert (kept / "history.jsonl").read_bytes() == (stored / "history.jsonl").read_bytes()


def test_a_property_asked_for_by_name_is_judged_as_promised() -> None:
    made = runs.run(RAFT_BASIC_SYSTEM, schedule=LONELY, nodes=3)
    assert made.judgement["exclusivity"].outcome.word == "valid", "a weakness that is known"
    assert made.found("exclusivity").outcome.word == "invalid"
    with pytest.raises(BrokenPromise, match="VIOLATED  exclusivity"):
        made.must_hold("exclusivity")
    made.must_hold("term-safety", "agreement")


def test_an_undecided_property_fails_the_test() -> None:
    made = runs.run(RAFT_SYSTEM, nemesis="none", nodes=3, seconds=2)
    made.must_hold("exclusivity")
    assert made.verdict == "unknown"
    with pytest.raises(BrokenPromise, match=r"UNDECIDED  coverage: no fault was injected(.|\n)*none"):
        made.must_hold()


def test_the_exception_of_a_failing_run_carries_the_run() -> None:
    made = runs.run(Calm, schedule=LONELY, nodes=3)
    with pytest.raises(BrokenPromise, match=r"isolated-leader: skipped, no leader observed for 2,000 ms") as broken:
        made.must_hold("stall")
    assert broken.value.run is made


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"system": "paxos"}, "unknown system 'paxos'"),
        ({"nodes": 1}, "nodes: raft runs on 3 to 15, got 1"),
        ({"seconds": 0}, "seconds: expected more than 0 and at most 86400, got 0"),
        ({"nemesis": "halfs"}, "got 'halfs'; did you mean halves?"),
        ({"nemesis": ["halves", "churn"], "nodes": 3}, "nemesis: the nemesis churn needs at least 5 nodes, not 3"),
        ({"observe_period_ms": 900}, "observe_period_ms: expected 1 to 525"),
        ({"schedule": LONELY, "seconds": 5}, "give no nemesis and no seconds beside it"),
        ({"schedule": LONELY, "nemesis": "halves"}, "give no nemesis and no seconds beside it"),
    ],
)
def test_an_impossible_run_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        runs.run(**{"system": RAFT_SYSTEM, **arguments})
    assert says in str(refused.value)


def test_a_property_that_does_not_exist_is_refused() -> None:
    made = runs.run(Calm, nodes=3, nemesis="none", seconds=1)
    with pytest.raises(UsageError, match="there is no property 'liveness': expected one of term-safety, agreement"):
        made.must_hold("liveness")
    with pytest.raises(UsageError, match=r"the name of a property: expected a string, got \['stall'\]"):
        made.must_hold(["stall"])  # type: ignore[arg-type]
