"""ZooKeeper 3.8's recipe for leader election on an ensemble of three real servers, and what its clients promise.

``term-safety``, ``fencing``: the term is the czxid of the leader's znode, a number of the ensemble's log, so it never
recurs. A server that loses its state may take it from the others (``server-state-loss``).

``election-quorum``: a contender leads when a list of the znodes shows none before its znode. The list comes from one
server, which may lag behind the others, but not by more than it takes to notice that it is cut off.

``exclusivity``: a session ends when the ensemble's leader has not heard from it for T. kazoo pings every T/3 when it is
idle and calls the connection SUSPENDED after 2T/3 at the latest, so a client that stops then would stop T/3 before
another one can lead. But kazoo 2.10 (``protocol/connection.py``, the loop of a connection) looks for the missing answer
only when nothing was to be sent for a while. Of leaders that were cut off, one that wrote nothing was SUSPENDED after
0.93 s to 1.11 s (four cuts, T of 2.4 s), one that was asked for 20 writes a second not within 9 s (five cuts); and four
of four runs had two leaders, for 0.9 s to 4.6 s. So ``leader-isolated`` is a known weakness, and other cuts are not
promised. A client that stops only when it learns that its session is over does not learn it while it is cut off, so it
leads for as long as that lasts (``zookeeper-stock``). A process that was paused for longer than T leads when it
resumes, until it has found its connection closed (``pause``): a moment that is rarely seen of a client that stops then,
and a new connection later for one that waits for the end of its session.

A server answers its clients' pings by itself, and gives up its leader only after ``syncLimit`` ticks. So a client whose
server is cut from the ensemble stays connected for that long, while the ensemble ends its session after T. With
syncLimit ticks and one below 2T/3 that does no harm; ``zookeeper-short`` has T well below it, and then two may lead
with no fault on any client's link. Where leaders wrote nothing, two led for 1.83 s and 2.12 s, in two cuts of the
server of the first leader's session. A leader that wrote was SUSPENDED 0.7 s after such a cut, twice, and led beside no
other; in runs leaders write (``server-partition``, ``server-partial-partition``).

``stability``: kazoo 2.10 times its pings by the time of day, so a clock set back keeps it silent until its session is
over (``clock-jump``, ``clock-strobe``). When the ensemble changes its leader every client's connection is closed, and a
client that stops at SUSPENDED stops without a fault of its node (``server-...``).

``availability``: a contender that is killed leaves its znode for T; one that restarts faster keeps a ghost at the head
(``restart-storm``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import CLIENT_PORT, DATA, Machine, Pin, Servers, Software, System
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

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


def servers(options: ZooKeeperOptions) -> Servers:
    """Three servers with these options."""
    return Servers(
        count=3,
        software=Software(
            image="systems/zookeeper/image", command=server(options), ports=(ZOOKEEPER_PORT,), ready_s=JAVA_STARTS_S
        ),
    )


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


PROMISES: Final = promise_table(
    "zookeeper",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash                     +            +                +            +        +             +            +
    pause                     +            +                ?            +        +             +            +
    throttle                  +            +                ?            +        ?             +            ?
    partition                 +            +                ?            +        +             +            +
    leader-isolated           +            +                !            +        +             +            +
    leader-deaf               +            +                ?            +        +             +            +
    leader-mute               +            +                ?            +        +             +            +
    follower-deaf             +            +                +            +        +             +            +
    partial-partition         +            +                ?            +        +             +            +
    loss                      +            +                ?            +        ?             +            ?
    clock-jump                +            +                +            +        +             +            ?
    clock-rate                +            +                ?            +        +             +            ?
    clock-strobe              +            +                +            +        +             +            ?
    # Nothing is kept.
    state-loss                +            +                +            +        +             +            +
    restart-storm             +            +                +            +        ?             +            +
    server-crash              +            +                +            +        +             +            ?
    server-pause              +            +                +            +        +             +            ?
    server-throttle           +            +                ?            +        ?             +            ?
    server-partition          +            +                +            +        +             +            ?
    server-leader-isolated    +            +                +            +        +             +            ?
    server-leader-deaf        +            +                +            +        +             +            ?
    server-leader-mute        +            +                +            +        +             +            ?
    server-follower-deaf      +            +                +            +        +             +            ?
    server-partial-partition  +            +                +            +        +             +            ?
    server-loss               +            +                +            +        ?             +            ?
    server-clock-jump         +            +                +            +        +             +            +
    server-clock-rate         +            +                ?            +        ?             +            ?
    server-clock-strobe       +            +                +            +        +             +            +
    server-state-loss         ?            +                ?            ?        +             ?            ?
    server-restart-storm      +            +                +            +        ?             +            ?
    """,
)

STOCK_PROMISES: Final = promise_table(
    "zookeeper-stock",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    pause                     +            +                !            +        +             +            +
    throttle                  +            +                ?            +        ?             +            ?
    partition                 +            +                !            +        +             +            +
    leader-deaf               +            +                !            +        +             +            +
    leader-mute               +            +                !            +        +             +            +
    partial-partition         +            +                !            +        +             +            +
    # Exclusivity: not seen to break in two runs of clocks 10 to 40 % apart (rate, seeds 1 and 2), nor in one with a
    # leader's clock at a seventh of its rate.
    clock-rate                +            +                ?            +        +             +            ?
    server-crash              +            +                ?            +        +             +            ?
    server-pause              +            +                ?            +        +             +            ?
    server-throttle           +            +                ?            +        ?             +            ?
    server-partition          +            +                ?            +        +             +            ?
    server-leader-isolated    +            +                ?            +        +             +            ?
    server-leader-deaf        +            +                ?            +        +             +            ?
    server-leader-mute        +            +                ?            +        +             +            ?
    server-follower-deaf      +            +                ?            +        +             +            ?
    server-partial-partition  +            +                ?            +        +             +            ?
    server-loss               +            +                ?            +        ?             +            ?
    server-clock-jump         +            +                ?            +        +             +            +
    server-clock-strobe       +            +                ?            +        +             +            +
    server-state-loss         +            +                ?            ?        +             ?            ?
    server-restart-storm      +            +                ?            +        ?             +            ?
    """,
    base=PROMISES,
)

SHORT_PROMISES: Final = promise_table(
    "zookeeper-short",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                              term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    # Exclusivity: its pings are twice as frequent. In three runs with twelve cuts in all (leader-isolated-five-times,
    # seeds 1 and 2, and two cuts of 10 s) every leader was SUSPENDED before its session was over.
    leader-isolated           +            +                ?            +        +             +            +
    server-pause              +            +                ?            +        +             +            ?
    server-throttle           +            +                ?            +        ?             +            ?
    server-partition          +            +                ?            +        +             +            ?
    server-leader-isolated    +            +                ?            +        +             +            ?
    server-leader-deaf        +            +                ?            +        +             +            ?
    server-leader-mute        +            +                ?            +        +             +            ?
    server-follower-deaf      +            +                ?            +        +             +            ?
    server-partial-partition  +            +                ?            +        +             +            ?
    """,
    base=PROMISES,
)

ZOOKEEPER_SYSTEM: Final = System(
    name="zookeeper",
    help="ZooKeeper's recipe on three real servers, by clients that stop when their connection is in doubt",
    promises=PROMISES,
    # The session, the tick that its end is rounded up to, a new leader of the servers, and a notification.
    stall_bound_ms=4_000,
    suspicion_ms=2_700,
    elects="servers",
    round_ms=4_000,
    eligibility="clique",
    message_complexity="3 requests to join; 1 notification and 2 requests when a leader goes",
    options=CAREFUL,
    software=Software(image="systems/zookeeper/contender_image", command=contender("careful", CAREFUL), data=None),
    servers={"zookeeper": servers(CAREFUL)},
    client="splitbrain.nodes.systems.zookeeper.client:ZooKeeperClient",
    pins={"docker": {"leader-isolated": Pin(schedule=SCHEDULES / "leader-isolated-five-times.json", seed=1)}},
)

ZOOKEEPER_STOCK_SYSTEM: Final = replace(
    ZOOKEEPER_SYSTEM,
    name="zookeeper-stock",
    help="kazoo's own election on three real ZooKeeper servers: a leader stops when it learns that its session is over",
    promises=STOCK_PROMISES,
    software=replace(ZOOKEEPER_SYSTEM.software, command=contender("stock", CAREFUL)),
    pins={
        "docker": {
            "leader-isolated": Pin(nemesis=("isolated-leader",), seed=1, workload="lock"),
            "partial-partition": Pin(schedule=SCHEDULES / "leader-at-the-end-of-a-line-five-times.json", seed=1),
        }
    },
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
    round_ms=6_000,
    options=SHORT,
    software=replace(ZOOKEEPER_SYSTEM.software, command=contender("careful", SHORT)),
    pins={},
    servers={"zookeeper": servers(SHORT)},
)
