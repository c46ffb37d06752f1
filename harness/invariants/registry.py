"""All invariants of the messages of elections, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from splitbrain.invariants.costs import message_count
from splitbrain.invariants.events import ElectionTrace, Took, Violation, vote_of
from splitbrain.invariants.highest import no_win_over_an_ok, one_result_an_election, result_goes_round, results_in_order
from splitbrain.invariants.votes import (
    durable_before_sent,
    higher_term_adopted,
    one_reign_a_term,
    one_vote_a_term,
    quorum_behind_win,
    term_order,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Invariant:
    """An invariant; ``about`` is True for a trace with events that it is about."""

    check: Callable[[ElectionTrace], Iterator[Violation]]
    about: Callable[[ElectionTrace], bool]


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
)


def tested(trace: ElectionTrace) -> frozenset[str]:
    """The invariants that the trace has events for."""
    return frozenset(name for name, each in INVARIANTS.items() if each.about(trace))


def violations(trace: ElectionTrace) -> tuple[Violation, ...]:
    """Every violation of an invariant, in order of time; of those of one instant, in the order of ``INVARIANTS``."""
    found = (violation for each in INVARIANTS.values() for violation in each.check(trace))
    return tuple(sorted(found, key=lambda violation: violation.at))
