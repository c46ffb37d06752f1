"""The judge: weighs the findings of the checkers against the promises of the system.

A checker finds violations as if everything were guaranteed. Each finding names the guarantee that it breaks, and the
promise for that guarantee decides (``splitbrain.names.PROMISES``): a violation of a guaranteed one makes the run
invalid, a known weakness is reported as shown or not shown, one that is not promised is only reported, and an undefined
one is not judged. An undecided property stays unknown, and so does one whose checker fails: neither is ever a pass, and
neither suppresses the others.

A history without the operations that a property is about says nothing about it: the property is *not judged*, which is
no verdict and takes no part in the outcome. Where the nodes of the cluster are known, their observations are expected,
and their absence is a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from splitbrain.checkers import (
    agreement,
    coverage,
    election_quorum,
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
from splitbrain.checkers.incidents import described
from splitbrain.checkers.verdict import Finding, Outcome, Verdict, worst
from splitbrain.names import GUARANTEES, Guarantee, Promise, Promises

OBSERVE = "observe"
CONFIRM = "confirm"
NOT_JUDGED = "not judged"
NOTHING_TESTED = "passed, but nothing that this system promises was put to the test"
ALL_PROMISED: Promises = MappingProxyType(dict.fromkeys(GUARANTEES, "guaranteed"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property's name, its description for reports, the guarantees that it tests, and its checker.

    ``needs`` names the operations that it is about; a history without any of them is not judged by this property, and
    neither is one with any of ``gives_way_to``, operations by which another property answers the same question better.
    ``recorded`` is true for a history that holds the observations that the property is about.
    """

    name: str
    help: str
    guarantees: tuple[Guarantee, ...]
    check: Callable[[History, Bounds], Verdict]
    needs: tuple[str, ...] = (OBSERVE,)
    gives_way_to: tuple[str, ...] = ()
    recorded: Callable[[History], bool] = lambda history: True

    def why_not(self, history: History, bounds: Bounds) -> str | None:
        """The reason why the history is not judged by this property; None if it is."""
        recorded = {f for f, asked in history.others.items() if len(asked)}
        if len(history.observations) or bounds.members:
            recorded.add(OBSERVE)
        if recorded.isdisjoint(self.needs):
            return f"the history has no operation {' or '.join(self.needs)}"
        if not recorded.isdisjoint(self.gives_way_to):
            return f"{' or '.join(self.gives_way_to)} answers the question better"
        return None if self.recorded(history) else "no answer in the history shows what it is about"


PROPERTIES: tuple[Property, ...] = (
    Property(
        name="term-safety",
        help="No two nodes ever claim to lead in the same term; no clock is needed to tell.",
        guarantees=("term-safety",),
        check=lambda history, _: term_safety.check(history),
        gives_way_to=epoch_safety.NEEDS,
    ),
    Property(
        name="agreement",
        help="No two nodes ever name different leaders for the same term.",
        guarantees=("term-safety",),
        check=lambda history, _: agreement.check(history),
        gives_way_to=epoch_safety.NEEDS,
    ),
    Property(
        name="term-monotonicity",
        help="The term that a node reports never goes back, unless its disk was wiped.",
        guarantees=("term-safety",),
        check=lambda history, _: term_monotonicity.check(history),
        gives_way_to=epoch_safety.NEEDS,
    ),
    Property(
        name="vote-safety",
        help="No node ever votes for two candidates in one term, by the votes that nodes show.",
        guarantees=("term-safety",),
        check=lambda history, bounds: vote_safety.check(history, bounds.votes_kept),
        recorded=vote_safety.shown,
    ),
    Property(
        name="epoch-safety",
        help="No two servers ever name different leaders for the same epoch.",
        guarantees=("term-safety",),
        check=lambda history, _: epoch_safety.check(history),
        needs=epoch_safety.NEEDS,
    ),
    Property(
        name="election-quorum",
        help="No node begins to lead where no majority could have elected it, by the links that were certainly cut and "
        "the nodes that were certainly down.",
        guarantees=("election-quorum",),
        check=election_quorum.check,
    ),
    Property(
        name="exclusivity",
        help="No two nodes lead at the same instant, whatever their terms; only an overlap that every execution "
        "fitting the observations must contain counts as proven.",
        guarantees=("exclusivity",),
        check=lambda history, _: exclusivity.check(history),
    ),
    Property(
        name="stall",
        help="While a healthy, connected majority exists, leadership is confirmed again within the bound.",
        guarantees=("availability", "convergence"),
        check=stall.check,
        needs=(OBSERVE, CONFIRM),
    ),
    Property(
        name="stability",
        help="A leader that is up, on time and connected to a healthy majority keeps its leadership.",
        guarantees=("stability",),
        check=stability.check,
    ),
    Property(
        name="fencing",
        help="A shared resource never accepts a write of a stale leader after one with a newer token, and keeps "
        "every acknowledged write.",
        guarantees=("fencing",),
        check=fencing.check,
        needs=fencing.NEEDS,
    ),
    Property(
        name="mutual-exclusion",
        help="No two clients ever hold one lock at the same instant; a hold counts from the acknowledged acquisition "
        "to the release, if it was held until then.",
        guarantees=("exclusivity",),
        check=lambda history, _: mutual_exclusion.check(history),
        needs=mutual_exclusion.NEEDS,
    ),
    Property(
        name="lost-updates",
        help="An element that was added to a shared set under the lock, and acknowledged, is still there at the end.",
        guarantees=("fencing",),
        check=lambda history, _: lost_updates.check(history),
        needs=lost_updates.NEEDS,
        gives_way_to=("read",),
    ),
    Property(
        name="linearizability",
        help="Every operation on a register, a mutex or a set seems to happen at one instant between its invocation "
        "and its answer.",
        guarantees=("fencing",),
        check=lambda history, _: linearizability.check(history),
        needs=linearizability.NEEDS,
        recorded=lambda history: linearizability.model_of(history) is not None,
    ),
    Property(
        name="coverage",
        help="The run exercised something: faults took effect and were verified, a leader was affected, and the "
        "machine kept time. Without that no run passes.",
        guarantees=(),
        check=coverage.check,
        needs=(OBSERVE, CONFIRM),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedProperty:
    """A property's verdict, and its outcome under the promises for its guarantees.

    ``weakness`` is "shown" or "not shown" if one of them is a known weakness, else None.
    """

    found: Verdict
    outcome: Outcome
    words: str
    promises: Promises = field(default_factory=dict)
    weakness: Literal["shown", "not shown"] | None = None

    @property
    def name(self) -> str:
        """The name of the property."""
        return self.found.property

    def _promise(self) -> Promise | dict[Guarantee, Promise] | None:
        """The promise for the one guarantee, or for each of several; None if the property tests none."""
        match len(self.promises):
            case 0:
                return None
            case 1:
                return next(iter(self.promises.values()))
            case _:
                return dict(self.promises)

    def as_json(self) -> dict[str, Any]:
        """The entry of ``verdicts.json``, made of JSON types only."""
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
    """The judged properties of one run, and the worst of their outcomes.

    ``words`` say why the outcome is worse than that of each property; None if it is not. ``not_judged`` holds the
    reason for each property that the history says nothing about. ``incidents`` are sentences about what happened
    unasked (``checkers.incidents``), beside the verdict.
    """

    outcome: Outcome
    properties: tuple[JudgedProperty, ...]
    words: str | None = None
    not_judged: Mapping[str, str] = field(default_factory=dict)
    incidents: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> JudgedProperty:
        """The judged property of that name, which must exist."""
        return next(judged for judged in self.properties if judged.name == name)

    def as_json(self, run: str | None = None) -> dict[str, Any]:
        """The object that ``check --json`` prints; ``run`` is the directory of the run or the path of the history."""
        return {
            "verdict": self.outcome.word,
            **({"words": self.words} if self.words is not None else {}),
            "run": run,
            **({"incidents": list(self.incidents)} if self.incidents else {}),
            "properties": {
                **{judged.name: judged.as_json() for judged in self.properties},
                **{name: _not_judged_json(reason) for name, reason in self.not_judged.items()},
            },
        }


def judge(
    history: History,
    promises: Promises = ALL_PROMISED,
    bounds: Bounds | None = None,
    strict: bool = False,
    only: Collection[str] | None = None,
) -> Judgement:
    """Judge a history by every property that it holds evidence about, under the promises.

    A guarantee without a promise counts as guaranteed. ``bounds`` are in ns. With ``strict``, a known weakness that was
    not reproduced makes the run invalid. ``only`` names the properties to judge; None means all.
    """
    bounds = bounds or Bounds()
    asked = [tested for tested in PROPERTIES if only is None or tested.name in only]
    why_not = {tested.name: tested.why_not(history, bounds) for tested in asked}
    judged = tuple(
        hold(found, {guarantee: promises.get(guarantee, "guaranteed") for guarantee in tested.guarantees}, strict)
        for tested in asked
        if why_not[tested.name] is None
        for found in [_checked(tested, history, bounds)]
    )
    untested = _nothing_tested(judged)
    return Judgement(
        outcome=Outcome.UNKNOWN if untested else worst(each.outcome for each in judged),
        properties=judged,
        words=NOTHING_TESTED if untested else None,
        not_judged={name: reason for name, reason in why_not.items() if reason is not None},
        incidents=described(history),
    )


def _nothing_tested(judged: Collection[JudgedProperty]) -> bool:
    """True if all that was judged passed, and none of it is promised nor a known weakness."""
    promises = {promise for each in judged for promise in each.promises.values()}
    passed = worst(each.outcome for each in judged) is Outcome.VALID
    return passed and bool(promises) and promises.isdisjoint(("guaranteed", "known-weakness"))


def _checked(tested: Property, history: History, bounds: Bounds) -> Verdict:
    try:
        return tested.check(history, bounds)
    except Exception as failure:  # a bug in the checker: unknown, and the others go on
        words = f"the checker failed: {type(failure).__name__}: {failure}"
        return Verdict(property=tested.name, outcome=Outcome.UNKNOWN, words=words)


def hold(found: Verdict, promises: Promises, strict: bool = False) -> JudgedProperty:
    """Weigh one verdict against the promises for its guarantees; without promises it stands unchanged."""
    if not promises:
        return JudgedProperty(found=found, outcome=found.outcome, words=found.words)
    held = {guarantee: _held(found, guarantee, promise, strict) for guarantee, promise in promises.items()}
    weak = [guarantee for guarantee, promise in promises.items() if promise == "known-weakness"]
    shown = any(finding.guarantee in weak for finding in found.findings)
    return JudgedProperty(
        found=found,
        outcome=worst(held.values()),
        words=found.words + _aside(found, promises, held),
        promises=promises,
        weakness=("shown" if shown else "not shown") if weak else None,
    )


def _held(found: Verdict, guarantee: Guarantee, promise: Promise, strict: bool) -> Outcome:
    """The outcome for one guarantee."""
    broken = any(finding.guarantee == guarantee for finding in found.findings)
    match promise:
        case "undefined" | "not-promised":
            return Outcome.VALID
        case "guaranteed" if broken:
            return Outcome.INVALID
        case "known-weakness" if broken:
            return Outcome.VALID
    if found.outcome is Outcome.UNKNOWN or found.facts.get("undecided", {}).get(guarantee):
        return Outcome.UNKNOWN
    return Outcome.INVALID if promise == "known-weakness" and strict else Outcome.VALID


def _aside(found: Verdict, promises: Promises, held: Mapping[Guarantee, Outcome]) -> str:
    """The bearing of the promises on the verdict, as a suffix; empty if the outcome says enough."""
    broken = {finding.guarantee for finding in found.findings}
    notes = []
    for guarantee, promise in promises.items():
        match promise:
            case "undefined":
                notes.append(f"{guarantee}: undefined for this system, not judged")
            case "not-promised" if guarantee in broken:
                notes.append(f"{guarantee}: not promised under these faults")
            case "known-weakness" if guarantee in broken:
                notes.append(f"{guarantee}: known weakness, reproduced")
            case "known-weakness":
                strictly = ", and --strict requires it" if held[guarantee] is Outcome.INVALID else ""
                notes.append(f"{guarantee}: known weakness, not reproduced{strictly}")
    return f" ({'; '.join(notes)})" if notes else ""


def _not_judged_json(reason: str) -> dict[str, Any]:
    """The entry of ``verdicts.json`` of a property that is not judged, with the keys that every entry has."""
    return {"verdict": NOT_JUDGED, "promise": None, "evidence": [], "words": reason, "findings": [], "facts": {}}


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
