"""Follows any result, even one older than the last it followed.

Elections that saw different members have different results, and their COORDINATOR messages may reach nodes in
different orders, so a late message undoes a newer result. The heartbeats of the higher leader soon hide that. Caught by
``results-in-order``, when two nodes begin at once and messages overtake each other.
"""

from __future__ import annotations

from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.systems.ring import RING_APPEND_SYSTEM


class FollowsLateResults(AppendRing):
    """Takes every result as new."""

    def _is_news(self, number: int, origin: str) -> bool:
        return True


BUG = Broken(
    name="follows-late-results",
    of=RING_APPEND_SYSTEM,
    mistake="follows results older than the last",
    factory=FollowsLateResults,
    catches="results-in-order",
    trigger="elections at several nodes while the highest node dies or restarts",
    steps=(
        {"at_ms": 1000, "for_ms": 20000, "fault": {"f": "delay", "ms": 5, "jitter_ms": 40}},
        *(
            {"at_ms": at_ms, "for_ms": 200 + at_ms // 100, "fault": {"f": "kill", "target": "leader"}}
            for at_ms in range(2000, 20000, 1200)
        ),
    ),
)
