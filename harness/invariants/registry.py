"""All invariants, by name, and the systems that each of them is held against."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from splitbrain.invariants.costs import message_count
from splitbrain.invariants.events import ElectionTrace, Took, Violation, vote_of
from splitbrain.invariants.highest import no_win_over_an_ok, one_result_an_election, result_goes_round, results_in_order
from splitbrain.invariants.leadership import (
    confirmed_by_a_majority,
    highest_leads,
    no_node_raises,
    one_leader_at_an_instant,
)
from splitbrain.invariants.votes import (
    durable_before_sent,
    higher_term_adopted,
    one_reign_a_term,
    one_vote_a_term,
    quorum_behind_win,
    term_order,
)
from splitbrain.names import Guarantee, Promises
from splitbrain.nodes.systems.base import Feature


@dataclass(frozen=True, kw_only=True, slots=True)
class Invariant:
    """An invariant and its scope.

    ``about`` is True for a trace with events that it is about. ``promise`` is the guarantee that it is part of: where
    that is not guaranteed, the invariant may be violated. ``feature`` is one that a system must have for it.
    ``of_any_node`` is True if it means the same in every algorithm; the others recognize messages by the names that
    they have in ours.
    """

    check: Callable[[ElectionTrace], Iterator[Violation]]
    about: Callable[[ElectionTrace], bool] = lambda trace: True
    promise: Guarantee | None = None
    feature: Feature | None = None
    of_any_node: bool = False

    def applies(self, promises: Promises, features: Collection[Feature]) -> bool:
        """True if a system with these promises and features is held to it."""
        promised = self.promise is None or promises.get(self.promise) == "guaranteed"
        return promised and (self.feature is None or self.feature in features)


def _votes(trace: ElectionTrace) -> bool:
    return any(vote_of(event) is not None for event in trace.events)


def _results(trace: ElectionTrace) -> bool:
    return any(isinstance(event, Took) for event in trace.events)


def _named(*invariants: Invariant) -> Mapping[str, Invariant]:
    return MappingProxyType({each.check.__name__.replace("_", "-"): each for each in invariants})


INVARIANTS: Final = _named(
    Invariant(check=one_vote_a_term, about=_votes),
    Invariant(check=quorum_behind_win, about=_votes),
    Invariant(check=term_order, about=_votes),
    Invariant(check=durable_before_sent, about=_votes),
    Invariant(check=one_reign_a_term, about=_votes),
    Invariant(check=higher_term_adopted, about=_votes),
    Invariant(check=message_count, about=lambda trace: _votes(trace) or _results(trace)),
    Invariant(check=no_win_over_an_ok, about=_results),
    Invariant(check=result_goes_round, about=_results),
    Invariant(check=one_result_an_election, about=_results),
    Invariant(check=results_in_order, about=_results),
    Invariant(check=confirmed_by_a_majority, about=lambda trace: bool(trace.confirmed), of_any_node=True),
    Invariant(
        check=one_leader_at_an_instant,
        about=lambda trace: bool(trace.reigns),
        of_any_node=True,
        promise="exclusivity",
    ),
    Invariant(check=highest_leads, of_any_node=True, feature="highest"),
    Invariant(check=no_node_raises, of_any_node=True),
)
OF_ANY_NODE: Final = frozenset(name for name, invariant in INVARIANTS.items() if invariant.of_any_node)
NO_PROMISES: Final[Promises] = MappingProxyType({})


def tested(trace: ElectionTrace, promises: Promises, features: Collection[Feature]) -> frozenset[str]:
    """The invariants that apply, and that the trace has events for."""
    return frozenset(
        name for name, each in INVARIANTS.items() if each.applies(promises, features) and each.about(trace)
    )


def violations(
    trace: ElectionTrace,
    promises: Promises = NO_PROMISES,
    features: Collection[Feature] = (),
    only: Collection[str] | None = None,
) -> tuple[Violation, ...]:
    """Every violation of an invariant that applies, in order of time; of those of one instant, in the order of
    ``INVARIANTS``. ``only`` names the invariants to check."""
    checked = (each for name, each in INVARIANTS.items() if only is None or name in only)
    found = (violation for each in checked if each.applies(promises, features) for violation in each.check(trace))
    return tuple(sorted(found, key=lambda violation: violation.at))
