"""Redlock: a lock on five independent Redis servers, held as a leadership.

The nodes are contenders; the servers are Redis 7.0 without persistence. The time to live is 2 s, extended every 400 ms.

``term-safety``, ``fencing``: undefined. There is no token that could be unique, or that a resource could check.

``election-quorum``: not promised. A lock is granted by a majority of the servers, but independent ones, each of which a
contender must reach itself; the property asks for one of them only.

``exclusivity``: a contender counts the validity by its monotonic clock and checks it in every answer, so its pauses and
cuts break nothing. The variant ``redlock-trusting`` continues until an extension has failed: after a pause it leads for
the few milliseconds that this takes, which observers mostly miss. But the servers count the time to live by their wall
clocks ("Redis is not using monotonic clock for TTL expiration mechanism", redis.io, "Distributed Locks with Redis"), so
clocks that jump ahead on a majority free a lock that is held (``server-clock-jump``, ``server-clock-strobe``). And a
server that forgot a lock grants it again, so a majority that restarts within the time to live does (``server-crash``,
``server-state-loss``, ``server-restart-storm``), unless restarts are delayed for as long.

``availability``, ``convergence``: the lock of a holder that died is free when its time to live is over; contenders that
split the servers among themselves retry after a random delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from splitbrain.names import FaultClass
from splitbrain.nodes.systems.base import SHARED_SCHEDULES, Machine, Pin, Servers, Software, System
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

REDIS_PORT: Final = 6379

REDIS: Final = (f"port {REDIS_PORT}", "bind 0.0.0.0", "protected-mode no", "dir /data", "appendonly no", 'save ""')

PROMISES: Final = promise_table(
    "redlock",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash                     -            ?                +            -        +             +            +
    pause                     -            ?                +            -        +             +            +
    throttle                  -            ?                +            -        ?             +            ?
    partition                 -            ?                +            -        +             +            +
    leader-isolated           -            ?                +            -        +             +            +
    leader-deaf               -            ?                +            -        +             +            +
    leader-mute               -            ?                +            -        +             +            +
    follower-deaf             -            ?                +            -        +             +            +
    partial-partition         -            ?                +            -        +             +            +
    loss                      -            ?                +            -        ?             +            ?
    clock-jump                -            ?                +            -        +             +            +
    clock-rate                -            ?                ?            -        +             +            +
    clock-strobe              -            ?                +            -        +             +            +
    state-loss                -            ?                +            -        +             +            +
    restart-storm             -            ?                +            -        ?             +            ?
    server-crash              -            ?                !            -        +             +            +
    server-pause              -            ?                +            -        +             +            +
    server-throttle           -            ?                +            -        ?             +            ?
    server-partition          -            ?                +            -        +             +            +
    server-leader-isolated    -            ?                +            -        +             +            +
    server-leader-deaf        -            ?                +            -        +             +            +
    server-leader-mute        -            ?                +            -        +             +            +
    server-follower-deaf      -            ?                +            -        +             +            +
    server-partial-partition  -            ?                +            -        +             +            +
    server-loss               -            ?                +            -        ?             +            ?
    server-clock-jump         -            ?                !            -        +             +            +
    server-clock-rate         -            ?                ?            -        +             +            +
    server-clock-strobe       -            ?                !            -        +             +            +
    server-state-loss         -            ?                !            -        +             +            +
    server-restart-storm      -            ?                !            -        ?             +            ?
    """,
)
TRUSTING_PROMISES: Final = promise_table(
    "redlock-trusting",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                          term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    pause                 -            ?                ?            -        +             +            +
    throttle              -            ?                ?            -        ?             +            ?
    loss                  -            ?                ?            -        ?             +            ?
    # Exclusivity: its holder stops at the first extension that fails, and servers take longer to start than the 400
    # ms until then: not seen to break in four runs with 27 restarts of all servers (seed 1).
    server-crash          -            ?                ?            -        +             +            +
    server-pause          -            ?                ?            -        +             +            +
    server-throttle       -            ?                ?            -        ?             +            ?
    server-state-loss     -            ?                ?            -        +             +            +
    server-restart-storm  -            ?                ?            -        ?             +            ?
    """,
    base=PROMISES,
)


def contender(flags: tuple[str, ...], machine: Machine) -> tuple[str, ...]:
    """The arguments of ``python3 -m splitbrain.nodes.systems.redlock.contender``."""
    servers = [f"--server={address}:{REDIS_PORT}" for address in machine.servers.values()]
    return ("--id", machine.name, *servers, "--seed", str(machine.seed), *flags)


def redis(machine: Machine) -> tuple[str, ...]:
    """The arguments of a Redis server; the same on every ``machine``, since none knows another."""
    return ("redis", str(REDIS_PORT), "", *REDIS)


CLOCK_PINS: Final[Mapping[FaultClass, Pin]] = {
    "server-clock-jump": Pin(nemesis=("server-skew",), seed=1, workload="lock"),
    "server-clock-strobe": Pin(schedule=SCHEDULES / "servers-clocks-strobe.json", seed=1),
}

REDLOCK_SYSTEM: Final = System(
    name="redlock",
    help="Redlock on five Redis servers, its validity checked in every answer",
    promises=PROMISES,
    stall_bound_ms=4_000,
    suspicion_ms=2_000,
    elects="servers",
    round_ms=2_000,
    eligibility="clique",
    message_complexity="2s for each try and s for each extension, of s servers; nothing among the contenders",
    software=Software(image="systems/redlock/image", command=partial(contender, ()), data=None),
    servers={"redis": Servers(count=5, software=Software(image="images/redis", command=redis, ports=(REDIS_PORT,)))},
    client="splitbrain.nodes.systems.redlock.client:RedlockClient",
    features=frozenset(),
    pins={
        "docker": {
            **CLOCK_PINS,
            "server-crash": Pin(schedule=SCHEDULES / "servers-all-restarted-five-times.json", seed=1),
            "server-state-loss": Pin(schedule=SHARED_SCHEDULES / "servers-all-forget-five-times.json", seed=1),
            "server-restart-storm": Pin(schedule=SCHEDULES / "servers-all-storm.json", seed=1),
        }
    },
    min_nodes=2,
    usual_nodes=3,
)

REDLOCK_TRUSTING_SYSTEM: Final = replace(
    REDLOCK_SYSTEM,
    name="redlock-trusting",
    help="the same, a holder leading until an extension fails",
    promises=TRUSTING_PROMISES,
    software=Software(image="systems/redlock/image", command=partial(contender, ("--trusting",)), data=None),
    pins={"docker": CLOCK_PINS},
)
