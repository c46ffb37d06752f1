"""Judgements: what was observed beside what was promised, the outcome that follows, and both in words.

A checker observes; the promise for each guarantee decides what that means (``splitbrain.names.PROMISES``): a violation
of a guaranteed one makes the run invalid, a known weakness is reported as reproduced or not, one that is not promised
is only reported, and an undefined one is not judged. Sentences say what happened before they say what it means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers.coverage import PROPERTY as COVERAGE
from splitbrain.checkers.verdict import Finding, Observed, Outcome, Verdict, outcome_of, worst
from splitbrain.checkers.words import listed
from splitbrain.names import GUARANTEES, Guarantee, Promise, Promises

WORST_FIRST = (Observed.VIOLATED, Observed.UNDECIDED, Observed.NOT_SHOWN, Observed.HELD, Observed.NOT_JUDGED)
MEANINGS: Mapping[Promise, str] = {
    "guaranteed": "which {} promises to exclude",
    "known-weakness": "a known weakness of {}",
    "not-promised": "which {} does not promise to exclude",
}
"""The meaning of a violation under each promise, with a place for the system, strongest promise first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedGuarantee:
    """What was observed of a guarantee, what was promised, and the outcome."""

    observed: Observed
    promised: Promise
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedProperty:
    """A property's verdict beside the promises for the guarantees that it tests; ``system`` is the system's name.

    Without a system everything is promised, and no sentence says so.
    """

    found: Verdict
    guarantees: Mapping[Guarantee, JudgedGuarantee]
    system: str | None = None

    @property
    def name(self) -> str:
        """The name of the property."""
        return self.found.property

    @property
    def observed(self) -> Observed:
        """The worst that was observed of its guarantees."""
        each = {judged.observed for judged in self.guarantees.values()} or {self.found.observed}
        return min(each, key=WORST_FIRST.index)

    @property
    def promises(self) -> Promises:
        """The promise for each guarantee; empty if the property tests none."""
        return {guarantee: judged.promised for guarantee, judged in self.guarantees.items()}

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The violations of what is guaranteed, or of what needs no promise."""
        return tuple(each for each in self.found.findings if self._promised(each.guarantee) == "guaranteed")

    def _promised(self, guarantee: Guarantee | None) -> Promise | None:
        return "guaranteed" if guarantee is None else self.promises.get(guarantee)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its guarantees; that of the verdict itself without any."""
        return worst([judged.outcome for judged in self.guarantees.values()] or [self.found.outcome])

    @property
    def words(self) -> str:
        """What was observed, what that means unless the outcome says it, and where it shows."""
        meaning = self._meaning("known-weakness", "not-promised")
        detail = f": {self.found.detail}" if self.found.detail else ""
        return f"{self.found.words}{meaning}{detail}{self._notes()}"

    @property
    def headline(self) -> str:
        """The clause about this property in the headline of a run."""
        return f"{self.found.words}{self._meaning(*MEANINGS)}{self._notes()}"

    def _meaning(self, *promises: Promise) -> str:
        """The meaning of a violation, as a suffix: by the strongest of its promises if that is one of these."""
        violated = {each.promised for each in self.guarantees.values() if each.observed is Observed.VIOLATED}
        strongest = next((promise for promise in MEANINGS if promise in violated), None)
        if strongest is None or strongest not in promises or (strongest == "guaranteed" and self.system is None):
            return ""
        return f", {MEANINGS[strongest].format(self.system or 'this system')}"

    def _notes(self) -> str:
        """The known weaknesses that were not reproduced, as a suffix."""
        notes = [
            f"{guarantee}: known weakness, not reproduced"
            + (", and --strict requires it" if judged.outcome is Outcome.INVALID else "")
            for guarantee, judged in self.guarantees.items()
            if judged.promised == "known-weakness" and judged.observed in (Observed.HELD, Observed.NOT_SHOWN)
        ]
        return f" ({'; '.join(notes)})" if notes else ""

    def as_json(self) -> dict[str, Any]:
        """The entry of ``verdicts.json``, made of JSON types only.

        ``observed`` is one word; ``promised`` is one word, or one for each of several guarantees, or null.
        ``guarantees`` has both for each guarantee.
        """
        promises = dict(self.promises)
        not_judged = self.found.observed is Observed.NOT_JUDGED
        return {
            "verdict": Observed.NOT_JUDGED.value if not_judged else self.outcome.word,
            "observed": self.observed.value,
            "promised": promises if len(promises) > 1 else next(iter(promises.values()), None),
            "guarantees": {
                guarantee: {"observed": judged.observed.value, "promised": judged.promised}
                for guarantee, judged in self.guarantees.items()
            },
            **({"class": self.found.kind} if self.found.kind is not None else {}),
            "evidence": list(self.found.evidence),
            "words": self.words,
            "findings": [_finding_json(finding) for finding in self.found.findings],
            "facts": dict(self.found.facts),
        }


def hold(found: Verdict, promises: Promises, *, strict: bool = False, system: str | None = None) -> JudgedProperty:
    """Set a verdict beside the promises for its guarantees."""
    guarantees = {}
    for guarantee, promise in promises.items():
        observed = Observed.NOT_JUDGED if promise == "undefined" else found.observed_of(guarantee)
        outcome = outcome_of(observed, promise, strict)
        guarantees[guarantee] = JudgedGuarantee(observed=observed, promised=promise, outcome=outcome)
    return JudgedProperty(found=found, guarantees=guarantees, system=system)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The properties of one run, those judged and those not, and the worst of their outcomes.

    ``incidents`` are sentences about what happened unasked (``checkers.incidents``), beside the verdict. ``missing`` is
    the part of the run that the history lacks (``checkers.completeness``); None if it lacks none.
    """

    properties: tuple[JudgedProperty, ...]
    not_judged: tuple[JudgedProperty, ...] = ()
    incidents: tuple[str, ...] = ()
    system: str | None = None
    missing: str | None = None

    def __getitem__(self, name: str) -> JudgedProperty:
        """The judged property of that name, which must exist."""
        return next(judged for judged in self.properties if judged.name == name)

    @property
    def outcome(self) -> Outcome:
        """The worst outcome; unknown if all passed in a part of the run, or without a test of what is promised."""
        if self._nothing_tested or (self._passed and self.missing is not None):
            return Outcome.UNKNOWN
        return worst(judged.outcome for judged in self.properties)

    @property
    def _passed(self) -> bool:
        return worst(judged.outcome for judged in self.properties) is Outcome.VALID

    @property
    def _nothing_tested(self) -> bool:
        promises = {promise for judged in self.properties for promise in judged.promises.values()}
        about_promises = any(judged.guarantees for judged in self.properties + self.not_judged)
        return self._passed and about_promises and promises.isdisjoint(("guaranteed", "known-weakness"))

    @property
    def observed(self) -> Mapping[Guarantee, Observed]:
        """The worst that any property observed of each guarantee that was judged."""
        found: dict[Guarantee, Observed] = {}
        for judged in self.properties:
            for guarantee, each in judged.guarantees.items():
                found[guarantee] = min(found.get(guarantee, each.observed), each.observed, key=WORST_FIRST.index)
        return {each: found[each] for each in GUARANTEES if found.get(each, Observed.NOT_JUDGED) != Observed.NOT_JUDGED}

    @property
    def words(self) -> str:
        """The headline: what happened and what it means, the worst first."""
        return "; ".join(self._clauses()) or "nothing was judged"

    def _clauses(self) -> Iterator[str]:
        failed = [judged for judged in self.properties if judged.outcome is not Outcome.VALID]
        passed = [judged for judged in self.properties if judged.outcome is Outcome.VALID]
        permitted = [judged for judged in passed if judged.observed in (Observed.VIOLATED, Observed.NOT_SHOWN)]
        told = sorted(failed, key=lambda judged: -judged.outcome) + permitted
        clauses = dict.fromkeys(judged.headline for judged in told)  # several may share a reason
        yield from (each for each in clauses if not any(more.startswith(f"{each}, ") for more in clauses))
        held = [judged for judged in passed if judged.observed is Observed.HELD]
        yield from _all_held([judged.name for judged in held if judged.name != COVERAGE], bool(told))
        yield from (judged.headline for judged in held if judged.name == COVERAGE)
        if undecided := [judged.name for judged in passed if judged.observed is Observed.UNDECIDED]:
            yield f"undecided, and not promised: {listed(undecided)}"
        if self._passed and self.missing is not None:  # coverage, which says it too, is not among those judged
            yield self.missing
        if self._nothing_tested:
            yield f"passed, but nothing that {self.system or 'this system'} promises was put to the test"

    def as_json(self, run: str | None = None) -> dict[str, Any]:
        """The object that ``check --json`` prints; ``run`` is the directory of the run or the path of the history."""
        return {
            "verdict": self.outcome.word,
            "words": self.words,
            "run": run,
            **({"incidents": list(self.incidents)} if self.incidents else {}),
            "properties": {judged.name: judged.as_json() for judged in self.properties + self.not_judged},
        }


def _all_held(names: Sequence[str], others: bool) -> Iterator[str]:
    """The clause about the properties that held; ``others`` is true if there were some that did not."""
    if len(names) == 1:
        yield f"{names[0]} held"
    elif names:
        yield f"{'the other' if others else 'all'} {len(names)} properties held"


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
