"""Results of the matrix: for each guarantee the observation beside the promise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.checkers.verdict import Observed
from splitbrain.names import GUARANTEES, Guarantee, Promise, Promises

Status = Literal["as expected", "not shown", "unknown", "broken promise", "failed", "cannot", "not run"]
RANK: tuple[Status, ...] = ("broken promise", "failed", "not shown", "unknown", "as expected", "cannot", "not run")
"""The statuses, worst first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The result of one entry.

    ``promised`` holds the promises under the faults actually injected. ``observed`` holds what was observed of each
    judged guarantee. ``run`` is the run's folder in the store and ``command`` replays it. ``runs`` is the number of
    runs made, of which the worst counts.
    """

    entry: Entry
    status: Status
    promised: Promises = field(default_factory=dict)
    observed: Mapping[Guarantee, Observed] = field(default_factory=dict)
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
        return {**entry, **result, "promised": dict(self.promised), "observed": dict(self.observed)}


def worst_of(several: Iterable[Mapping[Guarantee, Observed]]) -> dict[Guarantee, Observed]:
    """The observations of several runs combined: violated if in any, else undecided only if in all."""
    order = (Observed.VIOLATED, Observed.HELD, Observed.NOT_SHOWN, Observed.UNDECIDED)
    found: dict[Guarantee, Observed] = {}
    for observed in several:
        for guarantee, each in observed.items():
            found[guarantee] = min(found.get(guarantee, each), each, key=order.index)
    return {guarantee: found[guarantee] for guarantee in GUARANTEES if guarantee in found}


def status_of(promised: Promises, observed: Mapping[Guarantee, Observed]) -> tuple[Status, str]:
    """The status of these observations under these promises, and its reason in words."""

    def those(promise: Promise, *observations: Observed) -> str:
        return " and ".join(each for each in observed if observed[each] in observations and promised[each] == promise)

    if broken := those("guaranteed", Observed.VIOLATED):
        return "broken promise", f"{broken} guaranteed, but violated"
    if hidden := those("known-weakness", Observed.HELD, Observed.NOT_SHOWN, Observed.UNDECIDED):
        return "not shown", f"known weakness of {hidden} not reproduced"
    if undecided := those("guaranteed", Observed.UNDECIDED):
        return "unknown", f"too few observations to judge {undecided}"
    return "as expected", ""
