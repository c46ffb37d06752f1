"""Never again sends to a node that was skipped once.

A node that did not acknowledge in time is taken to be gone for good. When it restarts, its messages reach the others
and theirs do not reach it: if it is the highest, its name never comes home, and it holds one election after another.
Caught by ``stall``: the cluster does not converge.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.ring import ACK_TIMER, ELECTION_TIMER, Ring
from splitbrain.nodes.systems.ring import RING_SYSTEM


class NeverTriesAgain(Ring):
    """Remembers the nodes that it skipped."""

    _gone: frozenset[str] = frozenset()

    def _on_election_timer(self, at: int, timer: str) -> None:
        if timer != ELECTION_TIMER:
            parcel = self._parcels.get(int(timer.removeprefix(ACK_TIMER + " ")))
            if parcel is not None:
                self._gone |= {self.ahead[parcel.skipped]}
        super()._on_election_timer(at, timer)

    def _try(self, number: int) -> bool:
        parcel = self._parcels[number]
        while parcel.skipped < len(self.ahead) and self.ahead[parcel.skipped] in self._gone:
            parcel.skipped += 1
        return super()._try(number)


BUG = Broken(
    name="never-tries-again",
    of=RING_SYSTEM,
    mistake="never retries a node that it skipped",
    factory=NeverTriesAgain,
    catches="stall",
    trigger="kill the leader and let it restart",
    steps=({"at_ms": 2000, "for_ms": 1500, "fault": {"f": "kill", "target": "leader"}},),
)
