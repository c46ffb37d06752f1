"""Counts votes that arrive after it has stepped down, and leads the same term a second time.

The majority is checked on each reply without asking whether the election is over. Caught by ``one-reign-a-term``: a
term can name a reign only if each leader holds its term in one stretch. It takes votes that are delayed until the
leader, cut off from its quorum by the same delays, has stepped down.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken, Step
from splitbrain.nodes.raft import FOLLOWER, Raft
from splitbrain.nodes.systems.raft import RAFT_SYSTEM


class CountsLateVotes(Raft):
    """Counts the votes of its term even as a follower."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        super()._on_vote_reply(at, sender, term, round_, granted)
        if granted and term == self.term and self.role == FOLLOWER and self.voted_for == self.id:
            self._votes.add(sender)
            self._count_votes(at)


def _late_votes(at_ms: int) -> tuple[Step, Step]:
    """Restarts the leader, and kills the second voter for its successor once it has voted.

    The new leader then needs the answers of two slow nodes, and their votes arrive when it has stepped down.
    """
    return (
        {"at_ms": at_ms, "for_ms": 60, "fault": {"f": "kill", "target": "leader"}},
        {
            "at_ms": at_ms,
            "for_ms": 1500,
            "fault": {"f": "kill", "target": "subject", "after_effects": 9},
            "when": {"event": "vote-granted", "count": 2, "within_ms": 1000},
        },
    )


BUG = Broken(
    name="counts-late-votes",
    of=RAFT_SYSTEM,
    mistake="counts votes after it has stepped down",
    factory=CountsLateVotes,
    catches="one-reign-a-term",
    trigger="links so slow that a vote arrives after the leader has stepped down for lack of replies",
    steps=(
        {"at_ms": 0, "for_ms": 12000, "fault": {"f": "delay", "target": "minority", "ms": 190, "jitter_ms": 40}},
        *(step for at_ms in (2000, 6000) for step in _late_votes(at_ms)),
    ),
)
