"""The pytest plugin: a test of an election in five lines, repeated over seeds, its failures kept with their reports.

    def test_my_election_survives_a_lonely_leader(splitbrain):
        run = splitbrain.run(MyNode, nodes=5, nemesis="isolated-leader", seconds=20, seed=7)
        run.must_hold("exclusivity", "stall")

pytest loads this file in every project of an environment that has splitbrain in it, so it imports nothing but pytest
until a test asks for a run; a test holds that.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from splitbrain.nemesis.schedules import Schedule
    from splitbrain.user_systems.container_run import ContainerRun
    from splitbrain.user_systems.judged_run import JudgedRun
    from splitbrain.user_systems.sim_run import SimRun

PLUGIN = "splitbrain-runs"
HARNESS_FAILED = "splitbrain_harness_failed"  # the attribute of a report
RUNNING = "PYTEST_CURRENT_TEST"  # the running test and its phase, as pytest documents it


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("splitbrain", "splitbrain: elections under faults")
    group.addoption(
        "--splitbrain-seeds",
        type=_at_least_one,
        default=1,
        metavar="N",
        help="Run every test that uses the splitbrain fixture N times, each time with the next seeds.",
    )
    group.addoption(
        "--splitbrain-seed",
        type=int,
        default=None,
        metavar="SEED",
        help="The seed to begin with, in place of the one that a test gives, or of 0.",
    )
    group.addoption(
        "--splitbrain-store",
        type=Path,
        default=None,
        metavar="DIR",
        help="Keep the run of each failing test there, with its report, and every run on containers.",
    )
    group.addoption(
        "--splitbrain-shrink-seconds",
        type=_at_least_one,
        default=30,
        metavar="S",
        help="Let Hypothesis look for a smaller failing schedule for that long (default: 30).",
    )


def pytest_configure(config: pytest.Config) -> None:
    shrinking = Shrinking(config.getoption("--splitbrain-shrink-seconds"))
    config.pluginmanager.register(Runs(config.getoption("--splitbrain-store"), shrinking), PLUGIN)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seeds: int = metafunc.config.getoption("--splitbrain-seeds")
    if seeds > 1 and "_splitbrain_turn" in metafunc.fixturenames:
        ids = [f"seed+{turn}" for turn in range(seeds)]
        metafunc.parametrize("_splitbrain_turn", range(seeds), ids=ids, indirect=True)


@pytest.fixture(scope="session")
def _splitbrain_turn(request: pytest.FixtureRequest) -> int:
    """Which repetition this is, from 0."""
    return getattr(request, "param", 0)


# Of the session, and yet without a memory of any test: Hypothesis refuses fixtures that belong to one test, since it
# runs the test's body many times.
@pytest.fixture(scope="session")
def splitbrain(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, _splitbrain_turn: int
) -> Splitbrain:
    """Runs elections: ``splitbrain.run(MyNode, nemesis="partition").must_hold()``."""
    runs = pytestconfig.pluginmanager.get_plugin(PLUGIN)
    assert isinstance(runs, Runs)
    return Splitbrain(
        runs=runs,
        store=pytestconfig.getoption("--splitbrain-store") or tmp_path_factory.mktemp("splitbrain"),
        turn=_splitbrain_turn,
        seed=pytestconfig.getoption("--splitbrain-seed"),
        seeds=pytestconfig.getoption("--splitbrain-seeds"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Splitbrain:
    """The value of the fixture. ``seed`` and ``seeds`` are the options, ``turn`` counts repetitions.

    Runs on containers are kept in ``store``.
    """

    runs: Runs = field(repr=False)
    store: Path
    turn: int
    seed: int | None
    seeds: int

    def run(
        self,
        system: object,
        *,
        runtime: str | None = None,
        nodes: int | None = None,
        nemesis: str | Sequence[str] | None = None,
        schedule: Schedule | None = None,
        seconds: float | None = None,
        seed: int = 0,
        observe_period_ms: int | None = None,
        workload: str = "election",
        promises: str | None = None,
        strict: bool = False,
    ) -> SimRun | ContainerRun:
        """Run ``system`` (a class, a function, a ``System``, a name or a TOML file) under faults.

        The faults are those of a ``nemesis`` ("partition"; several with commas) for ``seconds`` (20 if not given), or
        of a ``schedule``. In simulation equal arguments give equal runs. A system without a simulation runs on
        containers; the test is skipped where no engine answers. See ``user_systems.runs.run``.
        """
        __tracebackhide__ = True
        from splitbrain.arguments import whole
        from splitbrain.errors import NoEngine
        from splitbrain.user_systems import runs

        self.runs.shrinking.admit(schedule)
        try:
            made = runs.run(
                system,
                runtime=runtime,
                nodes=nodes,
                nemesis=nemesis,
                schedule=schedule,
                seconds=seconds,
                seed=whole("seed", seed if self.seed is None else self.seed) + self.turn,
                observe_period_ms=observe_period_ms,
                workload=workload,
                promises=promises,
                strict=strict,
                store=self.store,
                again=(self._command(),),
                on_broken=lambda: self.runs.shrinking.failed(schedule),
            )
        except NoEngine as missing:
            pytest.skip(str(missing).splitlines()[0])
        self.runs.latest = made
        return made

    def _command(self) -> str:
        """The command that repeats this test with the same seeds."""
        test = os.environ.get(RUNNING, "").rpartition(" ")[0]
        seed = [] if self.seed is None else ["--splitbrain-seed", str(self.seed)]
        seeds = [] if self.seeds == 1 else ["--splitbrain-seeds", str(self.seeds)]
        return shlex.join(["pytest", test, *seed, *seeds])


class Runs:
    """Remembers the latest run of the present test, and keeps it if the test fails.

    Only then, and once: while Hypothesis shrinks, a test fails a hundred times, and the last one is the smallest.
    """

    def __init__(self, store: Path | None, shrinking: Shrinking) -> None:
        self._store = store
        self.shrinking = shrinking
        self.latest: JudgedRun | None = None
        self._failed: set[bool] = set()  # of the failed reports, those of the harness (True) and of tests (False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self.latest = None
        self.shrinking.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        run = _run_of(call) or self.latest
        if _by_the_harness(call):
            setattr(report, HARNESS_FAILED, True)
        elif call.when == "call" and report.failed and run is not None:
            report.sections.append(("splitbrain", self._afterword(run)))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        return ("error", "E", "ERROR") if hasattr(report, HARNESS_FAILED) else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(hasattr(report, HARNESS_FAILED))

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.TESTS_FAILED and self._failed == {True}:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _afterword(self, run: JudgedRun) -> str:
        from splitbrain.ending import words_of

        try:
            return run.afterword(self._store)
        except Exception as failure:
            return f"the run could not be repeated or kept: {words_of(failure)}"


class Shrinking:
    """Ends the search of Hypothesis for a smaller failing schedule ``seconds`` after the first failure of a test.

    From then on, examples that have not failed yet are rejected without a run, so that the smallest so far is reported.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self.start()

    def start(self) -> None:
        """A test begins."""
        self._ends: float | None = None
        self._failing: list[Schedule | None] = []

    def failed(self, schedule: Schedule | None) -> None:
        """A run of this schedule broke a promise."""
        if self._ends is None:
            self._ends = time.monotonic() + self._seconds
        self._failing.append(schedule)

    def admit(self, schedule: Schedule | None) -> None:
        """Reject the example that Hypothesis tries, if it is too late for another."""
        hypothesis = sys.modules.get("hypothesis")
        late = self._ends is not None and time.monotonic() > self._ends
        if late and schedule not in self._failing and hypothesis and hypothesis.currently_in_test_context():
            hypothesis.reject()


def _by_the_harness(call: pytest.CallInfo[None]) -> bool:
    """True if the call ended with a failure of splitbrain or its environment, which says nothing about an election."""
    errors = sys.modules.get("splitbrain.errors")
    return errors is not None and call.excinfo is not None and isinstance(call.excinfo.value, errors.EnvironmentFailure)


def _run_of(call: pytest.CallInfo[None]) -> JudgedRun | None:
    """The run whose promise was broken; a test may have made others after it."""
    broken = sys.modules.get("splitbrain.user_systems.judged_run")
    error = None if call.excinfo is None else call.excinfo.value
    return error.run if broken is not None and isinstance(error, broken.BrokenPromise) else None


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)
