"""Counts answers instead of voters, also those to its requests of older terms.

Votes received form a set of the servers that voted in the present term (Ongaro & Ousterhout 2014, section 5.2).
NATS 2.9.10 counted every answer that granted a vote (nats-server issue 5149): a voter that is paused while a candidate
stands again and again answers each of its requests afterwards, and so makes a majority alone. Caught by
``election-quorum``: two of five nodes are cut off, and the one that is not paused leads when the other resumes.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken, Step
from splitbrain.nodes.raft import CANDIDATE, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class CountsAnswers(Raft):
    """Takes each vote, of whatever term, for that of another voter."""

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        if granted and term <= self.term and self.role == CANDIDATE:
            self._votes.add(f"{sender}, answer {len(self._votes)}")
            self._count_votes(at)
        else:
            super()._on_vote_reply(at, sender, term, round_, granted)


def _voter_is_paused(at_ms: int) -> tuple[Step, Step]:
    """Pauses the leader for several timeouts, and cuts it off together with one follower before others lead."""
    return (
        {"at_ms": at_ms, "for_ms": 2000, "fault": {"f": "pause", "target": "leader"}},
        {"at_ms": at_ms + 50, "for_ms": 3500, "fault": {"f": "partition", "shape": "minority-leader"}},
    )


BUG = Broken(
    name="counts-answers",
    of=RAFT_BASIC_SYSTEM,
    mistake="counts answers instead of voters, also those of older terms",
    factory=CountsAnswers,
    catches="election-quorum",
    trigger="a voter cut off together with a candidate, and paused for several of its timeouts",
    steps=(*_voter_is_paused(2000), *_voter_is_paused(9000)),
)
