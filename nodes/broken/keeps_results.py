"""Passes on who was elected only if it takes part in an election itself.

A node that an election passed over, or whose part in it is over, ends the message there, and the nodes behind it are
never told. Here they learn of it from the leader's heartbeats, so no observer sees the difference; that a result goes
all the way round must catch it.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import Ring
from splitbrain.nodes.systems.ring import RING_SYSTEM


class KeepsResults(Ring):
    """Only who has sent a token of its own takes part."""

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
    mistake="does not pass on a result unless it takes part",
    factory=KeepsResults,
    catches="result-goes-round",
    trigger="kill the leader and let it come back: only that one holds an election then",
)
