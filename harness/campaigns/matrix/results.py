"""What the runs of the matrix showed, letter by letter, beside what was promised."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from splitbrain.campaigns.matrix.entries import Entry
from splitbrain.checkers.judge import PROPERTIES

LETTERS = "TXFALS"
Seen = Literal["broken", "kept", "untold"]
Status = Literal["as expected", "not shown", "unknown", "broken promise", "failed", "cannot", "not run"]
RANK: tuple[Status, ...] = ("broken promise", "failed", "not shown", "unknown", "as expected", "cannot", "not run")
"""The worst first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One entry and what came of it.

    ``promised`` holds the mark of each letter under the faults that really were; ``seen`` what was found of each letter
    that any property tests: ``broken``, ``kept``, or ``untold`` where the run was not enough to tell. ``run`` is the
    run's folder in the store, ``command`` what makes it again. ``runs`` are the runs made, of which the worst is told.
    """

    entry: Entry
    status: Status
    promised: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    words: str = ""
    run: str | None = None
    command: str | None = None
    seconds: float = 0.0
    runs: int = 1

    def as_json(self) -> dict[str, Any]:
        """Nothing but JSON's own types; the entry's fields stand beside the result's."""
        entry = {**asdict(self.entry), "nemesis": list(self.entry.nemesis)}
        own = {name: getattr(self, name) for name in ("status", "words", "run", "command", "seconds", "runs")}
        return {**entry, **own, "promised": dict(self.promised), "seen": dict(self.seen)}


def letters_seen(verdicts: Mapping[str, Any]) -> dict[str, Seen]:
    """What a run's verdicts (``verdicts.json``) say of each letter that its properties test."""
    seen: dict[str, Seen] = {}
    for tested in PROPERTIES:
        judged = verdicts["properties"].get(tested.name)
        if judged is None:
            continue
        broken = {finding["guarantee"] for finding in judged["findings"]}
        undecided = judged["facts"].get("undecided", {})
        for letter in tested.letters:
            if letter in broken:
                seen[letter] = "broken"
            elif (judged["verdict"] == "unknown" or undecided.get(letter)) and seen.get(letter) != "broken":
                seen[letter] = "untold"
            else:
                seen.setdefault(letter, "kept")
    return {letter: seen[letter] for letter in LETTERS if letter in seen}


def worst_of(several: Iterable[Mapping[str, Seen]]) -> dict[str, Seen]:
    """Of several runs: broken if it was in any, else kept if it was in any, else untold."""
    order: tuple[Seen, ...] = ("broken", "kept", "untold")
    found: dict[str, Seen] = {}
    for seen in several:
        for letter, mark in seen.items():
            found[letter] = min(found.get(letter, mark), mark, key=order.index)
    return {letter: found[letter] for letter in LETTERS if letter in found}


def status_of(promised: Mapping[str, str], seen: Mapping[str, Seen]) -> tuple[Status, str]:
    """Whether what was seen is what was to be expected, and what is not, in words."""
    broken = [letter for letter, mark in seen.items() if mark == "broken" and promised.get(letter) == "+"]
    if broken:
        return "broken promise", f"{' and '.join(broken)} promised, and broken"
    hidden = [letter for letter, mark in seen.items() if mark != "broken" and promised.get(letter) == "!"]
    if hidden:
        return "not shown", f"{' and '.join(hidden)} known to break, and not seen to"
    untold = [letter for letter, mark in seen.items() if mark == "untold" and promised.get(letter) == "+"]
    if untold:
        return "unknown", f"too little to tell of {' and '.join(untold)}"
    return "as expected", ""
