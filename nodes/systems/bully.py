"""The Bully election, with and without a rule that merges leaders, and what it promises: little, and by design.

``T``, ``F``: undefined. There is no quorum, so no number that two parts of a cluster could not both hand out, and no
sound token (Garcia-Molina 1982 turns to another algorithm, with group numbers, where processes may pause).

``X``: kept only while every message is timely and nobody stops. Each part of a cut elects its own leader (C3, C4); a
mute leader is replaced and leads on (C5b), a deaf node believes itself alone (C5c), a paused one wakes as the leader it
was (C2). A deaf leader alone disturbs nobody (C5a).

``A``: what is asked for is a leader whom a majority follows, where some majority is fully connected. A deaf leader
keeps everybody quiet and works for nobody (C5a ``!``), and a deaf follower is one as soon as it is the highest that
lives (C5c ``?``). Under partial cuts (C6 ``?``) a node of that majority may hear a higher leader outside and follow
it; it says OK to the others, who wait for a coordinator that never comes: with four nodes, a bridge to the highest
alone. Messages later than the timeouts make leaders of many, or leave nobody any that answers in time (C7 ``?``).

``L``: with merging, the lower of two leaders gives way at the higher one's first heartbeat. Without, two leaders stay
two (C3, C4, C5b, C5c, C6 ``!``), unless one of them is asked in an election: a paused leader finds the questions of its
followers when it wakes, and says at once that it leads (C2 ``?``). Where two leaders have stayed, a majority may be in
two minds, or follow the one that cannot work, once a third node is dead or cut off (A ``?`` at C3 to C6).

``S``: whoever is higher takes over, from a leader that nothing is wrong with: a restart suffices (C1 ``!``). Without
merging nobody is deposed as a minority's, an isolated or a mute leader returns (C3, C4, C5b ``?``). A deaf node that
led nobody but itself takes nothing from the leader that the others kept (C5c ``?``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.nodes.bully import BULLY, BULLY_TEXTBOOK, Bully
from splitbrain.nodes.systems.base import System

STALL_BOUND_MS: Final = 800
SUSPICION_MS: Final = 250

PROMISES: Final[Mapping[str, str]] = {
    "C1": "-?-++!",
    "C2": "-!-++!",
    "C3": "-!-++!",
    "C4": "-!-++!",
    "C5a": "-+-!++",
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

TEXTBOOK_PROMISES: Final[Mapping[str, str]] = {
    "C1": "-?-++!",
    "C2": "-!-+?!",
    "C3": "-!-?!?",
    "C4": "-!-?!?",
    "C5a": "-+-!++",
    "C5b": "-!-?!?",
    "C5c": "-!-?!?",
    "C6": "-?-?!!",
    "C7": "-?-???",
    "C8": "-+-+++",
    "C9": "-?-++?",
    "C10": "-+-+++",
    "C11": "-?-++!",
    "C12": "-?-??!",
}

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
)
