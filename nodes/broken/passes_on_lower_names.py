"""Forwards lower names, too, as in the older election of Le Lann (1977).

Every token goes all the way round: n^2 messages, where Chang and Roberts (1979) need n(n+1)/2 at most and 2n-1 at best.
The result is the same. Caught only by the message count, with no fault at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import Ring
from splitbrain.nodes.systems.ring import RING_SYSTEM


class PassesOnLowerNames(Ring):
    """Forwards every token."""

    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        super()._on_token(at, token)
        if self._outranks(self.id, token["origin"]):
            self._pass_on(token)


BUG = Broken(
    name="passes-on-lower-names",
    of=RING_SYSTEM,
    mistake="forwards lower names",
    factory=PassesOnLowerNames,
    catches="message-count",
    trigger="none needed",
)
