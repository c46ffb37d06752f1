"""Takes every reply to a vote for a yes.

The field "voteGranted" of figure 2 (Ongaro & Ousterhout 2014) is never looked at. A quorum behind each win must
catch it. Cheapest trigger: two candidates in one term, who refuse each other.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
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
)
