"""Results of the matrix: for each guarantee the observation beside the promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.checkers.judge import NOT_JUDGED, PROPERTIES
from splitbrain.names import GUARANTEES, Guarantee, Promise, Promises

Seen = Literal["broken", "kept", "untold"]
Status = Literal["as expected", "not shown", "unknown", "broken promise", "failed", "cannot", "not run"]
RANK: tuple[Status, ...] = ("broken promise", "failed", "not shown", "unknown", "as expected", "cannot", "not run")
"""The statuses, worst first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of one entry.

    ``promised`` holds the promises under the faults actually injected. ``seen`` holds the observation of each tested
    guarantee: ``broken``, ``kept``, or ``untold`` if the run does not decide it. ``run`` is the run's folder in the
    store and ``command`` replays it. ``runs`` is the number of runs made, of which the worst counts.
    """

    entry: Entry
    status: Status
    promised: Promises = field(default_factory=dict)
    seen: Mapping[Guarantee, Seen] = field(default_factory=dict)
    words: str = ""
    run: str | None = None
    command: str | None = None
    seconds: float = 0.0
    runs: int = 1

    def as_json(self) -> dict[str, Any]:
        """The fields of the entry and of the result as one JSON object."""
        schedule = None if self.entry.schedule is None else self.entry.schedule.stem
        entry = {**asdict(self.entry), "nemesis": list(self.entry.nemesis), "schedule": schedule}
        result = {name: getattr(self, name) for name in ("status", "words", "run", "command", "seconds", "runs")}
        return {**entry, **result, "promised": dict(self.promised), "seen": dict(self.seen)}


def guarantees_seen(verdicts: Mapping[str, Any]) -> dict[Guarantee, Seen]:
    """The observation of each guarantee tested in a run's verdicts (``verdicts.json``)."""
    seen: dict[Guarantee, Seen] = {}
    for tested in PROPERTIES:
        judged = verdicts["properties"].get(tested.name)
        if judged is None or judged["verdict"] == NOT_JUDGED:
            continue
        broken = {finding["guarantee"] for finding in judged["findings"]}
        undecided = judged["facts"].get("undecided", {})
        for guarantee in tested.guarantees:
            if guarantee in broken:
                seen[guarantee] = "broken"
            elif (judged["verdict"] == "unknown" or undecided.get(guarantee)) and seen.get(guarantee) != "broken":
                seen[guarantee] = "untold"
            else:
                seen.setdefault(guarantee, "kept")
    return {guarantee: seen[guarantee] for guarantee in GUARANTEES if guarantee in seen}


def worst_of(several: Iterable[Mapping[Guarantee, Seen]]) -> dict[Guarantee, Seen]:
    """The observations of several runs combined: broken if in any, else kept if in any, else untold."""
    order: tuple[Seen, ...] = ("broken", "kept", "untold")
    found: dict[Guarantee, Seen] = {}
    for seen in several:
        for guarantee, each in seen.items():
            found[guarantee] = min(found.get(guarantee, each), each, key=order.index)
    return {guarantee: found[guarantee] for guarantee in GUARANTEES if guarantee in found}


def status_of(promised: Promises, seen: Mapping[Guarantee, Seen]) -> tuple[Status, str]:
    """The status of these observations under these promises, and its reason in words."""

    def those(promise: Promise, *observed: Seen) -> str:
        return " and ".join(each for each in seen if seen[each] in observed and promised.get(each) == promise)

    if broken := those("guaranteed", "broken"):
        return "broken promise", f"{broken} guaranteed, but violated"
    if hidden := those("known-weakness", "kept", "untold"):
        return "not shown", f"known weakness of {hidden} not reproduced"
    if untold := those("guaranteed", "untold"):
        return "unknown", f"too few observations to judge {untold}"
    return "as expected", ""
