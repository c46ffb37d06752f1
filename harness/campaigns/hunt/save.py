"""What a hunt leaves behind: a run's directory like any other, with the story, and the coverage of the campaign.

The run is made once more, through the same door as every run, so the files are those of a run and ``splitbrain
replay`` on the directory makes it again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from splitbrain.campaigns.hunt.case import WHITE_BOX, Case, FailureSignature, look
from splitbrain.campaigns.hunt.confirm import Confirmed
from splitbrain.campaigns.hunt.coverage import PHASES, Coverage, FaultHit
from splitbrain.campaigns.hunt.snippet import snippet
from splitbrain.campaigns.hunt.story import story
from splitbrain.core import store as stores
from splitbrain.core.lifecycle import RunPhases
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.core.run import Judged, draw, judge_run, own_versions
from splitbrain.core.store import RunDirectory
from splitbrain.nemesis import schedules
from splitbrain.runtimes.base import Cluster
from splitbrain.runtimes.sim.runtime import Silence
from splitbrain.runtimes.sim.runtime import run as simulate

COVERAGE_CSV = "coverage.csv"
COVERAGE_JSON = "coverage.json"
FOUND = "hunt.json"
ON_CONTAINERS = "schedule-on-containers.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedFinding:
    """A find, as it is shown: the run that was stored, and what there is to say of it."""

    case: Case
    judged: Judged
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


def tell(case: Case, signature: FailureSignature, store: Path) -> SavedFinding:
    """Store the run of a case that broke a promise, with its report and its story."""
    experiment = case.experiment
    run = stores.new_run(store, experiment.name, case.seed)
    line = story(look(case, white_box=signature.guarantee == WHITE_BOX), signature)
    replay = f"splitbrain replay {run.path}"
    record: dict[str, Any] = {
        **experiment.to_json(),
        "command": replay,
        "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": own_versions(),
        "notes": [line],
    }
    schedule = schedules.to_json(case.schedule)
    run.write_json(stores.EXPERIMENT, record)
    run.write_json(stores.SCHEDULE, schedule)
    _record(case, run)
    judged = judge_run(run, record, strict=False)
    told = SavedFinding(
        case=case, judged=judged, signature=signature, story=line, replay=replay, test=snippet(case, signature)
    )
    run.write_json(FOUND, told.as_json())
    draw(judged, record, schedule, store)
    run.write_json(stores.EXPERIMENT, record)
    stores.link_latest(store, run)
    return told


def tell_confirmed(told: SavedFinding, confirmed: Confirmed, store: Path) -> None:
    """Add to a find's run how often containers showed it, and what they were given instead of its own schedule."""
    run = told.judged.run
    assert run is not None
    record = run.read_json(stores.EXPERIMENT)
    notes = [confirmed.words]
    if confirmed.case is not None and confirmed.case != told.case:
        case = confirmed.case
        run.write_json(ON_CONTAINERS, schedules.to_json(case.schedule))
        notes.append(
            f"splitbrain replay {run.path / ON_CONTAINERS} --system {case.system} --nodes {case.nodes} "
            f"--seed {case.seed} --runtime docker"
        )
    record["notes"] = [*record.get("notes", []), *notes]
    run.write_json(stores.EXPERIMENT, record)
    run.write_json(FOUND, {**told.as_json(), "confirmed": confirmed.as_json()})
    draw(told.judged, record, schedules.to_json(told.case.schedule), store)
    stores.link_latest(store, run)


def _record(case: Case, run: RunDirectory) -> None:
    def open_recorder(cluster: Cluster) -> Recorder:
        return Recorder(HistoryFile(run.history), cluster.now)

    simulate(RunPhases(case.experiment, case.schedule, Silence(), open_recorder), run.logs, lambda words: None)


def write_coverage(coverage: Coverage, folder: Path) -> None:
    """``coverage.csv``, the table, and ``coverage.json``, all of it."""
    folder.mkdir(parents=True, exist_ok=True)
    RunDirectory(folder).write_json(COVERAGE_JSON, coverage.as_json())
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(coverage_rows(coverage))
    (folder / COVERAGE_CSV).write_text(out.getvalue())


def coverage_rows(coverage: Coverage) -> Iterator[tuple[str, ...]]:
    """The table of hits as text, its heading first; fault and role by phase."""
    yield ("fault", "role", *PHASES)
    for fault, role in sorted({(blow.fault, blow.role) for blow in coverage.hits}):
        yield (fault, role, *(str(coverage.hits[FaultHit(fault, role, phase)]) for phase in PHASES))
