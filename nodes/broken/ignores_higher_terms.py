"""A leader does not step down when it hears of a higher term: after a heal there are two, for ever.

"If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state" (Ongaro &
Ousterhout 2014, section 5.1). That higher terms are adopted must catch it. No promise about histories does: plain
Raft promises no exclusivity, and one of the two leaders works. Cheapest trigger: isolate the leader and heal.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import LEADER, Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class IgnoresHigherTerms(Raft):
    """Once leader, always leader."""

    def _follow(self, at: int, term: int, leader: str | None) -> None:
        if self.role != LEADER:
            super()._follow(at, term, leader)


BUG = Broken(
    name="ignores-higher-terms",
    of=RAFT_BASIC_SYSTEM,
    mistake="leads on in the face of a higher term",
    factory=IgnoresHigherTerms,
    catches="higher-term-adopted",
    trigger="isolate the leader and heal",
)
