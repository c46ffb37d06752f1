"""Verdicts: what a checker observed, with the evidence, and the three outcomes of a run.

A checker says what the history shows, and nothing about promises. What was observed and what was promised together give
an outcome (``checkers.judgement``): valid, unknown or invalid. The worst of several wins (invalid > unknown > valid),
as in Jepsen's ``merge-valid``. "Unknown" is never a pass: the harness rests on that.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from splitbrain.names import Guarantee, Promise


class TooLarge(ValueError):
    """A history of more nodes, servers or faults than a checker can compare; the property is then unknown."""


class Outcome(IntEnum):
    """The three outcomes, ordered so that the worst of several is their ``max``."""

    VALID = 0
    UNKNOWN = 1
    INVALID = 2

    @property
    def word(self) -> str:
        """The outcome as histories and reports write it: "valid", "unknown" or "invalid"."""
        return self.name.lower()


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes; UNKNOWN if there are none."""
    return max(outcomes, default=Outcome.UNKNOWN)


class Observed(StrEnum):
    """What a history shows about a property, as reports write it."""

    HELD = "held"
    NOT_SHOWN = "not shown"
    """No violation is proven, and one is not excluded."""
    UNDECIDED = "undecided"
    """The evidence does not suffice."""
    VIOLATED = "violated"
    NOT_JUDGED = "not judged"
    """The history says nothing about the property, or it has no meaning for the system."""


def outcome_of(observed: Observed, promise: Promise, strict: bool = False) -> Outcome:
    """The outcome of what was observed of a guarantee under its promise.

    With ``strict``, a known weakness that was not reproduced is invalid.
    """
    match promise, observed:
        case "guaranteed", Observed.VIOLATED:
            return Outcome.INVALID
        case "guaranteed" | "known-weakness", Observed.UNDECIDED:
            return Outcome.UNKNOWN
        case "known-weakness", Observed.HELD | Observed.NOT_SHOWN if strict:
            return Outcome.INVALID
    return Outcome.VALID


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One violation that the history proves.

    ``guarantee`` is the one that it breaks, None if the property is part of no guarantee. ``evidence`` holds indexes
    of history lines. The violation lies in the closed interval [``start``, ``end``], in ns.
    """

    guarantee: Guarantee | None
    words: str
    evidence: tuple[int, ...]
    start: int
    end: int
    nodes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The result of one checker.

    ``words`` is one sentence for a reader, and ``detail`` an example or the place where it shows, which a headline
    leaves out. ``facts`` are measured figures, all of them JSON values.
    """

    property: str
    observed: Observed
    words: str
    detail: str = ""
    evidence: tuple[int, ...] = ()
    kind: str | None = None  # exclusivity only: proven, possible or excluded
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @builtins.property  # "property" is a field here
    def outcome(self) -> Outcome:
        """The outcome if everything were promised."""
        return outcome_of(self.observed, "guaranteed")

    def observed_of(self, guarantee: Guarantee) -> Observed:
        """What was observed of one of the guarantees that the property tests."""
        if any(finding.guarantee == guarantee for finding in self.findings):
            return Observed.VIOLATED
        if self.facts.get("undecided", {}).get(guarantee):
            return Observed.UNDECIDED
        of_another = self.observed is Observed.VIOLATED and bool(self.findings)
        return Observed.HELD if of_another else self.observed
