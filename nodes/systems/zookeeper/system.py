"""ZooKeeper 3.8's recipe for leader election, on an ensemble of three real servers, and what its clients promise.

``T``, ``F``: the term is the czxid of the leader's znode, a number of the ensemble's log, so it never comes twice. A
server that loses its state may take it from the others (sC11).

``X``: a session ends when the ensemble's leader has not heard of it for T. kazoo pings every T/3 when it is idle and
calls the connection SUSPENDED after 2T/3 at the latest, so a client that stops then would stop T/3 before anybody else
can lead. But kazoo 2.10 (``protocol/connection.py``, the loop of a connection) looks for the missing answer only when
nothing was to be sent for a while. Of leaders that were cut off one that wrote nothing was SUSPENDED after 0.93 s to
1.11 s (four cuts, T of 2.4 s), one that was asked for 20 writes a second not within 9 s (five cuts); and four of four
runs had two leaders, for 0.9 s to 4.6 s. So an isolated leader is ``!`` (C4), and other cuts are ``?`` (C3 to C6). A
client that stops only when it is told that its session is over is never told while it is cut off, so it leads on for
as long as that lasts (``zookeeper-stock``: ``!``). A process that was paused for longer than T leads on when it goes
on, until it has found its connection closed: a moment that is rarely seen of one that stops then (C2 ``?``), and a new
connection later for one that waits to be told (``!``).

A server answers its clients' pings by itself, and gives up its leader only after ``syncLimit`` ticks. So a client whose
*server* is cut from the ensemble stays connected for that long, while the ensemble ends its session after T. With
syncLimit ticks and one below 2T/3 that is no matter; ``zookeeper-short`` has T well below it, and then two may
lead with no fault on any client's link. Where leaders
wrote nothing two led for 1.83 s and 2.12 s, in two cuts of the server that the first one's session was with. A leader
that wrote was SUSPENDED 0.7 s after such a cut, twice, and led beside nobody; in runs leaders write (sC3, sC6 ``?``).

``S``: kazoo 2.10 times its pings by the time of day, so a clock set back keeps it silent until its session is over (C8,
C10 ``?``). When the ensemble changes its leader every client's connection is closed, and one that stops at SUSPENDED
stops though nobody touched it (s* ``?``).

``A``: a contender that is killed leaves its znode for T; one that restarts faster keeps a ghost at the head (C12
``?``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from splitbrain.nodes.systems.base import CLIENT_PORT, DATA, Machine, Servers, Software, System

ZOOKEEPER_PORT: Final = 2181
JAVA_STARTS_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooKeeperOptions:
    """The servers' tick and how many of it one may lag behind its leader, and the clients' session, T."""

    tick_ms: int = 300
    sync_limit: int = 3
    session_ms: int = 2_400


CAREFUL: Final = ZooKeeperOptions()
SHORT: Final = ZooKeeperOptions(sync_limit=12, session_ms=1_200)


def server(options: ZooKeeperOptions) -> Callable[[Machine], Sequence[str]]:
    """The arguments of a server's container."""

    def command(machine: Machine) -> Sequence[str]:
        numbers = {name: str(number) for number, name in enumerate(machine.servers, start=1)}
        return (
            "--id",
            numbers[machine.name],
            *(f"--server={numbers[name]}={address}" for name, address in machine.servers.items()),
            "--data",
            DATA,
            "--tick-ms",
            str(options.tick_ms),
            "--sync-limit",
            str(options.sync_limit),
        )

    return command


def contender(kind: str, options: ZooKeeperOptions) -> Callable[[Machine], Sequence[str]]:
    """The arguments of a contender's container. Each prefers another server, so that to cut one of them off is to cut
    off some contenders and not others."""

    def command(machine: Machine) -> Sequence[str]:
        first = list(machine.nodes).index(machine.name) % len(machine.servers)
        addresses = [*machine.servers.values()]
        return (
            "--id",
            machine.name,
            *(f"--server={address}:{ZOOKEEPER_PORT}" for address in addresses[first:] + addresses[:first]),
            "--session-ms",
            str(options.session_ms),
            "--kind",
            kind,
            "--http",
            str(CLIENT_PORT),
        )

    return command


PROMISES: Final[Mapping[str, str]] = {
    "C1": "++++++",
    "C2": "+?++++",
    "C3": "+?++++",
    "C4": "+!++++",
    "C5a": "+?++++",
    "C5b": "+?++++",
    "C5c": "++++++",
    "C6": "+?++++",
    "C7": "+?+?+?",
    "C8": "+++++?",
    "C9": "+?+++?",
    "C10": "+++++?",
    "C11": "++++++",  # nothing that a contender knows is durable
    "C12": "+++?++",
    "sC1": "+++++?",
    "sC2": "+++++?",
    "sC3": "+++++?",
    "sC4": "+++++?",
    "sC5a": "+++++?",
    "sC5b": "+++++?",
    "sC5c": "+++++?",
    "sC6": "+++++?",
    "sC7": "+++?+?",
    "sC8": "++++++",
    "sC9": "+?+?+?",
    "sC10": "++++++",
    "sC11": "???+??",
    "sC12": "+++?+?",
}

STOCK_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    **dict.fromkeys(("C2", "C3", "C4", "C5a", "C5b", "C6"), "+!++++"),
    "C7": "+?+?+?",
    # X: not seen in two runs of clocks 10 to 40 % apart (rate, seeds 1 and 2), nor in one of a leader's at a seventh of
    # its rate.
    "C9": "+?+++?",
    **{cell: "+?" + letters[2:] for cell, letters in PROMISES.items() if cell.startswith("s")},
}

SHORT_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    # X: its pings are twice as frequent. In three runs with twelve cuts in all (leader-isolated-five-times, seeds 1 and
    # 2, and two cuts of 10 s) every leader was SUSPENDED before its session was over.
    "C4": "+?++++",
    **dict.fromkeys(("sC2", "sC3", "sC4", "sC5a", "sC5b", "sC5c", "sC6"), "+?+++?"),
}

ZOOKEEPER_SYSTEM: Final = System(
    name="zookeeper",
    help="ZooKeeper's recipe on three real servers, by clients that stop as soon as their connection is in doubt",
    promises=PROMISES,
    # The session, the tick that its end is rounded up to, a new leader of the servers, and a notification.
    stall_bound_ms=4_000,
    suspicion_ms=2_700,
    eligibility="clique",
    message_complexity="3 requests to join; 1 notification and 2 requests when a leader goes",
    options=CAREFUL,
    factory=None,
    software=Software(image="systems/zookeeper/contender_image", command=contender("careful", CAREFUL), data=None),
    servers=Servers(
        count=3,
        software=Software(
            image="systems/zookeeper/image", command=server(CAREFUL), ports=(ZOOKEEPER_PORT,), ready_s=JAVA_STARTS_S
        ),
    ),
    client="splitbrain.nodes.systems.zookeeper.client:ZooKeeperClient",
)

ZOOKEEPER_STOCK_SYSTEM: Final = replace(
    ZOOKEEPER_SYSTEM,
    name="zookeeper-stock",
    help="kazoo's own election on three real ZooKeeper servers: whoever leads stops when told that its session is over",
    promises=STOCK_PROMISES,
    software=replace(ZOOKEEPER_SYSTEM.software, command=contender("stock", CAREFUL)),
)

ZOOKEEPER_HERD_SYSTEM: Final = replace(
    ZOOKEEPER_SYSTEM,
    name="zookeeper-herd",
    help="ZooKeeper's recipe on three real servers with all contenders watching the leader: as safe, and more messages",
    message_complexity="3 requests to join; m-1 notifications and 2(m-1) requests when the leader of m goes",
    software=replace(ZOOKEEPER_SYSTEM.software, command=contender("herd", CAREFUL)),
)

ZOOKEEPER_SHORT_SYSTEM: Final = replace(
    ZOOKEEPER_SYSTEM,
    name="zookeeper-short",
    help="ZooKeeper's recipe on three real servers, with sessions shorter than a server takes to miss its leader",
    promises=SHORT_PROMISES,
    stall_bound_ms=6_000,
    suspicion_ms=1_500,
    options=SHORT,
    software=replace(ZOOKEEPER_SYSTEM.software, command=contender("careful", SHORT)),
    servers=Servers(
        count=3,
        software=Software(
            image="systems/zookeeper/image", command=server(SHORT), ports=(ZOOKEEPER_PORT,), ready_s=JAVA_STARTS_S
        ),
    ),
)
