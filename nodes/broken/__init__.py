"""Elections with one known bug each, to see that every bug is caught, by what, and how soon.

One bug a file, as the smallest subclass or option; each file says what the mistake is, what must catch it and what
provokes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from splitbrain.nodes.broken import (
    asks_only_the_highest,
    asks_twice,
    believes_old_leader,
    compares_terms_as_text,
    counts_foreign_answers,
    counts_itself_twice,
    counts_late_votes,
    counts_pre_votes,
    counts_refusals,
    counts_replies,
    elects_whenever_asked,
    follows_late_results,
    forgets_everything,
    forgets_vote,
    grants_any_pre_vote,
    grants_lower_terms,
    halves_even_clusters,
    ignores_heartbeats,
    ignores_higher_terms,
    ignores_oks,
    ignores_rounds,
    keeps_claiming,
    keeps_old_vote,
    keeps_results,
    keeps_standing,
    keeps_timer_when_voting,
    leads_before_asking,
    leases_from_receipt,
    lives_by_wall_clock,
    looks_at_lease_rarely,
    names_its_choice,
    never_checks_quorum,
    never_tries_again,
    obeys_old_leaders,
    overlooks_its_own_token,
    passes_on_lower_names,
    picks_from_a_partial_list,
    raises_on_late_answers,
    remembers_oks,
    replies_first,
    resumes_leadership,
    same_timeouts,
    shares_identity,
    trusts_any_message,
    trusts_renewal_times,
    votes_after_boot,
    watches_by_wall_clock,
)
from splitbrain.nodes.broken.base import Broken

_MODULES: Final = (
    asks_only_the_highest,
    asks_twice,
    believes_old_leader,
    compares_terms_as_text,
    counts_foreign_answers,
    counts_itself_twice,
    counts_late_votes,
    counts_pre_votes,
    counts_refusals,
    counts_replies,
    elects_whenever_asked,
    follows_late_results,
    forgets_everything,
    forgets_vote,
    grants_any_pre_vote,
    grants_lower_terms,
    halves_even_clusters,
    ignores_heartbeats,
    ignores_higher_terms,
    ignores_oks,
    ignores_rounds,
    keeps_claiming,
    keeps_old_vote,
    keeps_results,
    keeps_standing,
    keeps_timer_when_voting,
    leads_before_asking,
    leases_from_receipt,
    lives_by_wall_clock,
    looks_at_lease_rarely,
    names_its_choice,
    never_checks_quorum,
    never_tries_again,
    obeys_old_leaders,
    overlooks_its_own_token,
    passes_on_lower_names,
    picks_from_a_partial_list,
    raises_on_late_answers,
    remembers_oks,
    replies_first,
    resumes_leadership,
    same_timeouts,
    shares_identity,
    trusts_any_message,
    trusts_renewal_times,
    votes_after_boot,
    watches_by_wall_clock,
)

BROKEN: Final[Mapping[str, Broken]] = MappingProxyType({module.BUG.system.name: module.BUG for module in _MODULES})
"""Every planted bug by the name of its system, such as ``broken/forgets-vote``."""

__all__ = ["BROKEN", "Broken"]
