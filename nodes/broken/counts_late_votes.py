"""Counts votes that come after it has stepped down: it leads the same term a second time.

"The first majority wins" is checked on each reply without asking whether the election is over. One reign a term must
catch it (for a term names a reign only if it is one stretch). Cheapest trigger: votes delayed until the leader, cut
off from its quorum by the same delays, has stepped down.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import FOLLOWER, Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class CountsLateVotes(Raft):
    """Counts the votes of its term whatever it has become since."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_vote_reply(at, sender, term, round_, granted)
        if granted and term == self.term and self.role == FOLLOWER and self.voted_for == self.id:
            self._votes.add(sender)
            self._count_votes(at)


BUG = Broken(
    name="counts-late-votes",
    of=RAFT_SYSTEM,
    mistake="counts votes after it has stepped down",
    factory=CountsLateVotes,
    catches="one-reign-a-term",
    trigger="links so slow that a vote comes after the leader has given up for want of answers",
)
