"""The judge: what the checkers observe in a history, set beside the promises of a system.

A checker that fails leaves its property undecided, which is never a pass, and the others are judged all the same.

A history without the operations that a property is about says nothing about it: the property is *not judged*, which is
no verdict and takes no part in the outcome. Neither is one judged that has no meaning for the system. Where the nodes
of the cluster are known, their observations are expected, and their absence is a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import MappingProxyType

from splitbrain.checkers import (
    agreement,
    confirmations,
    coverage,
    election_quorum,
    epoch_safety,
    exceptions,
    exclusivity,
    fencing,
    highest_leads,
    linearizability,
    lost_updates,
    mutual_exclusion,
    stability,
    stall,
    term_monotonicity,
    term_safety,
    true_overlaps,
    vote_safety,
)
from splitbrain.checkers.answering import answered_shares, hardly_observed
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.completeness import missing_part
from splitbrain.checkers.history import History
from splitbrain.checkers.incidents import described
from splitbrain.checkers.judgement import JudgedProperty, Judgement, hold
from splitbrain.checkers.verdict import Observed, TooLarge, Verdict
from splitbrain.checkers.witness import witnessed
from splitbrain.checkers.words import listed
from splitbrain.names import GUARANTEES, WITNESSED, Guarantee, Promises
from splitbrain.plugins import shipped

OBSERVE = "observe"
CONFIRM = "confirm"
ALL_PROMISED: Promises = MappingProxyType(dict.fromkeys(GUARANTEES, "guaranteed"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """A property's name, its description for reports, the guarantees that it tests, and its checker.

    ``needs`` names the operations that it is about; a history without any of them is not judged by this property, and
    neither is one with any of ``gives_way_to``, operations by which another property answers the same question better.
    ``recorded`` is true for a history that holds the observations that the property is about. With
    ``only_where_promised``, it is judged only where its guarantees are guaranteed.
    """

    name: str
    help: str
    guarantees: tuple[Guarantee, ...]
    check: Callable[[History, Bounds], Verdict]
    needs: tuple[str, ...] = (OBSERVE,)
    gives_way_to: tuple[str, ...] = ()
    recorded: Callable[[History], bool] = lambda history: True
    only_where_promised: bool = False

    @property
    def inside(self) -> bool:
        """True if it is about the inside of nodes, which only a simulation sees."""
        return WITNESSED in self.needs

    def why_not(self, history: History, bounds: Bounds) -> str | None:
        """The reason why the history is not judged by this property; None if it is."""
        if self.guarantees and (reason := coverage.no_election(history)) is not None:
            return reason
        recorded = {f for f, asked in history.others.items() if len(asked)}
        if len(history.observations) or bounds.members:
            recorded.add(OBSERVE)
        if self.inside and not witnessed(history):
            return "only a simulation sees inside the nodes"
        recorded.add(WITNESSED)
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
        name="highest-leads",
        help="No node ever follows a leader of a lower name than its own, where the highest node is to lead.",
        guarantees=(),
        check=highest_leads.check,
    ),
    Property(
        name="one-leader-at-an-instant",
        help="No two nodes lead at one instant by their own state, which only a simulation sees, where exclusivity is "
        "guaranteed.",
        guarantees=("exclusivity",),
        check=lambda history, _: true_overlaps.check(history),
        needs=(WITNESSED,),
        only_where_promised=True,
    ),
    Property(
        name="confirmed-by-a-majority",
        help="A node that confirms that it leads has heard from a majority since it was asked; only a simulation sees "
        "the messages.",
        guarantees=(),
        check=confirmations.check,
        needs=(WITNESSED,),
    ),
    Property(
        name="no-node-raises",
        help="No node raises an exception, whatever it receives; only a simulation sees that.",
        guarantees=(),
        check=lambda history, _: exceptions.check(history),
        needs=(WITNESSED,),
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


def properties() -> tuple[Property, ...]:
    """All properties: the built-in ones, and those that other packages ship."""
    return (*PROPERTIES, *(part.value for part in shipped("checkers", Property).values()))


def judge(
    history: History,
    promises: Promises = ALL_PROMISED,
    bounds: Bounds | None = None,
    strict: bool = False,
    only: Collection[str] | None = None,
    system: str | None = None,
) -> Judgement:
    """Judge a history by every property that it holds evidence about, under the promises of the system of that name.

    A guarantee without a promise counts as guaranteed. ``bounds`` are in ns. With ``strict``, a known weakness that was
    not reproduced makes the run invalid. ``only`` names the properties to judge; None means all.
    """
    bounds = bounds or Bounds()
    hidden = hardly_observed(answered_shares(history, bounds))
    judged: list[JudgedProperty] = []
    not_judged: list[JudgedProperty] = []
    for tested in properties():
        if only is None or tested.name in only:
            promised = {guarantee: promises.get(guarantee, "guaranteed") for guarantee in tested.guarantees}
            found = _unless_hidden(tested, _observed(tested, history, bounds, promised), hidden)
            where = not_judged if found.observed is Observed.NOT_JUDGED else judged
            where.append(hold(found, promised, strict=strict, system=system))
    return Judgement(
        properties=tuple(judged),
        not_judged=tuple(not_judged),
        incidents=described(history),
        system=system,
        missing=missing_part(history, bounds),
    )


def _observed(tested: Property, history: History, bounds: Bounds, promised: Promises) -> Verdict:
    """The verdict of the property's checker; not judged if it has no meaning here, undecided if the checker fails."""
    why_not = tested.why_not(history, bounds) or _undefined(promised) or _unpromised(tested, promised)
    if why_not is not None:
        return Verdict(property=tested.name, observed=Observed.NOT_JUDGED, words=why_not)
    try:
        return tested.check(history, bounds)
    except TooLarge as limit:
        return Verdict(property=tested.name, observed=Observed.UNDECIDED, words=str(limit))
    except Exception as failure:  # a bug in the checker: undecided, and the others go on
        words = f"the checker failed: {type(failure).__name__}: {failure}"
        return Verdict(property=tested.name, observed=Observed.UNDECIDED, words=words)


def _unless_hidden(tested: Property, found: Verdict, hidden: str | None) -> Verdict:
    """The verdict; undecided if it rests on the silence of those that hardly answered, in words in ``hidden``."""
    asked = {OBSERVE, CONFIRM, *epoch_safety.NEEDS}
    if hidden is None or found.observed not in (Observed.HELD, Observed.NOT_SHOWN) or asked.isdisjoint(tested.needs):
        return found
    words = f"{hidden}, which may hide a violation"
    return replace(found, observed=Observed.UNDECIDED, words=words, detail=found.words)


def _unpromised(tested: Property, promised: Promises) -> str | None:
    """The reason why a property that is judged only where promised is not judged; None if it is."""
    idle = tested.only_where_promised and "guaranteed" not in promised.values()
    return f"not guaranteed here: {listed(promised)}" if idle else None


def _undefined(promised: Promises) -> str | None:
    """The reason why promises that are all undefined are not judged; None if one has a meaning."""
    defined = not promised or any(promise != "undefined" for promise in promised.values())
    return None if defined else f"undefined for this system: {listed(promised)}"
