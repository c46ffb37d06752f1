"""etcd's servers, of Debian's etcd 3.4.23, as an election of their own; and what they promise.

The nodes are the members themselves. Each is asked for its ``raft.status``, which is read in one instant in Raft's
own loop; the term in every other answer of etcd's is that of the last entry applied, and would accuse a new leader
that cannot commit yet of leading in its predecessor's term.

``T``, ``F``: Raft's election safety (Ongaro & Ousterhout 2014, section 5.2), votes on disk before they leave. A member
that lost its disk comes back as a new member, so that C11 does not break it either.

``X``: a leader without a quorum steps down by itself within two election timeouts (raft.go, MsgCheckQuorum), and until
then there may be a second one (``?``). A paused one (C2) is still leader in its memory when it goes on, and no timer
tells it otherwise, for Go's tickers drop the ticks that were missed; but what its successor sent meanwhile waits in its
sockets, and in none of eight pauses was a question answered before that was: ``?``.

``S``: without pre-vote, which 3.4 leaves off, a member that was cut off comes back with a higher term, and its answer
to the first heartbeat deposes a healthy leader ("this disruption is inevitable": raft.go). So at C3, C4, C5c and C6
``!``; with pre-vote ``+``.

All its links are TCP: a one-way cut stops the acknowledgements too, so that C5a and C5b are what C4 is.

Its timers are half its defaults (heartbeats every 50 ms, elections after 500 to 1,000 ms), so that a window of a
schedule holds several elections, and still far above what flushing its log takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from splitbrain.nodes.systems.base import DATA, Machine, Software, System

CLIENTS_PORT: Final = 2379
PEERS_PORT: Final = 2380


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """etcd's two timers, and whether it asks before it stands."""

    heartbeat_ms: int = 50
    election_timeout_ms: int = 500
    pre_vote: bool = False


STALL_BOUND_MS: Final = 3000
"""Twice the longest election timeout, and as often again as votes split in one election of a million."""

PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "+?+++?",
    "C3": "+?+++!",
    "C4": "+?+++!",
    "C5a": "+?+++!",
    "C5b": "+?+++!",
    "C5c": "+++++!",
    "C6": "+?+++!",
    "C7": "+++?+?",
    "C8": "++++++",
    "C9": "+++?+?",
    "C10": "++++++",
    "C11": "+++?+?",
    "C12": "+++?+?",
}

PRE_VOTE_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    "C3": "+?++++",
    "C4": "+?++++",
    "C5a": "+?++++",
    "C5b": "+?++++",
    "C5c": "++++++",
    "C6": "+?++++",
}


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


def _system(name: str, help: str, promises: Mapping[str, str], timing: Timing, complexity: str) -> System:
    return System(
        name=name,
        help=help,
        promises=promises,
        stall_bound_ms=STALL_BOUND_MS,
        suspicion_ms=2 * timing.election_timeout_ms,
        # Of a hub alone it does not promise to serve: only one whose log is whole can be elected.
        eligibility="clique",
        message_complexity=complexity,
        options=timing,
        factory=None,
        software=software(timing, "nodes"),
        client="splitbrain.nodes.systems.etcd.client:EtcdClient",
        usual_nodes=3,
        max_nodes=7,
    )


ETCD_SYSTEM: Final = _system(
    "etcd",
    "the servers of Debian's etcd 3.4 as they come: no pre-vote, a leader that steps down without its quorum",
    PROMISES,
    Timing(),
    "2(n-1) for each round of votes, then 2(n-1) every heartbeat",
)

ETCD_PRE_VOTE_SYSTEM: Final = _system(
    "etcd-prevote",
    "the same with pre-vote, so that whoever was cut off deposes nobody when it returns",
    PRE_VOTE_PROMISES,
    Timing(pre_vote=True),
    "4(n-1) to elect when no vote is split, then 2(n-1) every heartbeat",
)
