"""Save the finding of a hunt as a run folder with its story, and the coverage of the hunt.

The case is run once more as an ordinary run. So the folder has the files of any run, and ``splitbrain replay`` works.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitbrain.campaigns.hunt.case import Case, FailureSignature, needs_white_box, run_case
from splitbrain.campaigns.hunt.confirm import Confirmed
from splitbrain.campaigns.hunt.coverage import PHASES, Coverage, FaultHit
from splitbrain.campaigns.hunt.snippet import snippet
from splitbrain.campaigns.hunt.story import story
from splitbrain.core import store as stores
from splitbrain.core.experiment import Experiment
from splitbrain.core.judging import judge_run, read_history
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.core.run import RunWriter, StoredRun, draw, perform, replay_of
from splitbrain.core.simulate import simulate
from splitbrain.core.store import RunDirectory
from splitbrain.nemesis import schedules
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.sim.witness import Witness
from splitbrain.user_systems.node_class import NodeFailure

COVERAGE_CSV = "coverage.csv"
COVERAGE_JSON = "coverage.json"
FOUND = "hunt.json"
ON_CONTAINERS = "schedule-on-containers.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedFinding:
    """A stored finding: the run, its story, the replay command and the source of a test."""

    case: Case
    stored: StoredRun
    signature: FailureSignature
    story: str
    replay: str
    test: str

    def as_json(self) -> dict[str, Any]:
        return {
            "broken": str(self.signature),
            "property": self.signature.property,
            "story": self.story,
            "replay": self.replay,
            "test": self.test,
        }


def save(case: Case, signature: FailureSignature, store: Path) -> SavedFinding:
    """Store the run of a case that breaks a promise, with its report and its story."""
    run = run_case(case, white_box=needs_white_box(signature.property))
    line = story(run, signature)
    keep = perform if run.complete else _perform_until_it_raises
    stored = keep(case.experiment, case.schedule, store, notes=(line,))
    replay = replay_of(stored.directory, case.system)
    finding = SavedFinding(
        case=case, stored=stored, signature=signature, story=line, replay=replay, test=snippet(case, signature)
    )
    stored.directory.write_json(FOUND, finding.as_json())
    return finding


def _perform_until_it_raises(
    experiment: Experiment, schedule: Schedule, store: Path, *, notes: Iterable[str]
) -> StoredRun:
    """Run, store, judge and draw as ``perform`` does, until a node of a user's class raises."""
    writer = RunWriter(experiment, schedule, store, notes=notes)
    recorder = Recorder(HistoryFile(writer.directory.history))
    with contextlib.suppress(NodeFailure):
        simulate(experiment, schedule, recorder, Witness())
    recorder.close()
    judged = judge_run(read_history(writer.directory.history), experiment)
    stored = writer.store_verdicts(judged)
    writer.draw(judged)
    writer.close()
    return stored


def save_confirmed(finding: SavedFinding, confirmed: Confirmed, store: Path) -> None:
    """Add the result of a confirmation to the run of a finding, with the schedule if another one was run."""
    run = finding.stored.directory
    record = run.read_json(stores.EXPERIMENT)
    notes = [confirmed.words]
    if confirmed.case is not None and confirmed.case != finding.case:
        case = confirmed.case
        run.write_json(ON_CONTAINERS, schedules.to_json(case.schedule))
        notes.append(
            f"splitbrain replay {run.path / ON_CONTAINERS} --system {case.system} --nodes {case.nodes} "
            f"--seed {case.seed} --runtime docker"
        )
    record["notes"] = [*record.get("notes", []), *notes]
    run.write_json(stores.EXPERIMENT, record)
    run.write_json(FOUND, {**finding.as_json(), "confirmed": confirmed.as_json()})
    draw(finding.stored, record, schedules.to_json(finding.case.schedule))
    stores.link_latest(store, run)


def write_coverage(coverage: Coverage, folder: Path) -> None:
    """Write ``coverage.csv`` (the table of hits) and ``coverage.json`` (all figures)."""
    folder.mkdir(parents=True, exist_ok=True)
    RunDirectory(folder).write_json(COVERAGE_JSON, coverage.as_json())
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(coverage_rows(coverage))
    (folder / COVERAGE_CSV).write_text(out.getvalue())


def coverage_rows(coverage: Coverage) -> Iterator[tuple[str, ...]]:
    """The table of hits as text, heading first: one row per fault and role, one column per phase."""
    yield ("fault", "role", *PHASES)
    for fault, role in sorted({(hit.fault, hit.role) for hit in coverage.hits}):
        yield (fault, role, *(str(coverage.hits[FaultHit(fault, role, phase)]) for phase in PHASES))
