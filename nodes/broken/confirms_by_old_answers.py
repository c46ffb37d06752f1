"""Confirms that it leads by the answers that it already has, instead of those to a round that began after the question.

A read that relies on leadership needs a round of heartbeats of its own (Ongaro's dissertation, section 6.4). Old
answers show that a majority followed this leader once, so a leader that hears no other node any more confirms for ever,
and observers see no stall. Caught by ``confirmed-by-a-majority``, without any fault.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Answer
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class ConfirmsByOldAnswers(Raft):
    """Counts the answers to any round of its term."""

    def _answer_confirms(self, at: int) -> None:
        if len(self._answered) < self._majority:
            return
        self._effects += [Answer(request, self.term, self._reign, None) for request, _ in self._confirms]
        self._confirms = []


BUG = Broken(
    name="confirms-by-old-answers",
    of=RAFT_BASIC_SYSTEM,
    mistake="confirms by answers that it had before the question",
    factory=ConfirmsByOldAnswers,
    catches="confirmed-by-a-majority",
    trigger="none needed; a deaf leader then confirms for ever",
)
