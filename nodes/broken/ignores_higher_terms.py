"""Does not step down as leader when it hears of a higher term, so that two leaders remain after a heal.

"If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state" (Ongaro &
Ousterhout 2014, section 5.1). Caught by ``higher-term-adopted``, and by no guarantee about histories: plain Raft does
not promise exclusivity, and one of the two leaders works.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import LEADER, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class IgnoresHigherTerms(Raft):
    """Never steps down."""

    def _follow(self, at: int, term: int, leader: str | None) -> None:
        if self.role != LEADER:
            super()._follow(at, term, leader)


BUG = Broken(
    name="ignores-higher-terms",
    of=RAFT_BASIC_SYSTEM,
    mistake="leads on despite a higher term",
    factory=IgnoresHigherTerms,
    catches="higher-term-adopted",
    trigger="isolate the leader and heal",
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "partition", "shape": "isolated-leader"}},),
)
