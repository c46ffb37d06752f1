"""Takes every reply to a vote request as a granted vote.

The field voteGranted is never read (Ongaro & Ousterhout 2014, figure 2). Caught by ``quorum-behind-win``, when two
candidates of one term refuse each other.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import CONTESTED_ELECTIONS, Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class CountsRefusals(Raft):
    """Counts a refusal as a vote."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_vote_reply(at, sender, term, round_, True)


BUG = Broken(
    name="counts-refusals",
    of=RAFT_BASIC_SYSTEM,
    mistake="counts a refusal as a vote",
    factory=CountsRefusals,
    catches="quorum-behind-win",
    trigger="a contested election",
    steps=CONTESTED_ELECTIONS,
)
