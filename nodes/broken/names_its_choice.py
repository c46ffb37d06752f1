"""Names as leader whom it voted for, before anybody has won.

Votes and leaders kept in one variable. Agreement must catch it: in a contested election the voters of the loser name
the wrong one. Cheapest trigger: a contested election, looked at in time.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class NamesItsChoice(Raft):
    """Follows its candidate as if it led."""

    def _on_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        super()._on_vote(at, sender, term, round_)
        if self.voted_for not in (None, self.id):
            self.leader = self.voted_for


BUG = Broken(
    name="names-its-choice",
    of=RAFT_BASIC_SYSTEM,
    mistake="names as leader whom it voted for",
    factory=NamesItsChoice,
    catches="agreement",
    trigger="a contested election in which a voter does not hear who won",
)
