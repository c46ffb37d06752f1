"""Steps down and goes on saying that it leads: the flag that clients read is not the role that the protocol has.

Two variables for one fact; deposed primaries that go on serving are a well-known outage. Term safety must catch it,
for it claims the very term of its successor. Cheapest trigger: isolate the leader and heal.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsClaiming(Raft):
    """Does not take its claim back."""

    def _follow(self, at: int, term: int, leader: str | None) -> None:
        reign = self._reign
        super()._follow(at, term, leader)
        self._reign = reign


BUG = Broken(
    name="keeps-claiming",
    of=RAFT_BASIC_SYSTEM,
    mistake="claims to lead after it has stepped down",
    factory=KeepsClaiming,
    catches="term-safety",
    trigger="isolate the leader and heal",
)
