"""Raft's leader election, three ways, and what each of them promises.

``T``, ``F``: at most one leader a term whatever the network, the clocks and pauses do (Ongaro & Ousterhout
2014, section 5.2), so a term is a sound fencing token; both break only when durable state is lost (C11), for
a voter may then vote twice in one term.

``X``: plain Raft never promises it. A leader that nobody hears stays a leader in its own eyes: for as long as
the cut lasts without the check of its quorum (``!``), for up to a timeout with it (``?``; dissertation 6.2).
The lease promises it (6.4.1) while clocks' rates differ by less than the drift it allows for (C9 ``!``). A voter that
forgot its promise (C11) has never been seen to break it (80 runs): who has just booted votes for nobody for as long as
that promise might have run.

``A``: without pre-vote and the check of the quorum, one deaf node or one missing link can keep the cluster
without a working leader for ever (Howard & Abraham, "Raft does not Guarantee Liveness in the face of Network
Faults", 2020): a deaf leader keeps everybody quiet and gets no answer (C5a), a node that misses the leader's
heartbeats deposes it again and again (C5c, C6). With both there is a leader wherever one node reaches a
majority. A deaf follower's terms leave the others a leader in between, and no stall of twice the bound was ever seen:
so that is ``?``.

``S``: a node that was cut off returns with a higher term and deposes a healthy leader (dissertation 4.2.3);
pre-vote (9.6) is what prevents it. Under loss (C7), skewed rates (C9) and constant restarts (C12) a leader
may be suspected by chance; clocks 40 % too fast or too slow have not done it yet, with three heartbeats to a timeout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.nodes.raft import RAFT, RAFT_BASIC, RAFT_LEASE, Raft
from splitbrain.nodes.systems.base import System

# The longest timeout, as often as votes split in one election of a million, and the messages.
STALL_BOUND_MS: Final = 2100
SUSPICION_MS: Final = 300

BASIC_PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "+!+++?",
    "C3": "+!+++!",
    "C4": "+!++++",
    "C5a": "+++!++",
    "C5b": "+?++++",
    "C5c": "+++?+!",
    "C6": "+!+?+!",
    "C7": "+?+?+!",
    "C8": "++++++",
    "C9": "+++?+?",
    "C10": "++++++",
    "C11": "!!!?+?",
    "C12": "+++?+?",
}

PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "+?++++",
    "C3": "+?++++",
    "C4": "+?++++",
    "C5a": "++++++",
    "C5b": "+?++++",
    "C5c": "++++++",
    "C6": "+?++++",
    "C7": "+?+?+?",
    "C8": "++++++",
    "C9": "+?+?+?",
    "C10": "++++++",
    "C11": "!!!?+?",
    "C12": "+++?+?",
}

LEASE_PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "++++++",
    "C3": "++++++",
    "C4": "++++++",
    "C5a": "++++++",
    "C5b": "++++++",
    "C5c": "++++++",
    "C6": "++++++",
    "C7": "+++?+?",
    "C8": "++++++",
    "C9": "+!+?+?",
    "C10": "++++++",
    "C11": "!?!?+?",
    "C12": "+++?+?",  # X holds because a node that has just booted votes for nobody
}

PLAIN_ELECTION: Final = "2(n-1) for each round of votes, then 2(n-1) every heartbeat"
PRE_VOTE_ELECTION: Final = "4(n-1) to elect when no vote is split, then 2(n-1) every heartbeat"

RAFT_SYSTEM: Final = System(
    name="raft",
    help="Raft's election with pre-vote, and a leader that steps down without its quorum",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="hub",
    message_complexity=PRE_VOTE_ELECTION,
    options=RAFT,
    factory=Raft,
    votes_kept=True,  # the driver has flushed it before it answers anybody
)

RAFT_BASIC_SYSTEM: Final = System(
    name="raft-basic",
    help="Raft's election as in the paper, with neither pre-vote nor a check of the quorum",
    promises=BASIC_PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    # Of an isolated clique only does it promise to serve; but where it promises nothing more, it is to be shown: the
    # clique that a deaf leader keeps silent is not isolated, for that leader's heartbeats come in.
    eligibility="clique",
    message_complexity=PLAIN_ELECTION,
    options=RAFT_BASIC,
    factory=Raft,
    votes_kept=True,
)

RAFT_LEASE_SYSTEM: Final = System(
    name="raft-lease",
    help="Raft's election with pre-vote, check of the quorum and a leader lease: one leader at any instant",
    promises=LEASE_PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    eligibility="hub",
    message_complexity=PRE_VOTE_ELECTION,
    options=RAFT_LEASE,
    factory=Raft,
    votes_kept=True,
)
