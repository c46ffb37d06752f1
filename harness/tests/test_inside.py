"""The inside of simulated nodes, as every run of the command line and the fixture records and judges it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from splitbrain.cli import cli
from splitbrain.nemesis.faults import Pause
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.clients.base import Ok
from splitbrain.nodes.protocol import (
    Answer,
    ConfirmAsked,
    Effect,
    Event,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.network import Conditions, Constant
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.tests.test_sim_simulation import names
from splitbrain.units import MS
from splitbrain.user_systems.runs import run

pytestmark = pytest.mark.simulation

SHOWN_WITHOUT_FAULTS = ("compares-names-as-text", "confirms-by-old-answers", "gives-up-too-soon")


@pytest.mark.parametrize("name", SHOWN_WITHOUT_FAULTS)
def test_a_bug_that_only_the_inside_shows_is_found_by_a_plain_run(name: str) -> None:
    bug = BROKEN[f"broken/{name}"]
    broken = run(bug.system, nodes=bug.nodes, nemesis="none", seconds=3, seed=1).judgement
    assert broken[bug.catches].outcome.word == "invalid"
    correct = run(bug.of, nodes=bug.nodes, nemesis="none", seconds=3, seed=1).judgement
    assert correct[bug.catches].outcome.word == "valid"


def test_a_node_that_raises_is_found_by_a_plain_run() -> None:
    bug = BROKEN["broken/raises-on-late-answers"]
    schedule = Schedule(steps=(Step(at_ms=1_000, for_ms=1_000, fault=Pause(target="follower")),), length_ms=4_000)
    found = run(bug.system.name, nodes=5, schedule=schedule, seed=1).judgement[bug.catches]
    assert found.outcome.word == "invalid" and "raises_on_late_answers.py, line " in found.words


def test_a_stored_run_is_judged_the_same_again_and_one_without_its_inside_is_not_judged(tmp_path: Path) -> None:
    command = ["test", "broken/confirms-by-old-answers", "--nemesis", "none", "--runtime", "sim", "--seed", "1"]
    done = CliRunner().invoke(cli, [*command, "--time-limit", "3", "--json", "--store", str(tmp_path)])
    assert done.exit_code == 1, done.output
    stored = json.loads(done.stdout)
    folder = Path(stored["run"])
    again = CliRunner().invoke(cli, ["check", str(folder), "--json"])
    assert json.loads(again.stdout)["properties"] == stored["properties"]
    history = folder / "history.jsonl"
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    seen = [line for line in lines if line["f"] not in ("witnessed", "reigned", "confirmed", "followed", "raised")]
    history.write_text("".join(json.dumps({**line, "index": at}) + "\n" for at, line in enumerate(seen)))
    left = json.loads(CliRunner().invoke(cli, ["check", str(folder), "--json"]).stdout)
    assert left["properties"]["confirmed-by-a-majority"]["verdict"] == "not judged"


class Beats:
    """Sends a message to every other node every 20 ms, and confirms at the first that it receives after ``skipped``."""

    def __init__(self, peers: Sequence[str], skipped: int) -> None:
        self.peers, self.skipped = peers, skipped
        self.request: int | None = None

    def handle(self, event: Event) -> list[Effect]:
        match event:
            case Started() | TimerFired():
                return [SetTimer("beat", 20 * MS), *(Send(peer, "beat", {"kind": "beat"}) for peer in self.peers)]
            case ConfirmAsked(_, request):
                self.request = request
            case Received() if self.request is not None:
                self.skipped -= 1
                if self.skipped < 0:
                    return [Answer(self.request, None, None, None)]
        return []

    def status(self, at: int) -> Status:
        return Status(role="none", leading=False, leader=None, term=None, reign=None)


@pytest.mark.parametrize(("skipped", "heard"), [(0, set()), (8, {"n2", "n3"})])
def test_only_messages_sent_after_a_question_count_as_heard(skipped: int, heard: set[str]) -> None:
    recorded = Witness()

    def make(id: str, peers: Sequence[str], *_: object) -> Beats:
        return Beats(peers, skipped)

    sim = Simulation(1, names(3), make, conditions=Conditions(delay=Constant(30 * MS)), instrument=recorded)
    sim.start()
    sim.run_until(100 * MS)
    assert isinstance(sim.kernel.run(SimCluster(sim).confirm("n1", 500 * MS)), Ok)
    (said,) = [fact for fact in recorded.facts(sim.now) if fact.f == "confirmed"]
    assert set(said.facts["heard"]) == heard
