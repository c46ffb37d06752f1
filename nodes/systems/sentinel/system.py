"""Redis 7.0 under Redis Sentinel in three variants: which Redis server is the master.

The nodes are Redis servers, n1 the master at first and the others its replicas; the servers are three Sentinels. These
find the master down, vote on which Sentinel fails it over (a majority of all Sentinels must, whatever the quorum, which
only sets how many must find it down), and make a replica the master. A Redis leads when its ``INFO`` says
``role:master``.

Some of Sentinel's waiting times cannot be configured; ``SENTINEL DEBUG`` sets the rest. They are shortened so that a
minute shows several failovers: ``down-after`` 1 s (30 s by default), ``failover-timeout`` 3 s (180 s); to a quarter
``ask-period`` 250 ms, ``publish-period`` 500 ms, ``election-timeout`` 2.5 s, ``tilt-period`` 7.5 s,
``min-link-reconnect-period`` 3.75 s and ``slave-reconf-timeout`` 2.5 s; ``ping-period`` 500 ms and ``info-period`` 1 s,
since a replica is chosen only if its ``INFO`` is no older than five ``ping-period``. ``tilt-trigger`` keeps its 2 s, so
that a busy machine does not trip it. A master that comes back is demoted after 2 s to 3 s here (4 ``publish-period``
and up to one ``info-period``), after 8 s to 20 s with the defaults.

``term-safety``: config epochs are unique to a failover, as each Sentinel has one vote an epoch (Redis documentation,
"High availability with Redis Sentinel", Configuration epochs). A Redis knows no epoch, so the Sentinels' opinions are
judged. The votes of a newer epoch may be counted for an older one (redis#2230, #2370, #11571), so cuts among Sentinels
may break it, and lost state lets a Sentinel vote twice (``server-state-loss``).

``election-quorum``: undefined. The Sentinels elect one of them by majority, but the master needs to hear one order
only, and one that comes back from a crash is a master without any election.

``exclusivity``: never promised. A master that was cut off or paused remains one, and so does one that comes back from a
crash until it is reconfigured: every failover ends in two masters.

``fencing``: the writes that the old master acknowledges meanwhile are lost when it becomes a replica (Kingsbury, "Call
me maybe: Redis", 2013). ``min-replicas-to-write`` bounds that loss and does not remove it.

``availability``: a master works when it takes writes, and most Sentinels send clients to it and had its answer to a
``PING`` not longer ago than ``down-after``. A Sentinel whose wall clock jumps does nothing for a while ("TILT mode"),
so jumping clocks of Sentinels prevent a failover; those of the Redis servers do not (``clock-jump``, ``clock-strobe``:
a master served throughout runs of ``skew`` and ``strobe``, seed 1).

``stability``: packets that are lost or late are enough to find a working master down (``loss``).

Faults of the Sentinels alone (``server-...``) leave the master healthy, and quorum 2 keeps it in place. With quorum 1 a
Sentinel that is cut off from the master, or was paused, needs no second opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import Machine, Pin, Servers, Software, System
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
MASTER: Final = "mymaster"
FIRST_MASTER: Final = "n1"

TIMES: Final = (
    "info-period 1000 ping-period 500 ask-period 250 publish-period 500 tilt-period 7500 "
    "election-timeout 2500 min-link-reconnect-period 3750 slave-reconf-timeout 2500"
)

REDIS: Final = (
    f"port {REDIS_PORT}",
    "bind 0.0.0.0",
    "protected-mode no",
    "dir /data",
    "appendonly yes",
    'save ""',
    "repl-diskless-sync yes",
    "repl-diskless-sync-delay 0",
    "repl-ping-replica-period 1",
    "repl-timeout 5",
)

MIN_REPLICAS: Final = ("min-replicas-to-write 1", "min-replicas-max-lag 2")

SENTINEL: Final = (
    f"port {SENTINEL_PORT}",
    "bind 0.0.0.0",
    "protected-mode no",
    "dir /data",
)

PROMISES: Final = promise_table(
    "sentinel",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    # Stability, by a run (kill, seed 1): a master and its replica that return together continue as before until a
    # Sentinel reconfigures them, for two seconds, beside the present master, which was healthy.
    crash                     +            -                !            !        +             +            ?
    pause                     +            -                !            !        +             +            +
    throttle                  +            -                ?            ?        ?             +            ?
    partition                 +            -                !            !        +             +            +
    leader-isolated           +            -                !            !        +             +            +
    leader-deaf               +            -                !            !        +             +            +
    leader-mute               +            -                !            !        +             +            +
    follower-deaf             ?            -                +            +        +             +            ?
    # Exclusivity, fencing, stability: a partial cut among three Redis servers leaves the Sentinels with the master,
    # and nothing broke in a run with two cuts (seed 1).
    partial-partition         ?            -                ?            ?        +             ?            ?
    # Stability: a master that is found down has lossy or slow links itself; it was in two runs (leader-late, seed 1).
    loss                      ?            -                !            !        ?             ?            ?
    clock-jump                +            -                +            +        +             +            +
    # Fencing, by a run (rate, seed 1), in which nothing was lost.
    clock-rate                +            -                ?            ?        +             +            ?
    clock-strobe              +            -                +            +        +             +            +
    # Term safety rests on the memory of the Sentinels, and theirs is not lost.
    state-loss                +            -                !            !        ?             +            ?
    restart-storm             ?            -                !            !        ?             +            ?
    server-crash              +            -                +            +        +             +            +
    server-pause              +            -                +            +        +             +            +
    server-throttle           +            -                ?            +        ?             +            ?
    server-partition          +            -                +            +        +             +            +
    server-leader-isolated    +            -                +            +        +             +            +
    server-leader-deaf        +            -                +            +        +             +            +
    server-leader-mute        +            -                +            +        +             +            +
    server-follower-deaf      +            -                +            +        +             +            +
    server-partial-partition  +            -                +            +        +             +            +
    server-loss               ?            -                ?            ?        ?             ?            ?
    server-clock-jump         +            -                +            +        +             +            ?
    server-clock-rate         +            -                +            +        +             +            ?
    # Availability: no failover while the clocks strobe (servers-clocks-strobe-as-leader-dies, seed 1: none in 33 s).
    server-clock-strobe       +            -                +            +        ?             +            ?
    server-state-loss         ?            -                ?            ?        ?             ?            ?
    server-restart-storm      +            -                +            +        +             +            ?
    """,
)

# A master that has lost its replicas refuses writes within the lag of 2 s, so there is less to lose, and where it was
# away for longer than that (crash, pause) perhaps nothing. Nothing was lost in three runs of restarts either
# (leader-storm, seeds 1 to 3).
MIN_REPLICAS_PROMISES: Final = promise_table(
    "sentinel-min-replicas",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                   term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash          +            -                !            ?        +             +            ?
    pause          +            -                !            ?        +             +            +
    throttle       +            -                ?            ?        ?             +            ?
    restart-storm  ?            -                !            ?        ?             +            ?
    """,
    base=PROMISES,
)

# One Sentinel that is cut off from a healthy master finds it down by itself, and gets the votes of the others.
QUORUM_1_PROMISES: Final = promise_table(
    "sentinel-quorum1",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    partition                 +            -                !            !        +             +            ?
    follower-deaf             ?            -                ?            ?        ?             ?            ?
    server-pause              +            -                ?            ?        +             +            ?
    server-throttle           +            -                ?            ?        ?             +            ?
    server-partition          +            -                ?            ?        +             +            ?
    server-leader-isolated    +            -                ?            ?        +             +            ?
    server-partial-partition  +            -                ?            ?        +             +            ?
    """,
    base=PROMISES,
)


def redis(lines: Sequence[str], machine: Machine) -> tuple[str, ...]:
    """The arguments of a Redis server, a replica of the first but for that one itself."""
    first = machine.nodes[FIRST_MASTER]
    follows = () if machine.name == FIRST_MASTER else (f"replicaof {first} {REDIS_PORT}",)
    return ("redis", str(REDIS_PORT), "", *REDIS, *lines, *follows)


def sentinel(quorum: int, machine: Machine) -> tuple[str, ...]:
    """The arguments of a Sentinel."""
    return (
        "sentinel",
        str(SENTINEL_PORT),
        TIMES,
        *SENTINEL,
        f"sentinel monitor {MASTER} {machine.nodes[FIRST_MASTER]} {REDIS_PORT} {quorum}",
        f"sentinel down-after-milliseconds {MASTER} 1000",
        f"sentinel failover-timeout {MASTER} 3000",
        f"sentinel parallel-syncs {MASTER} 2",
    )


def _software(quorum: int) -> Servers:
    return Servers(
        count=3, software=Software(image="images/redis", command=partial(sentinel, quorum), ports=(SENTINEL_PORT,))
    )


SENTINEL_SYSTEM: Final = System(
    name="sentinel",
    help="Redis 7.0 with replicas, three Sentinels of quorum 2 choosing the master",
    promises=PROMISES,
    stall_bound_ms=10_000,
    suspicion_ms=1_500,
    eligibility="clique",
    message_complexity="s-1 questions a second of each Sentinel that suspects, 2(s-1) a round of votes, then 5 orders",
    software=Software(image="images/redis", command=partial(redis, ()), ports=(REDIS_PORT,)),
    servers={"sentinels": _software(2)},
    client="splitbrain.nodes.systems.sentinel.client:RedisClient",
    features=frozenset({"opinions", "set"}),
    pins={
        "docker": {
            "loss": Pin(schedule=SCHEDULES / "leader-late.json", seed=1),
            "state-loss": Pin(schedule=SCHEDULES / "leader-forgets.json", seed=1),
            "restart-storm": Pin(schedule=SCHEDULES / "leader-storm.json", seed=1),
        }
    },
    usual_nodes=3,
    max_nodes=9,
)

SENTINEL_MIN_REPLICAS_SYSTEM: Final = replace(
    SENTINEL_SYSTEM,
    name="sentinel-min-replicas",
    help="the same, a master refusing writes without a replica that answered in the last 2 s",
    promises=MIN_REPLICAS_PROMISES,
    software=Software(image="images/redis", command=partial(redis, MIN_REPLICAS), ports=(REDIS_PORT,)),
)

SENTINEL_QUORUM1_SYSTEM: Final = replace(
    SENTINEL_SYSTEM,
    name="sentinel-quorum1",
    help="the same, one Sentinel being enough to find the master down",
    promises=QUORUM_1_PROMISES,
    servers={"sentinels": _software(1)},
)
