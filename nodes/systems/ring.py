"""Elections on a ring: Chang and Roberts', and the one that gathers names; and what they promise.

They promise what the Bully election does, for the same reasons (``nodes.systems.bully``): no quorum, so neither a token
for fencing (``T``, ``F`` undefined) nor one leader at a time (``X``), and whoever is highest takes over (``S``).

The rings of the textbooks promise less. A token that is lost would be a stall, and a name that can never come home
would go round for ever: with acknowledgements, elections begun again and a lifetime for tokens neither lasts. So a
node that is mute or deaf stands alone, and leads alone (X at C5b and C5c ``!``), and the others have a leader all the
same (A at C5b ``+``; nor was anything seen to stall under restarts faster than an election, C12 ``?``). And since the
lower of two leaders gives way to the heartbeat of the higher one, two rings are one again after any cut (L at C3 and
C6 ``+``).

``A`` at C5c is ``?``: a deaf follower is a deaf leader as soon as it is the highest that lives. At C6 it is ``?``:
with four nodes and a bridge to the highest alone, the bridge follows that one, and the two others with it are a
majority in which nobody leads. ``S`` at C5c is ``?``: a deaf node that led nobody but itself takes nothing from the
leader that the others kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.ring import RING, Ring
from splitbrain.nodes.systems.base import System

STALL_BOUND_MS: Final = 1400
SUSPICION_MS: Final = 250

PROMISES: Final[Mapping[str, str]] = {
    "C1": "-?-++!",
    "C2": "-!-?+!",
    "C3": "-!-++!",
    "C4": "-!-++!",
    "C5a": "-?-!++",
    "C5b": "-!-++!",
    "C5c": "-!-?+?",
    "C6": "-?-?+!",
    "C7": "-?-?+?",
    "C8": "-+-+++",
    "C9": "-?-++?",
    "C10": "-+-+++",
    "C11": "-?-++!",
    "C12": "-?-?+!",
}

RING_SYSTEM: Final = System(
    name="ring",
    help="Chang and Roberts' election on a ring that passes over who does not answer",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity="n(n+1)/2 + n to elect at worst, 3n-1 where one node begins, then n-1 every heartbeat",
    options=RING,
    factory=Ring,
)

RING_APPEND_SYSTEM: Final = System(
    name="ring-append",
    help="an election on a ring whose token gathers the names of all who pass it on",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity="2n for each node that begins an election, then n-1 every heartbeat",
    options=RING,
    factory=AppendRing,
)
