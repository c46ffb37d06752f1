"""Does not randomise its election timeouts: all candidates stand at once, split the vote, and stand at once again.

Without randomness elections take longer than 10 s (Ongaro & Ousterhout 2014, section 9.3). Caught by ``stall``, when
the leader vanishes, since its last heartbeat has set every timer within a millisecond.
"""

from __future__ import annotations

from dataclasses import replace

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import RAFT_BASIC
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM

BUG = Broken(
    name="same-timeouts",
    of=RAFT_BASIC_SYSTEM,
    mistake="does not randomise its timeouts",
    options=replace(RAFT_BASIC, election_timeout_max=RAFT_BASIC.election_timeout_min),
    catches="stall",
    trigger="isolate the leader: every follower's timer expires at the same instant",
    steps=({"at_ms": 2000, "for_ms": 6000, "fault": {"f": "partition", "shape": "isolated-leader"}},),
)
