"""Patroni 3.0.2 without a watchdog: which of several PostgreSQL 15 servers is the primary.

The nodes are machines with a PostgreSQL server and a Patroni beside it; the servers are three members of Debian's etcd
3.4. The Patroni that holds the leader key, which lives for ``ttl`` unless renewed, has its PostgreSQL be the primary,
and the others have theirs follow it. A node leads when its own PostgreSQL is not in recovery, whatever Patroni thinks;
its term is its timeline, of which a promotion begins a new one.

``ttl`` is 5 s, ``loop_wait`` 1 s and ``retry_timeout`` 2 s (30, 10 and 10 by default), which keeps the documentation's
rule ``loop_wait + 2 * retry_timeout <= ttl``. Patroni 3.0.2 takes any whole number; 20 s is the least ``ttl`` of later
versions.

``X``: PostgreSQL is a primary until it is told otherwise, and the only one to tell it is its Patroni. One that is dead
or paused tells it nothing, which is what a watchdog is for (Patroni's documentation, "Watchdog support"); one that is
cut off demotes it, and the rule above leaves no time for that to be late in.

``F``: replication is asynchronous, so a new primary lacks what the old one acknowledged last, and whatever it
acknowledged since the key ran out (``maximum_lag_on_failover`` bounds the lag of a candidate, not the loss).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.nodes.systems.base import Machine, NoOptions, Servers, Software, System
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT, Timing, software

POSTGRES_PORT: Final = 5432
SCOPE: Final = "splitbrain"
LEADER_KEY: Final = f"/service/{SCOPE}/leader"
TABLE: Final = "kept"
TTL_S: Final = 5
LOOP_WAIT_S: Final = 1
RETRY_TIMEOUT_S: Final = 2

SERVER_PROMISES: Final[Mapping[str, str]] = {
    "sC1": "+++++?",
    "sC2": "+??++?",
    "sC3": "+++++?",
    "sC4": "+++++?",
    "sC5a": "+++++?",
    "sC5b": "+++++?",
    "sC5c": "+++++?",
    "sC6": "+??++?",
    "sC7": "+??++?",
    "sC8": "+???+?",
    "sC9": "+??+++",
    "sC10": "+??++?",
    "sC11": "????+?",
    "sC12": "+???+?",
}

PROMISES: Final[Mapping[str, str]] = {
    "C1": "+??+++",
    # X, where Patroni alone is paused (patroni-alone-paused, seed 1). A machine that is paused as a whole wakes as a
    # whole, and its Patroni was quick enough in two runs of ``pause`` (seeds 1 and 2).
    "C2": "+!?+++",
    "C3": "+??+++",
    # F, by a run (isolated-leader, seed 1): what a primary acknowledges that is cut off, until its Patroni gives up.
    "C4": "+?!+++",
    # X, by a run (leader-deaf, seed 1 of a minute): its renewals are heard, and it is slow to learn that they failed.
    "C5a": "+?!+++",
    "C5b": "+??+++",
    "C5c": "++++++",
    "C6": "+??+++",
    "C7": "+???+?",
    "C8": "++++++",
    "C9": "+??+++",
    "C10": "++++++",
    "C11": "????+?",
    "C12": "+???+?",
    **SERVER_PROMISES,
}


def patroni(machine: Machine) -> tuple[str, ...]:
    """The arguments of the image's first process."""
    return (
        *("--id", machine.name),
        *("--address", machine.nodes[machine.name]),
        *(f"--etcd={address}:{CLIENTS_PORT}" for address in machine.servers.values()),
        *("--scope", SCOPE),
        *("--ttl", str(TTL_S)),
        *("--loop-wait", str(LOOP_WAIT_S)),
        *("--retry-timeout", str(RETRY_TIMEOUT_S)),
        *("--table", TABLE),
    )


PATRONI_SYSTEM: Final = System(
    name="patroni",
    help="PostgreSQL 15 under Patroni 3.0 without a watchdog, three servers of etcd holding the leader key",
    promises=PROMISES,
    stall_bound_ms=12_000,
    suspicion_ms=1_000 * (TTL_S + LOOP_WAIT_S),
    eligibility="clique",
    message_complexity="n-1 questions of each candidate when the key runs out, then one renewal a second",
    options=NoOptions(),
    factory=None,
    software=Software(image="systems/patroni/image", command=patroni, ports=(POSTGRES_PORT,), ready_s=60.0),
    servers=Servers(count=3, software=software(Timing(), "servers")),
    client="splitbrain.nodes.systems.patroni.client:PatroniClient",
    keeps_set=True,
    tokens=False,
    usual_nodes=3,
    max_nodes=5,
)
