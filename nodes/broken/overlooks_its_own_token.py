"""Does not recognise its token when it comes home, and forwards it like any other.

The highest name then goes round until its hops run out, and no node ever wins. Caught by ``stall``: the cluster has no
leader, with no fault at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json
from splitbrain.nodes.ring import Ring
from splitbrain.nodes.systems.ring import RING_SYSTEM


class OverlooksItsOwnToken(Ring):
    """Forwards every token that is not lower than its name."""

    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        if token["origin"] == self.id:
            self._pass_on(token)
        else:
            super()._on_token(at, token)


BUG = Broken(
    name="overlooks-its-own-token",
    of=RING_SYSTEM,
    mistake="forwards its own token",
    factory=OverlooksItsOwnToken,
    catches="stall",
    trigger="none needed",
)
