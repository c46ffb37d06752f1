"""Raft's leader election in three variants, and what each promises.

``term-safety``, ``fencing``: at most one leader in each term, whatever the network, the clocks and pauses do (Ongaro &
Ousterhout 2014, section 5.2), so a term is a sound fencing token. Both break only under ``state-loss``: a voter that
has lost its vote may vote twice in one term.

``election-quorum``: a leader has the votes of a majority of its configuration, which no fault changes. A voter that has
lost its state votes again, but a vote that does not arrive is not counted, so this holds under ``state-loss`` too.

``exclusivity``: plain Raft never promises it. A leader that receives nothing remains leader in its own state: for as
long as the cut lasts without a check of the quorum, for up to a timeout with one (dissertation, 6.2). The lease
promises it (6.4.1) while clock rates differ by less than the drift that it allows for.

``availability``: without pre-vote and the check of the quorum, one deaf node or one missing link can keep the cluster
without a working leader forever (Howard & Abraham, "Raft does not Guarantee Liveness in the face of Network Faults",
2020). A deaf leader suppresses elections and receives no answers (``leader-deaf``); a node that misses the leader's
heartbeats deposes it again and again (``follower-deaf``, ``partial-partition``). With both there is a leader wherever
one node reaches a majority.

``stability``: a node that was cut off returns with a higher term and deposes a healthy leader (dissertation 4.2.3);
pre-vote (9.6) prevents that. Under ``throttle``, ``loss``, ``clock-rate`` and ``restart-storm`` a leader may be
suspected by chance.
"""

from __future__ import annotations

from typing import Final

from splitbrain.nodes.raft import RAFT, RAFT_BASIC, RAFT_LEASE, Raft
from splitbrain.nodes.systems.base import SHARED_SCHEDULES, Feature, Pin, System
from splitbrain.nodes.systems.promises import promise_table

# The longest timeout, as often as votes split in one election of a million, and the messages.
STALL_BOUND_MS: Final = 2100
SUSPICION_MS: Final = 300
ROUND_MS: Final = 300
"""The longest timeout: a candidate then begins another round, and counts no answer to an earlier one."""

BASIC_PROMISES: Final = promise_table(
    "raft-basic",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    # Stability: while the others are down or paused, a node stands in ever higher terms, and deposes a healthy leader
    # if it crashes, and comes back after the election of that one (hunt, two kills of a majority).
    crash              +            +                +            +        +             +            ?
    pause              +            +                !            +        +             +            ?
    throttle           +            +                ?            +        ?             +            ?
    partition          +            +                !            +        +             +            !
    # Stability: a leader that restarts while it is cut off does not hear its successor and stands in ever higher terms,
    # which depose a healthy leader once they are heard (hunt, isolated-leader and kill). A mute leader steps down by
    # itself, and loses its successor where that one crashes.
    leader-isolated    +            +                !            +        +             +            ?
    leader-deaf        +            +                +            +        !             +            ?
    leader-mute        +            +                ?            +        +             +            ?
    # Availability: the terms of a deaf follower leave the others a leader in between, and no stall of twice the bound
    # was ever seen.
    follower-deaf      +            +                +            +        ?             +            !
    partial-partition  +            +                !            +        ?             +            !
    loss               +            +                ?            +        ?             +            !
    clock-jump         +            +                +            +        +             +            +
    # Stability: clocks 40 % too fast or too slow have deposed no leader yet, with three heartbeats to a timeout.
    clock-rate         +            +                +            +        ?             +            ?
    clock-strobe       +            +                +            +        +             +            +
    state-loss         !            +                !            !        ?             +            ?
    restart-storm      +            +                +            +        ?             +            ?
    """,
)

PROMISES: Final = promise_table(
    "raft",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              +            +                +            +        +             +            +
    pause              +            +                ?            +        +             +            +
    throttle           +            +                ?            +        ?             +            ?
    partition          +            +                ?            +        +             +            +
    leader-isolated    +            +                ?            +        +             +            +
    leader-deaf        +            +                +            +        +             +            +
    leader-mute        +            +                ?            +        +             +            +
    follower-deaf      +            +                +            +        +             +            +
    partial-partition  +            +                ?            +        +             +            +
    loss               +            +                ?            +        ?             +            ?
    clock-jump         +            +                +            +        +             +            +
    clock-rate         +            +                ?            +        ?             +            ?
    clock-strobe       +            +                +            +        +             +            +
    state-loss         !            +                !            !        ?             +            ?
    restart-storm      +            +                +            +        ?             +            ?
    """,
)

LEASE_PROMISES: Final = promise_table(
    "raft-lease",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              +            +                +            +        +             +            +
    pause              +            +                +            +        +             +            +
    throttle           +            +                +            +        ?             +            ?
    partition          +            +                +            +        +             +            +
    leader-isolated    +            +                +            +        +             +            +
    leader-deaf        +            +                +            +        +             +            +
    leader-mute        +            +                +            +        +             +            +
    follower-deaf      +            +                +            +        +             +            +
    partial-partition  +            +                +            +        +             +            +
    loss               +            +                +            +        ?             +            ?
    clock-jump         +            +                +            +        +             +            +
    clock-rate         +            +                !            +        ?             +            ?
    clock-strobe       +            +                +            +        +             +            +
    # Exclusivity: a voter that forgot its promise has never been seen to break it (80 runs), since a node that has
    # just booted grants no vote for as long as that promise might have lasted.
    state-loss         !            +                ?            !        ?             +            ?
    # Exclusivity holds because a node that has just booted grants no vote.
    restart-storm      +            +                +            +        ?             +            ?
    """,
)

VOTERS_FORGET: Final = Pin(schedule=SHARED_SCHEDULES / "voters-forget-and-then-all.json", seed=2)
ALL_FORGET: Final = SHARED_SCHEDULES / "all-forget-three-times.json"

PLAIN_ELECTION: Final = "2(n-1) for each round of votes, then 2(n-1) every heartbeat"
PRE_VOTE_ELECTION: Final = "4(n-1) to elect when no vote is split, then 2(n-1) every heartbeat"

# A vote is shown in an answer, and the driver has flushed it before.
FEATURES: Final[frozenset[Feature]] = frozenset({"tokens", "votes"})

RAFT_SYSTEM: Final = System(
    name="raft",
    help="Raft's election with pre-vote, and a leader that steps down without its quorum",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    elects="nodes",
    round_ms=ROUND_MS,
    eligibility="hub",
    message_complexity=PRE_VOTE_ELECTION,
    options=RAFT,
    factory=Raft,
    features=FEATURES,
    pins={
        "sim": {"state-loss": VOTERS_FORGET},
        "docker": {"state-loss": Pin(schedule=ALL_FORGET, seed=2)},
    },
)

RAFT_BASIC_SYSTEM: Final = System(
    name="raft-basic",
    help="Raft's election as in the paper, with neither pre-vote nor a check of the quorum",
    promises=BASIC_PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    elects="nodes",
    round_ms=ROUND_MS,
    # It promises to serve an isolated clique only. Cliques are judged all the same, to reproduce the known weakness:
    # the clique that a deaf leader suppresses is not isolated, since that leader's heartbeats come in.
    eligibility="clique",
    message_complexity=PLAIN_ELECTION,
    options=RAFT_BASIC,
    factory=Raft,
    features=FEATURES,
    pins={
        "sim": {"pause": Pin(nemesis=("pause",), seed=0), "state-loss": VOTERS_FORGET},
        "docker": {
            "pause": Pin(schedule=SHARED_SCHEDULES / "leader-paused-nine-times.json", seed=1),
            "loss": Pin(schedule=SHARED_SCHEDULES / "follower-lossy.json", seed=1),
            "state-loss": Pin(schedule=ALL_FORGET, seed=2),
        },
    },
)

RAFT_LEASE_SYSTEM: Final = System(
    name="raft-lease",
    help="Raft's election with pre-vote, check of the quorum and a leader lease: one leader at any instant",
    promises=LEASE_PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=SUSPICION_MS,
    elects="nodes",
    round_ms=ROUND_MS,
    eligibility="hub",
    message_complexity=PRE_VOTE_ELECTION,
    options=RAFT_LEASE,
    factory=Raft,
    features=FEATURES,
    pins={
        "sim": {"clock-rate": Pin(nemesis=("drift",)), "state-loss": VOTERS_FORGET},
        "docker": {
            "clock-rate": Pin(schedule=SHARED_SCHEDULES / "leader-isolated-with-slow-clock.json", seed=1),
            "state-loss": Pin(schedule=ALL_FORGET, seed=1),
        },
    },
)
