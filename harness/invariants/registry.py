"""All invariants, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from splitbrain.invariants.costs import message_count
from splitbrain.invariants.events import ElectionTrace, Raised, Violation
from splitbrain.invariants.highest import no_win_over_an_ok, one_result_an_election, result_goes_round, results_in_order
from splitbrain.invariants.votes import (
    durable_before_sent,
    higher_term_adopted,
    one_reign_a_term,
    one_vote_a_term,
    quorum_behind_win,
    term_order,
)

Invariant = Callable[[ElectionTrace], Iterator[Violation]]


def no_node_raises(trace: ElectionTrace) -> Iterator[Violation]:
    """No node raises an exception, whatever it receives."""
    for event in trace.events:
        if isinstance(event, Raised):
            yield Violation("no-node-raises", event.at, event.node, f"{event.node} raised {event.error}")


INVARIANTS: Final[Mapping[str, Invariant]] = MappingProxyType(
    {
        invariant.__name__.replace("_", "-"): invariant
        for invariant in (
            one_vote_a_term,
            quorum_behind_win,
            term_order,
            durable_before_sent,
            one_reign_a_term,
            higher_term_adopted,
            message_count,
            no_win_over_an_ok,
            result_goes_round,
            one_result_an_election,
            results_in_order,
            no_node_raises,
        )
    }
)


def violations(trace: ElectionTrace) -> tuple[Violation, ...]:
    """Every violation of any invariant, in order of time; of those of one instant, in the order of ``INVARIANTS``."""
    found = (violation for invariant in INVARIANTS.values() for violation in invariant(trace))
    return tuple(sorted(found, key=lambda violation: violation.at))
