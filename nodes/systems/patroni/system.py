"""Patroni 3.0.2 without a watchdog: which of several PostgreSQL 15 servers is the primary.

The nodes are machines with a PostgreSQL server and a Patroni beside it; the servers are three members of Debian's etcd
3.4. The Patroni that holds the leader key, which expires after ``ttl`` unless renewed, makes its PostgreSQL the
primary, and the others make theirs follow it. A node leads when its PostgreSQL is not in recovery, whatever Patroni
believes. Its term is its timeline, of which a promotion begins a new one.

``ttl`` is 5 s, ``loop_wait`` 1 s and ``retry_timeout`` 2 s (30, 10 and 10 by default), which keeps the documentation's
rule ``loop_wait + 2 * retry_timeout <= ttl``. Patroni 3.0.2 takes any whole number; 20 s is the least ``ttl`` of later
versions.

``election-quorum``: Patroni promotes its PostgreSQL only with the leader key, which a majority of the servers grants. A
PostgreSQL that is set up anew is a primary for a moment (``state-loss``), and servers that are replaced leave fewer to
grant the key (``server-state-loss``).

``exclusivity``: PostgreSQL remains a primary until its Patroni demotes it. A Patroni that is dead or paused demotes
nothing, which is the purpose of a watchdog (Patroni's documentation, "Watchdog support"). One that is cut off demotes
its PostgreSQL, and the rule above leaves no time for that to be late.

``fencing``: replication is asynchronous, so a new primary lacks the old one's last acknowledged writes, and all that
were acknowledged since the key expired (``maximum_lag_on_failover`` bounds the lag of a candidate, not the loss).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import Machine, Pin, Servers, Software, System
from splitbrain.nodes.systems.etcd.system import CLIENTS_PORT, Timing, software
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

POSTGRES_PORT: Final = 5432
SCOPE: Final = "splitbrain"
LEADER_KEY: Final = f"/service/{SCOPE}/leader"
TABLE: Final = "kept"
TTL_S: Final = 5
LOOP_WAIT_S: Final = 1
RETRY_TIMEOUT_S: Final = 2

PROMISES: Final = promise_table(
    "patroni",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash                     +            +                ?            ?        +             +            +
    # Exclusivity breaks where Patroni alone is paused (patroni-alone-paused, seed 1). A machine that is paused as a
    # whole resumes as a whole, and its Patroni was quick enough in two runs of pause (seeds 1 and 2).
    pause                     +            +                !            ?        +             +            +
    throttle                  +            +                ?            ?        ?             +            ?
    partition                 +            +                ?            ?        +             +            +
    # Fencing, by a run (isolated-leader, seed 1): a primary that is cut off acknowledges writes until its Patroni
    # gives up.
    leader-isolated           +            +                ?            !        +             +            +
    # Exclusivity, by a run (leader-deaf, seed 1 of a minute): its renewals arrive, and it learns late that they
    # failed.
    leader-deaf               +            +                ?            !        +             +            +
    leader-mute               +            +                ?            ?        +             +            +
    follower-deaf             +            +                +            +        +             +            +
    partial-partition         +            +                ?            ?        +             +            +
    loss                      +            +                ?            ?        ?             +            ?
    clock-jump                +            +                +            +        +             +            +
    clock-rate                +            +                ?            ?        +             +            +
    clock-strobe              +            +                +            +        +             +            +
    state-loss                ?            ?                ?            ?        ?             +            ?
    restart-storm             +            +                ?            ?        ?             +            ?
    server-crash              +            +                +            +        +             +            ?
    server-pause              +            +                ?            ?        +             +            ?
    server-throttle           +            +                ?            ?        ?             +            ?
    server-partition          +            +                +            +        +             +            ?
    server-leader-isolated    +            +                +            +        +             +            ?
    server-leader-deaf        +            +                +            +        +             +            ?
    server-leader-mute        +            +                +            +        +             +            ?
    server-follower-deaf      +            +                +            +        +             +            ?
    server-partial-partition  +            +                ?            ?        +             +            ?
    server-loss               +            +                ?            ?        +             +            ?
    server-clock-jump         +            +                ?            ?        ?             +            ?
    server-clock-rate         +            +                ?            ?        +             +            +
    server-clock-strobe       +            +                ?            ?        +             +            ?
    server-state-loss         ?            ?                ?            ?        ?             +            ?
    server-restart-storm      +            +                ?            ?        ?             +            ?
    """,
)


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
    elects="servers",
    round_ms=12_000,  # a promotion included
    eligibility="clique",
    message_complexity="n-1 questions of each candidate when the key runs out, then one renewal a second",
    software=Software(
        image="systems/patroni/image",
        command=patroni,
        ports=(POSTGRES_PORT,),
        ready_s=60.0,
        capabilities=("CHOWN", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID"),  # its first process gives root up
    ),
    servers={"etcd": Servers(count=3, software=software(Timing(), "servers"))},
    client="splitbrain.nodes.systems.patroni.client:PatroniClient",
    features=frozenset({"set"}),
    pins={"docker": {"pause": Pin(schedule=SCHEDULES / "patroni-alone-paused.json", seed=1)}},
    usual_nodes=3,
    max_nodes=5,
)
