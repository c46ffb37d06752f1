"""etcd's election API: contenders with leases, on three servers of Debian's etcd 3.4.23.

``term-safety``, ``fencing``: the token is the create revision of the contender's own key, assigned by one Raft log.
Whatever the clients believe, no two have the same one, and they grow: a resource that checks them is safe.

``election-quorum``: a contender leads when a read shows no key before its key, and reads need a majority of the
servers. Servers that are replaced leave fewer for a moment (``server-state-loss``).

``exclusivity``: a client's belief is another matter. The stock client counts its lease from the answer to its last
renewal, while the servers count from its arrival, and it checks only once a second for an expired lease. So a leader
that is cut off usually leads beside its successor (``partition``, ``leader-isolated``). One that resumes after a pause
finds its check overdue, and in none of eight pauses was it seen to answer before it checked (``pause``). The safe
client counts from the sending, less a tenth, and judges that when asked. Neither can help when the servers break the
lease: in 3.4.23 a leading server that was paused comes back, takes leases that were renewed elsewhere for expired, and
has its successor revoke them (etcd issues 12528 and 15247, fixed in 3.4.31). Under ``server-pause`` that breaks
``stability``, since no contender was faulty, and for the stock client ``exclusivity`` too, while the safe one soon
finds its key gone. Clocks whose rates differ by more than the margin break it too (``clock-rate``).

``availability``: a contender that was killed leaves its key behind until its lease expires. Restarts faster than that
leave such ghosts in the queue, but those that wait stand before them. The queue of leases to expire is ordered by the
wall clock in 3.4 (issue 12291), so one set back on the leading server keeps a dead contender's lease
(``server-clock-jump``), and every change of the leading server gives every lease its full time again.

Contenders keep nothing on disk, so ``state-loss`` is ``crash`` to them; and ``clock-jump``, ``clock-rate`` and
``clock-strobe`` concern their clocks, which are monotonic ones. A contender's stall bound is its lease, half a second
until the servers check, and an election of the servers with the time that it adds to every lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from splitbrain.names import FaultClass
from splitbrain.nodes.systems.base import (
    CLIENT_PORT,
    SHARED_SCHEDULES,
    Machine,
    Pin,
    Servers,
    Software,
    System,
)
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT, Timing, software
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

SERVERS: Final = 3
LEASE_MS: Final = 2000

PROMISES: Final = promise_table(
    "etcd-election",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash                     +            +                +            +        +             +            +
    pause                     +            +                ?            +        +             +            +
    throttle                  +            +                ?            +        ?             +            ?
    partition                 +            +                !            +        +             +            ?
    leader-isolated           +            +                !            +        +             +            +
    leader-deaf               +            +                !            +        +             +            +
    leader-mute               +            +                !            +        +             +            +
    follower-deaf             +            +                +            +        +             +            +
    partial-partition         +            +                ?            +        +             +            ?
    loss                      +            +                ?            +        ?             +            ?
    clock-jump                +            +                +            +        +             +            +
    clock-rate                +            +                !            +        +             +            +
    clock-strobe              +            +                +            +        +             +            +
    state-loss                +            +                +            +        +             +            +
    # Availability: in three runs a majority had a leader (storm, seeds 1 and 2).
    restart-storm             +            +                +            +        ?             +            ?
    # Availability, by a run (server-kill, seed 1): all servers restarted, then the leading one killed, and no node
    # led for 13.6 s. A new leader of the servers gives every lease its full time again, also those of contenders that
    # have campaigned again since, whose old keys stand before their new ones.
    server-crash              +            +                ?            +        ?             +            ?
    server-pause              +            +                !            +        +             +            !
    server-throttle           +            +                ?            +        ?             +            ?
    server-partition          +            +                ?            +        +             +            ?
    server-leader-isolated    +            +                ?            +        +             +            ?
    server-leader-deaf        +            +                ?            +        +             +            ?
    server-leader-mute        +            +                ?            +        +             +            ?
    server-follower-deaf      +            +                ?            +        +             +            ?
    server-partial-partition  +            +                ?            +        +             +            ?
    server-loss               +            +                ?            +        ?             +            ?
    server-clock-jump         +            +                ?            +        !             +            ?
    server-clock-rate         +            +                ?            +        ?             +            ?
    server-clock-strobe       +            +                ?            +        ?             +            ?
    server-state-loss         +            ?                ?            +        ?             +            ?
    # While servers come and go, no majority of them is healthy for long enough to judge availability.
    server-restart-storm      +            +                ?            +        ?             +            ?
    """,
)

SAFE_PROMISES: Final = promise_table(
    "etcd-election-safe",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    pause              +            +                +            +        +             +            +
    throttle           +            +                +            +        ?             +            ?
    partition          +            +                +            +        +             +            ?
    leader-isolated    +            +                +            +        +             +            +
    leader-deaf        +            +                +            +        +             +            +
    leader-mute        +            +                +            +        +             +            +
    partial-partition  +            +                +            +        +             +            ?
    loss               +            +                +            +        ?             +            ?
    server-pause       +            +                ?            +        +             +            !
    server-throttle    +            +                ?            +        ?             +            ?
    """,
    base=PROMISES,
)


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


SAFE_PINS: Final[Mapping[FaultClass, Pin]] = {
    "clock-rate": Pin(schedule=SHARED_SCHEDULES / "leader-isolated-with-slow-clock.json", seed=1),
    "server-pause": Pin(schedule=SCHEDULES / "servers-leader-paused-four-times.json", seed=1),
    "server-clock-jump": Pin(schedule=SCHEDULES / "leading-server-back-in-time-as-leader-dies.json", seed=1),
}

ETCD_ELECTION_SYSTEM: Final = System(
    name="etcd-election",
    help="etcd's election API as its stock client uses it: leases counted from the answer, checked once a second",
    promises=PROMISES,
    stall_bound_ms=LEASE_MS + 500 + 7 * Timing().election_timeout_ms,
    suspicion_ms=LEASE_MS + 500,
    elects="servers",
    round_ms=LEASE_MS + 500,
    eligibility="clique",
    message_complexity="one transaction to stand, one read for each look, one renewal each third of a lease",
    software=_contender("stock"),
    servers={"etcd": Servers(count=SERVERS, software=software(Timing(), "servers"))},
    client="splitbrain.nodes.systems.etcd_election.client:EtcdElectionClient",
    usual_nodes=3,
    max_nodes=9,
    pins={
        "docker": {
            **SAFE_PINS,
            "partition": Pin(
                schedule=SHARED_SCHEDULES / "follower-and-leader-cut-off-by-turns.json", seed=1, workload="lock"
            ),
            "leader-isolated": Pin(nemesis=("isolated-leader",), seed=1, workload="lock"),
            "leader-deaf": Pin(schedule=SHARED_SCHEDULES / "leader-deaf-five-times.json", seed=1, workload="lock"),
            "leader-mute": Pin(schedule=SCHEDULES / "leader-mute-five-times.json", seed=1, workload="lock"),
        }
    },
)

ETCD_ELECTION_SAFE_SYSTEM: Final = replace(
    ETCD_ELECTION_SYSTEM,
    name="etcd-election-safe",
    help="the same with a client that counts its lease from the sending and checks its own key",
    promises=SAFE_PROMISES,
    software=_contender("safe"),
    pins={"docker": SAFE_PINS},
)
