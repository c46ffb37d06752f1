"""The judge: holds what the checkers found against what the system promises.

A checker finds violations as if everything were promised. Each finding names the guarantee that it breaks by a letter,
and the promise for that letter decides: ``+`` promised, so a finding makes the run invalid; ``!`` a known weakness,
which is reported as shown or not shown; ``?`` permitted, so only reported; ``-`` undefined, so not judged. What
could not be told stays unknown, and a checker that fails is unknown too: neither is ever a pass, and neither keeps
the others from being heard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from splitbrain.checkers import (
    agreement,
    coverage,
    epoch_safety,
    exclusivity,
    fencing,
    linearizability,
    lost_updates,
    mutual_exclusion,
    stability,
    stall,
    term_monotonicity,
    term_safety,
    vote_safety,
)
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Outcome, Verdict, worst

Promise = Literal["+", "!", "?", "-"]
Promises = Mapping[str, Promise]

ALL_PROMISED: Promises = MappingProxyType({"T": "+", "X": "+", "F": "+", "A": "+", "L": "+", "S": "+"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property's name, the letters of the guarantees it tests, and its checker.

    ``needs`` names operations of a workload of its own: a history that holds none of them is not judged by it.
    ``gives_way_to`` names operations by which another property answers the same question better. ``told`` says whether
    what it is about was told in a history at all.
    """

    name: str
    letters: tuple[str, ...]
    check: Callable[[History, Bounds], Verdict]
    needs: tuple[str, ...] = ()
    gives_way_to: tuple[str, ...] = ()
    told: Callable[[History], bool] = lambda history: True

    def concerns(self, history: History) -> bool:
        held = history.others.keys()
        asked = (not self.needs or not held.isdisjoint(self.needs)) and held.isdisjoint(self.gives_way_to)
        return asked and self.told(history)


PROPERTIES: tuple[Property, ...] = (
    *(
        Property(name=name, letters=("T",), check=check, gives_way_to=epoch_safety.NEEDS)
        for name, check in (
            ("term-safety", lambda history, _: term_safety.check(history)),
            ("agreement", lambda history, _: agreement.check(history)),
            ("term-monotonicity", lambda history, _: term_monotonicity.check(history)),
        )
    ),
    Property(
        name="vote-safety",
        letters=("T",),
        check=lambda history, bounds: vote_safety.check(history, bounds.votes_kept),
        told=vote_safety.shown,
    ),
    Property(
        name="epoch-safety",
        letters=("T",),
        check=lambda history, _: epoch_safety.check(history),
        needs=epoch_safety.NEEDS,
    ),
    Property(name="exclusivity", letters=("X",), check=lambda history, _: exclusivity.check(history)),
    Property(name="stall", letters=("A", "L"), check=stall.check),
    Property(name="stability", letters=("S",), check=stability.check),
    Property(name="fencing", letters=("F",), check=fencing.check, needs=fencing.NEEDS),
    Property(
        name="mutual-exclusion",
        letters=("X",),
        check=lambda history, _: mutual_exclusion.check(history),
        needs=mutual_exclusion.NEEDS,
    ),
    Property(
        name="lost-updates",
        letters=("F",),
        check=lambda history, _: lost_updates.check(history),
        needs=lost_updates.NEEDS,
    ),
    Property(
        name="linearizability",
        letters=("F",),
        check=lambda history, _: linearizability.check(history),
        needs=linearizability.NEEDS,
    ),
    Property(name="coverage", letters=(), check=coverage.check),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedProperty:
    """A property's verdict, and its outcome once it is held to the promises for its letters.

    ``weakness`` is "shown" or "not shown" where a weakness is known, else None.
    """

    found: Verdict
    outcome: Outcome
    words: str
    promises: Promises = field(default_factory=dict)
    weakness: Literal["shown", "not shown"] | None = None

    @property
    def name(self) -> str:
        return self.found.property

    def _promise(self) -> str | dict[str, str] | None:
        """The mark of the one letter, or each letter's where there are several; None where there is none."""
        match len(self.promises):
            case 0:
                return None
            case 1:
                return next(iter(self.promises.values()))
            case _:
                return dict(self.promises)

    def as_json(self) -> dict[str, Any]:
        """What ``verdicts.json`` holds of it: nothing but JSON's own types."""
        return {
            "verdict": self.outcome.word,
            "promise": self._promise(),
            **({"class": self.found.kind} if self.found.kind is not None else {}),
            "evidence": list(self.found.evidence),
            "words": self.words,
            **({"weakness": self.weakness} if self.weakness is not None else {}),
            "findings": [_finding_json(finding) for finding in self.found.findings],
            "facts": dict(self.found.facts),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """All properties of one run, and the worst of their outcomes."""

    outcome: Outcome
    properties: tuple[JudgedProperty, ...]

    def __getitem__(self, name: str) -> JudgedProperty:
        return next(judged for judged in self.properties if judged.name == name)

    def as_json(self, run: str | None = None) -> dict[str, Any]:
        """The object that ``check --json`` prints; ``run`` is the run's directory or the history's path."""
        return {
            "verdict": self.outcome.word,
            "run": run,
            "properties": {judged.name: judged.as_json() for judged in self.properties},
        }


def judge(
    history: History,
    promises: Promises = ALL_PROMISED,
    bounds: Bounds | None = None,
    strict: bool = False,
    only: Collection[str] | None = None,
) -> Judgement:
    """Every property that concerns the history, held to the promises; a letter without a promise counts as ``+``.

    With ``strict`` a known weakness that was not shown makes the run invalid. ``only`` names the properties that are
    asked for, None all of them.
    """
    bounds = bounds or Bounds()
    judged = tuple(
        hold(found, {letter: promises.get(letter, "+") for letter in tested.letters}, strict)
        for tested in PROPERTIES
        if (only is None or tested.name in only) and tested.concerns(history)
        for found in [_checked(tested, history, bounds)]
    )
    return Judgement(outcome=worst(each.outcome for each in judged), properties=judged)


def _checked(tested: Property, history: History, bounds: Bounds) -> Verdict:
    try:
        return tested.check(history, bounds)
    except Exception as failure:  # a checker's own bug: unknown, and the others go on
        words = f"the checker failed: {type(failure).__name__}: {failure}"
        return Verdict(property=tested.name, outcome=Outcome.UNKNOWN, words=words)


def hold(found: Verdict, promises: Promises, strict: bool = False) -> JudgedProperty:
    """One verdict held to the promises for its letters; with no letters it stands as it is."""
    if not promises:
        return JudgedProperty(found=found, outcome=found.outcome, words=found.words)
    held = {letter: _held(found, letter, mark, strict) for letter, mark in promises.items()}
    weak = [letter for letter, mark in promises.items() if mark == "!"]
    shown = any(finding.guarantee in weak for finding in found.findings)
    return JudgedProperty(
        found=found,
        outcome=worst(held.values()),
        words=found.words + _aside(found, promises, held),
        promises=promises,
        weakness=("shown" if shown else "not shown") if weak else None,
    )


def _held(found: Verdict, letter: str, mark: Promise, strict: bool) -> Outcome:
    """The outcome for one letter."""
    broken = any(finding.guarantee == letter for finding in found.findings)
    match mark:
        case "-" | "?":
            return Outcome.VALID
        case "+" if broken:
            return Outcome.INVALID
        case "!" if broken:
            return Outcome.VALID
    if found.outcome is Outcome.UNKNOWN or found.facts.get("undecided", {}).get(letter):
        return Outcome.UNKNOWN
    return Outcome.INVALID if mark == "!" and strict else Outcome.VALID


def _aside(found: Verdict, promises: Promises, held: Mapping[str, Outcome]) -> str:
    """What the promises make of it, where that is not plain from the outcome."""
    broken = {finding.guarantee for finding in found.findings}
    notes = []
    for letter, mark in promises.items():
        match mark:
            case "-":
                notes.append(f"{letter} is undefined for this system and not judged")
            case "?" if letter in broken:
                notes.append(f"{letter} is permitted to fail")
            case "!" if letter in broken:
                notes.append(f"{letter} is known to be weak, and that was shown")
            case "!":
                strictly = ", as was asked for" if held[letter] is Outcome.INVALID else ""
                notes.append(f"{letter} is known to be weak, but that was not shown{strictly}")
    return f" ({'; '.join(notes)})" if notes else ""


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "guarantee": finding.guarantee,
        "words": finding.words,
        "evidence": list(finding.evidence),
        "start": finding.start,
        "end": finding.end,
        "nodes": list(finding.nodes),
        "facts": dict(finding.facts),
    }
