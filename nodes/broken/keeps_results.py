"""Forwards a result only if it takes part in an election itself.

A node that the election did not involve, or that has already left it, ends the message there, and the nodes behind it
never get the result. Here they learn of the leader from its heartbeats, so no observer sees the difference. Caught by
``result-goes-round``.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import Ring
from splitbrain.nodes.systems.ring import RING_SYSTEM


class KeepsResults(Ring):
    """Takes part only if it has sent a token."""

    _initiated = False

    def _begin(self, at: int) -> None:
        super()._begin(at)
        self._initiated = True

    def _on_result(self, at: int, result: Mapping[str, Json]) -> None:
        if self._initiated or result["origin"] == self.id:
            super()._on_result(at, result)
        elif self._outranks(result["origin"], self.id):
            self._follow(at, result["origin"])
        self._initiated = False


BUG = Broken(
    name="keeps-results",
    of=RING_SYSTEM,
    mistake="does not forward a result unless it takes part",
    factory=KeepsResults,
    catches="result-goes-round",
    trigger="kill the leader and let it restart: only that node holds an election then",
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "kill", "target": "leader"}},),
)
