"""Does not randomise its timeouts: all candidates stand at once, split the vote, and stand at once again.

Ongaro & Ousterhout (2014), section 9.3: without randomness elections take longer than 10 s. A stall should be
found. Cheapest trigger: a leader that vanishes, since its last heartbeat has set all timers within a millisecond.
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
    trigger="isolate the leader: every follower's timer runs out at the same instant",
)
