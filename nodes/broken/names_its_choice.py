"""Names the candidate it voted for as leader, before any candidate has won.

Vote and leader share one variable. Caught by ``agreement``: in a contested election the voters of the losing candidate
name the wrong leader, until they hear from the right one.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class NamesItsChoice(Raft):
    """Follows its candidate as if that led."""

    def _on_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        super()._on_vote(at, sender, term, round_)
        if self.voted_for not in (None, self.id):
            self.leader = self.voted_for


BUG = Broken(
    name="names-its-choice",
    of=RAFT_BASIC_SYSTEM,
    mistake="names the candidate it voted for as leader",
    factory=NamesItsChoice,
    catches="agreement",
    trigger="a contested election in which a voter does not hear from the winner",
    steps=CONTESTED_ELECTIONS,
)
