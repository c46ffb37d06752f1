"""Steps down but still reports that it leads: the flag that clients read is separate from the protocol's role.

Deposed primaries that go on serving are a well-known outage. Caught by ``term-safety``, since it claims the very term
of its successor.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class KeepsClaiming(Raft):
    """Does not withdraw its claim."""

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
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "partition", "shape": "isolated-leader"}},),
)
