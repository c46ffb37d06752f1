"""The Bully election, with and without a rule that merges leaders, and what each promises: little, by design.

``election-quorum``, ``term-safety``, ``fencing``: undefined. Without a quorum there is no number that two parts of a
cluster could not both hand out, so there is no sound token (Garcia-Molina 1982 uses another algorithm, with group
numbers, where processes may pause).

``exclusivity``: holds only while every message is timely and no process stops. Each part of a cut elects a leader
(``partition``, ``leader-isolated``); a mute leader is replaced and remains leader (``leader-mute``), a deaf node
believes that it is alone (``follower-deaf``), and a paused leader resumes as the leader that it was (``pause``). A deaf
leader alone disturbs no other node (``leader-deaf``).

``availability``: judged as a leader that a majority follows, where some majority is fully connected. A deaf leader
suppresses elections and works for no other node (``leader-deaf``), and a deaf follower is a deaf leader once it has the
highest name of the live nodes (``follower-deaf``). Under ``partial-partition`` a node of that majority may hear a
higher leader outside and follow it; it answers OK to the others, which wait for a coordinator message that never comes:
with four nodes, a bridge to the highest alone. Under ``loss``, messages later than the timeouts produce several
leaders, or none that answers in time.

``convergence``: with merging, the lower of two leaders gives way at the higher one's first heartbeat. Without it two
leaders remain two (``partition``, ``leader-isolated``, ``leader-mute``, ``follower-deaf``, ``partial-partition``),
unless one of them is asked in an election: a paused leader finds the questions of its followers when it resumes, and
announces at once that it leads (``pause``). Where two leaders have remained, a majority may be divided, or follow the
one that cannot work, once a third node is dead or cut off (``availability`` under all kinds of cuts).

``stability``: a higher node takes over from a healthy leader, so a restart suffices to break it (``crash``). Without
merging no leader is deposed when the leader of a minority, an isolated or a mute leader returns. A deaf node that led
no other node takes nothing from the leader that the others kept (``follower-deaf``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.names import FaultClass
from splitbrain.nodes.bully import BULLY, BULLY_TEXTBOOK, Bully
from splitbrain.nodes.systems.base import SHARED_SCHEDULES, Feature, Pin, System
from splitbrain.nodes.systems.promises import promise_table

STALL_BOUND_MS: Final = 800
SUSPICION_MS: Final = 250
FEATURES: Final[frozenset[Feature]] = frozenset({"tokens", "highest"})

PROMISES: Final = promise_table(
    "bully",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              -            -                ?            -        +             +            !
    pause              -            -                !            -        +             +            !
    throttle           -            -                ?            -        ?             +            ?
    partition          -            -                !            -        +             +            !
    leader-isolated    -            -                !            -        +             +            !
    leader-deaf        -            -                +            -        !             +            +
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

TEXTBOOK_PROMISES: Final = promise_table(
    "bully-textbook",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              -            -                ?            -        +             +            !
    pause              -            -                !            -        +             ?            !
    throttle           -            -                ?            -        ?             ?            ?
    partition          -            -                !            -        ?             !            ?
    leader-isolated    -            -                !            -        ?             !            ?
    leader-deaf        -            -                +            -        !             +            +
    leader-mute        -            -                !            -        ?             !            ?
    follower-deaf      -            -                !            -        ?             !            ?
    partial-partition  -            -                ?            -        ?             !            !
    loss               -            -                ?            -        ?             ?            ?
    clock-jump         -            -                +            -        +             +            +
    clock-rate         -            -                ?            -        +             +            ?
    clock-strobe       -            -                +            -        +             +            +
    state-loss         -            -                ?            -        +             +            !
    restart-storm      -            -                ?            -        ?             ?            !
    """,
)

HIGHER_ONES_PAUSED: Final = Pin(schedule=SHARED_SCHEDULES / "higher-ones-paused.json", seed=4)
PINS: Final[Mapping[str, Mapping[FaultClass, Pin]]] = {
    "sim": {"pause": HIGHER_ONES_PAUSED},
    "docker": {"pause": HIGHER_ONES_PAUSED},
}
"""Shared by all elections of the highest name."""

MESSAGE_COMPLEXITY: Final = "n^2-n-1 to elect at worst, n-1 at best, then n-1 every heartbeat"

BULLY_SYSTEM: Final = System(
    name="bully",
    help="the Bully election; of two leaders that hear each other the lower one gives way",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity=MESSAGE_COMPLEXITY,
    options=BULLY,
    factory=Bully,
    features=FEATURES,
    pins=PINS,
)

BULLY_TEXTBOOK_SYSTEM: Final = System(
    name="bully-textbook",
    help="the Bully election as textbooks have it: two leaders stay two until the next election",
    promises=TEXTBOOK_PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="clique",
    message_complexity=MESSAGE_COMPLEXITY,
    options=BULLY_TEXTBOOK,
    factory=Bully,
    features=FEATURES,
    pins=PINS,
)
