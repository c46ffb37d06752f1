"""Persists the leader, and after a restart believes it instead of holding an election.

The highest node comes back as the leader it once was and announces nothing; without merging, the leader elected in the
meantime leads on, and the cluster keeps two leaders for ever. Caught by ``stall``: the cluster does not converge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.bully import Bully, BullyOptions
from splitbrain.nodes.protocol import Effect, Event, Followed, Json, Led, Persist
from splitbrain.nodes.systems.bully import BULLY_TEXTBOOK_SYSTEM


class BelievesOldLeader(Bully):
    """Starts with the leader that it persisted last."""

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: BullyOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self._believed: str | None = state.get("leader") if state else None

    def handle(self, event: Event) -> list[Effect]:
        effects = super().handle(event)
        changed = any(isinstance(effect, Led | Followed) for effect in effects)
        return [*effects, Persist({"leader": self.leader})] if changed and self.leader is not None else effects

    def _elect(self, at: int) -> None:
        believed, self._believed = self._believed, None
        if believed is None:
            super()._elect(at)
        elif believed == self.id:
            self._lead()
        else:
            self._follow(at, believed)


BUG = Broken(
    name="believes-old-leader",
    of=BULLY_TEXTBOOK_SYSTEM,
    mistake="believes the persisted leader after a restart",
    factory=BelievesOldLeader,
    catches="stall",
    trigger="kill the leader and let it restart",
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "kill", "target": "leader"}},),
)
