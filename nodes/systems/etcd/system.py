"""The servers of Debian's etcd 3.4.23 as an election, and what they promise.

The nodes are the members themselves. Each is asked for its ``raft.status``, which is read at one instant in Raft's own
loop. The term in every other answer of etcd is that of the last applied entry, and would accuse a new leader that
cannot commit yet of leading in its predecessor's term.

``term-safety``, ``fencing``: Raft's election safety (Ongaro & Ousterhout 2014, section 5.2), with votes on disk before
they leave. A member that lost its disk comes back as a new member, so ``state-loss`` does not break it either.

``election-quorum``: not promised under ``state-loss``, because members that are replaced leave fewer to elect for a
moment.

``exclusivity``: a leader without a quorum steps down by itself within two election timeouts (raft.go, MsgCheckQuorum),
and until then there may be a second one. A paused leader is still leader in memory when it resumes, and no timer
corrects that, since Go's tickers drop missed ticks. But its successor's messages wait in its sockets, and in none of
eight pauses was a question answered before they were handled.

``stability``: without pre-vote, which 3.4 leaves off, a member that was cut off comes back with a higher term, and its
answer to the first heartbeat deposes a healthy leader ("this disruption is inevitable": raft.go). Pre-vote prevents it.

All its links are TCP: a one-way cut stops the acknowledgements too, so ``leader-deaf`` and ``leader-mute`` have the
effect of ``leader-isolated``.

Its timers are half its defaults (heartbeats every 50 ms, elections after 500 to 1,000 ms), so that a window of a
schedule holds several elections, and still far above the time that flushing its log takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from splitbrain.nodes.systems.base import DATA, SHARED_SCHEDULES, Machine, Pin, Software, System
from splitbrain.nodes.systems.promises import promise_table

CLIENTS_PORT: Final = 2379
PEERS_PORT: Final = 2380


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """etcd's two timers, and pre-vote on or off."""

    heartbeat_ms: int = 50
    election_timeout_ms: int = 500
    pre_vote: bool = False


STALL_BOUND_MS: Final = 3000
"""Twice the longest election timeout, and as often again as votes split in one election of a million."""

PROMISES: Final = promise_table(
    "etcd",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              +            +                +            +        +             +            +
    pause              +            +                ?            +        +             +            ?
    throttle           +            +                ?            +        ?             +            ?
    partition          +            +                ?            +        +             +            !
    leader-isolated    +            +                ?            +        +             +            !
    leader-deaf        +            +                ?            +        +             +            !
    leader-mute        +            +                ?            +        +             +            !
    follower-deaf      +            +                +            +        +             +            !
    partial-partition  +            +                ?            +        +             +            !
    loss               +            +                +            +        ?             +            ?
    clock-jump         +            +                +            +        +             +            +
    clock-rate         +            +                +            +        ?             +            ?
    clock-strobe       +            +                +            +        +             +            +
    state-loss         +            ?                +            +        ?             +            ?
    restart-storm      +            +                +            +        ?             +            ?
    """,
)

PRE_VOTE_PROMISES: Final = promise_table(
    "etcd-prevote",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    partition          +            +                ?            +        +             +            +
    leader-isolated    +            +                ?            +        +             +            +
    leader-deaf        +            +                ?            +        +             +            +
    leader-mute        +            +                ?            +        +             +            +
    follower-deaf      +            +                +            +        +             +            +
    partial-partition  +            +                ?            +        +             +            +
    """,
    base=PROMISES,
)


def member(machine: Machine, members: Mapping[str, str], timing: Timing) -> tuple[str, ...]:
    """etcd's flags for one of ``members``, whose addresses are given by name."""
    address = members[machine.name]
    return (
        *("--name", machine.name),
        *("--data-dir", DATA),
        *("--listen-peer-urls", f"http://0.0.0.0:{PEERS_PORT}"),
        *("--initial-advertise-peer-urls", f"http://{address}:{PEERS_PORT}"),
        *("--listen-client-urls", f"http://0.0.0.0:{CLIENTS_PORT}"),
        *("--advertise-client-urls", f"http://{address}:{CLIENTS_PORT}"),
        *("--initial-cluster", ",".join(f"{name}=http://{at}:{PEERS_PORT}" for name, at in members.items())),
        *("--heartbeat-interval", str(timing.heartbeat_ms)),
        *("--election-timeout", str(timing.election_timeout_ms)),
        *("--logger", "zap"),
        *(("--pre-vote",) if timing.pre_vote else ()),
    )


def software(timing: Timing, group: Literal["nodes", "servers"]) -> Software:
    """etcd on the machines of that group, all of them members of one cluster."""

    def command(machine: Machine) -> tuple[str, ...]:
        return member(machine, machine.nodes if group == "nodes" else machine.servers, timing)

    return Software(image="systems/etcd/image", command=command, ports=(CLIENTS_PORT,))


ETCD_SYSTEM: Final = System(
    name="etcd",
    help="the servers of Debian's etcd 3.4 as they come: no pre-vote, a leader that steps down without its quorum",
    promises=PROMISES,
    stall_bound_ms=STALL_BOUND_MS,
    suspicion_ms=2 * Timing().election_timeout_ms,
    elects="nodes",
    round_ms=2 * Timing().election_timeout_ms,
    # It does not promise to serve a hub: a node with an incomplete log cannot be elected.
    eligibility="clique",
    message_complexity="2(n-1) for each round of votes, then 2(n-1) every heartbeat",
    options=Timing(),
    software=software(Timing(), "nodes"),
    client="splitbrain.nodes.systems.etcd.client:EtcdClient",
    usual_nodes=3,
    max_nodes=7,
    pins={
        "docker": {
            "partition": Pin(schedule=SHARED_SCHEDULES / "follower-and-leader-cut-off-by-turns.json", seed=1),
            "follower-deaf": Pin(schedule=SHARED_SCHEDULES / "follower-deaf-five-times.json", seed=1),
            "partial-partition": Pin(schedule=SHARED_SCHEDULES / "leader-misses-a-link-five-times.json", seed=1),
        }
    },
)

ETCD_PRE_VOTE_SYSTEM: Final = replace(
    ETCD_SYSTEM,
    name="etcd-prevote",
    help="the same with pre-vote, so that a member that was cut off deposes no leader when it returns",
    promises=PRE_VOTE_PROMISES,
    message_complexity="4(n-1) to elect when no vote is split, then 2(n-1) every heartbeat",
    options=Timing(pre_vote=True),
    software=software(Timing(pre_vote=True), "nodes"),
    pins={},
)
