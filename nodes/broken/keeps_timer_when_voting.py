"""Does not restart its election timer when it grants a vote, so that voters may soon stand against their candidate.

A follower stands only "without receiving AppendEntries RPC from current leader or granting vote to candidate" (Ongaro &
Ousterhout 2014, figure 2). Here a vote in a new term restarts the timer anyway, since entering the term does; only a
vote granted twice, or in a term that was known already, does not.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsTimerWhenVoting(Raft):
    """Leaves its timer alone when it votes."""

    def _on_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        in_a_known_term, quiet_since = term == self.term, self._quiet_since
        super()._on_vote(at, sender, term, round_)
        if in_a_known_term:
            self._quiet_since = quiet_since


BUG = Broken(
    name="keeps-timer-when-voting",
    of=RAFT_BASIC_SYSTEM,
    mistake="lets its timer run when it votes",
    factory=KeepsTimerWhenVoting,
    catches="stall",
    trigger="a contested election",
    steps=CONTESTED_ELECTIONS,
    harmless="votes in new terms restart the timer by entering the term; what remains is a slightly likelier split "
    "vote, within the bound that elections are given",
)
