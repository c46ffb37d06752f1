"""Lets each node pick the leader from the names that it has seen, instead of from the full list.

The list that a node forwarded ends with its own name; the nodes after it on the ring are missing. So one election has
as many results as there are nodes on the way to the highest. Caught by ``one-result-an-election``, with no fault at
all; the heartbeats of the highest of these leaders depose the others within a round trip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import RingOptions
from splitbrain.nodes.systems.ring import RING_APPEND_SYSTEM


class PicksFromAPartialList(AppendRing):
    """Puts its own pick into the result that it forwards."""

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RingOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self._highest_seen: dict[Json, str] = {}  # by election

    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        super()._on_token(at, token)
        if token["origin"] != self.id:
            self._highest_seen[token["election"]] = max((*token["names"], self.id), key=self._places.__getitem__)

    def _on_result(self, at: int, result: Mapping[str, Json]) -> None:
        found = self._highest_seen.pop(result["election"], result["leader"])
        super()._on_result(at, {**result, "leader": found})


BUG = Broken(
    name="picks-from-a-partial-list",
    of=RING_APPEND_SYSTEM,
    mistake="picks the leader from the part of the list that it saw",
    factory=PicksFromAPartialList,
    catches="one-result-an-election",
    trigger="none needed",
)
