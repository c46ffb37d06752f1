"""Follows whatever result comes, also one that is older than the last it followed.

Two elections that saw different members have different results, and their words come to different nodes in different
orders: the late one undoes the newer one. Heartbeats of the higher leader soon hide that. That nobody follows an older
result after a newer one must catch it: two nodes that begin at once, and links on which messages overtake each other.
"""

from __future__ import annotations

from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.systems.ring import RING_APPEND_SYSTEM


class FollowsLateResults(AppendRing):
    """Takes every result for news."""

    def _is_news(self, number: int, origin: str) -> bool:
        return True


BUG = Broken(
    name="follows-late-results",
    of=RING_APPEND_SYSTEM,
    mistake="follows results older than the last",
    factory=FollowsLateResults,
    catches="results-in-order",
    trigger="elections at several nodes while the highest dies or comes back",
)
