"""Redlock: a lock on five Redis servers that know nothing of one another, held as a leadership.

The nodes are contenders, the servers Redis 7.0 that keep nothing on their disks. The time to live is 2 s, extended
every 400 ms.

``T``, ``F``: there is no token, so there is nothing that could be unique, or that a resource could check.

``X``: a contender counts the validity by its own monotonic clock and looks at it in every answer, so that pauses and
cuts of its own break nothing (the variant ``redlock-trusting`` goes on until an
extension has failed: after a pause it leads for the few milliseconds that this takes, which observers mostly miss).
But the servers count the time to live by their wall clocks ("Redis is not using monotonic clock for TTL expiration
mechanism", redis.io, "Distributed Locks with Redis"), so clocks that jump ahead on a majority free a lock that is held
(sC8, sC10); and a server that forgot a lock gives it away again, so a majority that restarts within the time to live
does (sC1, sC11, sC12), unless restarts are delayed for as long.

``A``, ``L``: a lock of a holder that died is free when its time to live is over; contenders that split the servers
among themselves try again after a random while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from splitbrain.nodes.systems.base import Machine, NoOptions, Servers, Software, System

REDIS_PORT: Final = 6379

REDIS: Final = (f"port {REDIS_PORT}", "bind 0.0.0.0", "protected-mode no", "dir /data", "appendonly no", 'save ""')

PROMISES: Final[Mapping[str, str]] = {
    "C1": "-+-+++",
    "C2": "-+-+++",
    "C3": "-+-+++",
    "C4": "-+-+++",
    "C5a": "-+-+++",
    "C5b": "-+-+++",
    "C5c": "-+-+++",
    "C6": "-+-+++",
    "C7": "-+-?+?",
    "C8": "-+-+++",
    "C9": "-?-+++",
    "C10": "-+-+++",
    "C11": "-+-+++",
    "C12": "-+-?+?",
    "sC1": "-!-+++",
    "sC2": "-+-+++",
    "sC3": "-+-+++",
    "sC4": "-+-+++",
    "sC5a": "-+-+++",
    "sC5b": "-+-+++",
    "sC5c": "-+-+++",
    "sC6": "-+-+++",
    "sC7": "-+-?+?",
    "sC8": "-!-+++",
    "sC9": "-?-+++",
    "sC10": "-!-+++",
    "sC11": "-!-+++",
    "sC12": "-!-?+?",
}
TRUSTING_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    "C2": "-?-+++",
    "C7": "-?-?+?",
    # X: its holder stops at the first extension that fails, and servers take longer to start than the 400 ms to that:
    # not seen in four runs with 27 restarts of them all (seed 1).
    "sC1": "-?-+++",
    "sC2": "-?-+++",
    "sC11": "-?-+++",
    "sC12": "-?-?+?",
}


def contender(flags: tuple[str, ...], machine: Machine) -> tuple[str, ...]:
    """The arguments of ``python3 -m splitbrain.nodes.systems.redlock.contender``."""
    servers = [f"--server={address}:{REDIS_PORT}" for address in machine.servers.values()]
    return ("--id", machine.name, *servers, "--seed", str(machine.seed), *flags)


def redis(machine: Machine) -> tuple[str, ...]:
    """The arguments of a Redis server; ``machine`` makes no difference, for it knows no other."""
    return ("redis", str(REDIS_PORT), "", *REDIS)


REDLOCK_SYSTEM: Final = System(
    name="redlock",
    help="Redlock on five Redis servers, its validity looked at in every answer",
    promises=PROMISES,
    stall_bound_ms=4_000,
    suspicion_ms=2_000,
    eligibility="clique",
    message_complexity="2s for each try and s for each extension, of s servers; nothing among the contenders",
    options=NoOptions(),
    factory=None,
    software=Software(image="systems/redlock/image", command=partial(contender, ()), data=None),
    servers=Servers(count=5, software=Software(image="images/redis", command=redis, ports=(REDIS_PORT,))),
    client="splitbrain.nodes.systems.redlock.client:RedlockClient",
    tokens=False,
    min_nodes=2,
    usual_nodes=3,
)

REDLOCK_TRUSTING_SYSTEM: Final = replace(
    REDLOCK_SYSTEM,
    name="redlock-trusting",
    help="the same, a holder taking itself for one until it could not extend",
    promises=TRUSTING_PROMISES,
    software=Software(image="systems/redlock/image", command=partial(contender, ("--trusting",)), data=None),
)
