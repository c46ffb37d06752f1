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
"""The worst first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One entry and what came of it.

    ``promised`` holds the promises under the faults that were really injected; ``seen`` the observation of each
    guarantee that any property tests: ``broken``, ``kept``, or ``untold`` where the run does not suffice. ``run`` is
    the run's folder in the store, ``command`` makes it again. ``runs`` are the runs made, of which the worst counts.
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
        """Nothing but JSON's own types; the entry's fields stand beside the result's."""
        schedule = None if self.entry.schedule is None else self.entry.schedule.stem
        entry = {**asdict(self.entry), "nemesis": list(self.entry.nemesis), "schedule": schedule}
        own = {name: getattr(self, name) for name in ("status", "words", "run", "command", "seconds", "runs")}
        return {**entry, **own, "promised": dict(self.promised), "seen": dict(self.seen)}


def guarantees_seen(verdicts: Mapping[str, Any]) -> dict[Guarantee, Seen]:
    """The observation of each guarantee that the properties in a run's verdicts (``verdicts.json``) test."""
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
    """Of several runs: broken if it was in any, else kept if it was in any, else untold."""
    order: tuple[Seen, ...] = ("broken", "kept", "untold")
    found: dict[Guarantee, Seen] = {}
    for seen in several:
        for guarantee, each in seen.items():
            found[guarantee] = min(found.get(guarantee, each), each, key=order.index)
    return {guarantee: found[guarantee] for guarantee in GUARANTEES if guarantee in found}


def status_of(promised: Promises, seen: Mapping[Guarantee, Seen]) -> tuple[Status, str]:
    """The status of these observations under these promises, and what is not as expected, in words."""

    def those(promise: Promise, *observed: Seen) -> str:
        return " and ".join(each for each in seen if seen[each] in observed and promised.get(each) == promise)

    if broken := those("guaranteed", "broken"):
        return "broken promise", f"{broken} guaranteed, and broken"
    if hidden := those("known-weakness", "kept", "untold"):
        return "not shown", f"known weakness of {hidden} not reproduced"
    if untold := those("guaranteed", "untold"):
        return "unknown", f"too little to judge {untold}"
    return "as expected", ""
