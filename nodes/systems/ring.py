"""Elections on a ring, Chang and Roberts' and one whose token collects names, and what they promise.

They promise what the Bully election does, for the same reasons (``nodes.systems.bully``): without a quorum
(``election-quorum`` is undefined) there is neither a token for fencing (``term-safety`` and ``fencing`` are undefined)
nor a single leader (``exclusivity``), and the highest name takes over (``stability``).

The rings of the textbooks promise less. A lost token would be a stall, and a name that can never return to its node
would circulate forever: acknowledgements, repeated elections and a lifetime for tokens prevent both. So a node that is
mute or deaf stands alone and leads alone (``exclusivity`` under ``leader-mute`` and ``follower-deaf``), while the
others have a leader all the same (``availability`` under ``leader-mute``). And since the lower of two leaders gives way
to the heartbeat of the higher one, two rings become one again after any cut (``convergence`` under ``partition`` and
``partial-partition``).

``availability``: under ``follower-deaf``, a deaf follower is a deaf leader once it has the highest name of the live
nodes. Under ``partial-partition``, with four nodes and a bridge to the highest alone, the bridge follows that one, and
the two others with it are a majority without a leader. No stall was seen under ``restart-storm``. ``stability`` under
``follower-deaf``: a deaf node that led no other node takes nothing from the leader that the others kept.
"""

from __future__ import annotations

from typing import Final

from splitbrain.nodes.append_ring import AppendRing
from splitbrain.nodes.ring import RING, Ring
from splitbrain.nodes.systems.base import System
from splitbrain.nodes.systems.bully import FEATURES, PINS
from splitbrain.nodes.systems.promises import promise_table

STALL_BOUND_MS: Final = 1400
SUSPICION_MS: Final = 250

PROMISES: Final = promise_table(
    "ring",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              -            -                ?            -        +             +            !
    pause              -            -                !            -        ?             +            !
    throttle           -            -                ?            -        ?             +            ?
    partition          -            -                !            -        +             +            !
    leader-isolated    -            -                !            -        +             +            !
    leader-deaf        -            -                ?            -        !             +            +
    leader-mute        -            -                !            -        +             +            !
    follower-deaf      -            -                !            -        ?             +            ?
    partial-partition  -            -                ?            -        ?             +            !
    loss               -            -                ?            -        ?             +            ?
    clock-jump         -            -                +            -        +             +            +
    clock-rate         -            -                ?            -        +             +            ?
    clock-strobe       -            -                +            -        +             +            +
    state-loss         -            -                ?            -        +             +            !
    restart-storm      -            -                ?            -        ?             +            !
    """,
)

RING_SYSTEM: Final = System(
    name="ring",
    help="Chang and Roberts' election on a ring that skips nodes that do not answer",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity="n(n+1)/2 + n to elect at worst, 3n-1 where one node begins, then n-1 every heartbeat",
    options=RING,
    factory=Ring,
    features=FEATURES,
    pins=PINS,
)

RING_APPEND_SYSTEM: Final = System(
    name="ring-append",
    help="an election on a ring whose token collects the names of all nodes that pass it on",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity="2n for each node that begins an election, then n-1 every heartbeat",
    options=RING,
    factory=AppendRing,
    features=FEATURES,
    pins=PINS,
)
