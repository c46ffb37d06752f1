"""etcd's election API: contenders with leases, and three servers of Debian's etcd 3.4.23 that they rely on.

``T``, ``F``: the token is the create revision of the contender's own key, given out by one Raft log. Whatever the
clients believe, no two have the same one, and they grow: a resource that checks them is safe.

``X``: what a client believes is another matter. The stock client counts its lease from the answer to its last renewal,
while the servers count from its arrival, and it looks only once a second whether the lease has run out: so a leader
that is cut off leads on beside its successor in most cases (C3, C4 ``!``). One that goes on after a pause finds its
look overdue, and in none of eight pauses was it seen to answer before it looked (C2 ``?``). The safe client counts from
the sending, less a tenth, and judges that when asked: ``+`` there. Neither can help it when the *servers* break the
lease: in 3.4.23 a leading server that was paused comes back, takes leases for expired that were renewed elsewhere, and
has its successor revoke them (etcd issues 12528 and 15247, fixed in 3.4.31): sC2 ``S`` ``!``, for no contender was
touched, and ``X`` too for the stock client, while the safe one soon finds its key gone (``?``). Clocks that run apart
more than the margin break it too (C9 ``!``).

``A``: a contender that was killed leaves its key behind until its lease runs out. Restarts faster than that leave such
ghosts in the queue, but those who wait stand before them, and in three runs a majority had a leader (C12 ``?``,
``storm``, seeds 1 and 2). The queue of leases to expire is ordered by the wall clock in 3.4 (issue 12291), so one set
back on the leading server keeps a dead contender's lease (sC8 ``!``), and every change of the leading server gives
every lease its full time again (sC12 ``?``: while servers come and go, no majority of them is whole for long enough to
tell).

Contenders keep nothing on disk, so C11 is C1 to them; and they are asked about their own clocks in C8 to C10, which are
monotonic ones. A contender's stall bound is its lease, half a second until the servers look, and an election of the
servers with what it adds to every lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from splitbrain.nodes.systems.base import CLIENT_PORT, Machine, NoOptions, Servers, Software, System
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT, Timing, software

SERVERS: Final = 3
LEASE_MS: Final = 2000

SERVER_PROMISES: Final[Mapping[str, str]] = {
    # A, by a run (server-kill, seed 1): all servers restarted, then the leading one killed, and nobody led for 13.6 s.
    # A new leader of the servers gives every lease its whole time anew, also those of contenders that have campaigned
    # again since, whose old keys stand before their new ones.
    "sC1": "+?+?+?",
    "sC2": "+!+++!",
    "sC3": "+?+++?",
    "sC4": "+?+++?",
    "sC5a": "+?+++?",
    "sC5b": "+?+++?",
    "sC5c": "+?+++?",
    "sC6": "+?+++?",
    "sC7": "+?+?+?",
    "sC8": "+?+!+?",
    "sC9": "+?+?+?",
    "sC10": "+?+?+?",
    "sC11": "+?+?+?",
    "sC12": "+?+?+?",
}

PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "+?++++",
    "C3": "+!+++?",
    "C4": "+!++++",
    "C5a": "+!++++",
    "C5b": "+!++++",
    "C5c": "++++++",
    "C6": "+?+++?",
    "C7": "+?+?+?",
    "C8": "++++++",
    "C9": "+!++++",
    "C10": "++++++",
    "C11": "++++++",
    "C12": "+++?+?",
    **SERVER_PROMISES,
}

SAFE_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    "C2": "++++++",
    "C3": "+++++?",
    "C4": "++++++",
    "C5a": "++++++",
    "C5b": "++++++",
    "C6": "+++++?",
    "C7": "+++?+?",
    "sC2": "+?+++!",
}


def _contender(manner: Literal["stock", "safe"]) -> Software:
    def command(machine: Machine) -> tuple[str, ...]:
        servers = [f"--server={address}:{CLIENTS_PORT}" for address in machine.servers.values()]
        return (
            "splitbrain.nodes.systems.etcd_election.contender",
            *("--id", machine.name),
            *servers,
            *("--manner", manner),
            *("--port", str(CLIENT_PORT)),
            *("--seed", str(machine.seed)),
        )

    return Software(image="images/contender", command=command, data=None)


def _system(name: str, help: str, promises: Mapping[str, str], manner: Literal["stock", "safe"]) -> System:
    timing = Timing()
    return System(
        name=name,
        help=help,
        promises=promises,
        stall_bound_ms=LEASE_MS + 500 + 7 * timing.election_timeout_ms,
        suspicion_ms=LEASE_MS + 500,
        eligibility="clique",
        message_complexity="one transaction to stand, one read for each look, one renewal each third of a lease",
        options=NoOptions(),
        factory=None,
        software=_contender(manner),
        servers=Servers(count=SERVERS, software=software(timing, "servers")),
        client="splitbrain.nodes.systems.etcd_election.client:EtcdElectionClient",
        usual_nodes=3,
        max_nodes=9,
    )


ETCD_ELECTION_SYSTEM: Final = _system(
    "etcd-election",
    "etcd's election API as its stock client uses it: leases counted from the answer, looked at once a second",
    PROMISES,
    "stock",
)

ETCD_ELECTION_SAFE_SYSTEM: Final = _system(
    "etcd-election-safe",
    "the same with a client that counts its lease from the sending and looks for its own key",
    SAFE_PROMISES,
    "safe",
)
