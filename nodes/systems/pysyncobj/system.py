"""PySyncObj, an independent Raft in Python, in two versions that are otherwise alike: 0.3.17 and 0.3.14.

``term-safety``, ``fencing``: Raft's election safety rests on a term and a vote that outlive a restart (Ongaro &
Ousterhout 2014, figure 2). 0.3.14 keeps neither: its journal holds the log and the commit index only (PySyncObj issues
84, 201 and 202), so a cluster that restarts begins again at term 1 and may give it to another node (``crash``,
``restart-storm``). 0.3.17 keeps both in its journal, which ``state-loss`` takes.

``election-quorum``: the nodes are configured at their start, so no fault changes the majority that is needed.

``exclusivity``: a leader that receives nothing remains leader for 30 s (``leaderFallbackTimeout``), and a stale one
gets no answer (``partition``, ``leader-isolated``).

``stability``: there is no pre-vote, so a node that was cut off may depose a healthy leader when it returns.

Its timeouts are its defaults, 0.4 to 1.4 s. Its links are TCP, so ``leader-deaf`` has the effect of
``leader-isolated``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from splitbrain.names import FaultClass, PromiseTable
from splitbrain.nodes.systems.base import (
    CLIENT_PORT,
    DATA,
    PEER_PORT,
    SHARED_SCHEDULES,
    Machine,
    NoOptions,
    Pin,
    Software,
    System,
)
from splitbrain.nodes.systems.promises import promise_table

SCHEDULES: Final = Path(__file__).parent / "schedules"

PROMISES: Final = promise_table(
    "pysyncobj",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                       term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash              +            +                ?            +        +             +            ?
    # Exclusivity: a leader that was paused finds its successor's messages when it resumes; in three runs with 36
    # pauses no two were seen to lead.
    pause              +            +                ?            +        +             +            ?
    throttle           +            +                ?            +        ?             +            ?
    partition          +            +                !            +        ?             +            !
    leader-isolated    +            +                !            +        ?             +            ?
    leader-deaf        +            +                !            +        ?             +            ?
    # Exclusivity: a mute leader still hears the candidates that oppose it; in three runs with twelve such cuts no two
    # were seen to lead.
    leader-mute        +            +                ?            +        ?             +            ?
    follower-deaf      +            +                ?            +        ?             +            !
    # Exclusivity: a leader that misses a link learns of newer terms from nodes that see both sides; in three runs
    # with twelve such cuts no two were seen to lead.
    partial-partition  +            +                ?            +        ?             +            !
    loss               +            +                ?            +        ?             +            ?
    clock-jump         +            +                +            +        +             +            +
    clock-rate         +            +                ?            +        ?             +            !
    clock-strobe       +            +                +            +        +             +            +
    state-loss         !            +                ?            !        ?             +            ?
    restart-storm      +            +                ?            +        ?             +            ?
    """,
)

FORGETFUL_PROMISES: Final = promise_table(
    "pysyncobj-0.3.14",
    """
    # + guaranteed   ! known weakness   ? not promised   - undefined
                   term-safety  election-quorum  exclusivity  fencing  availability  convergence  stability
    crash          !            +                ?            !        +             +            ?
    restart-storm  !            +                ?            !        ?             +            ?
    """,
    base=PROMISES,
)


def run(machine: Machine) -> tuple[str, ...]:
    """The arguments of a node's script."""
    everybody = [f"--at={name}={address}:{PEER_PORT}" for name, address in machine.nodes.items()]
    return ("--id", machine.name, *everybody, "--port", str(CLIENT_PORT), "--data", DATA)


def _system(name: str, help: str, image: str, promises: PromiseTable, pins: Mapping[FaultClass, Pin]) -> System:
    return System(
        name=name,
        help=help,
        promises=promises,
        stall_bound_ms=4_200,  # three longest timeouts: votes seldom split over that wide a range
        suspicion_ms=1_400,
        elects="nodes",
        round_ms=1_400,
        eligibility="isolated",
        message_complexity="2(n-1) for each round of votes, then 2(n-1) every heartbeat",
        options=NoOptions(),
        factory=None,
        software=Software(image=image, command=run),
        usual_nodes=3,
        max_nodes=9,
        pins={"docker": pins},
    )


PINS: Final[Mapping[FaultClass, Pin]] = {
    "partition": Pin(schedule=SHARED_SCHEDULES / "follower-and-leader-cut-off-by-turns.json", seed=1),
    "leader-deaf": Pin(schedule=SHARED_SCHEDULES / "leader-deaf-five-times.json", seed=1),
    "follower-deaf": Pin(schedule=SHARED_SCHEDULES / "follower-deaf-five-times.json", seed=1),
    "partial-partition": Pin(schedule=SHARED_SCHEDULES / "leader-misses-a-link-five-times.json", seed=1),
    "clock-rate": Pin(schedule=SCHEDULES / "follower-clock-fast.json", seed=1),
    "state-loss": Pin(schedule=SHARED_SCHEDULES / "all-forget-three-times.json", seed=1),
}

PYSYNCOBJ_SYSTEM: Final = _system(
    "pysyncobj",
    "PySyncObj 0.3.17, an independent Raft, which keeps its term and vote in its journal",
    "systems/pysyncobj/image",
    PROMISES,
    PINS,
)
PYSYNCOBJ_0_3_14_SYSTEM: Final = _system(
    "pysyncobj-0.3.14",
    "PySyncObj 0.3.14, which forgets its term and vote",
    "systems/pysyncobj/image_0_3_14",
    FORGETFUL_PROMISES,
    {
        **PINS,
        "crash": Pin(schedule=SCHEDULES / "all-restarted-three-times.json", seed=1),
        "restart-storm": Pin(schedule=SCHEDULES / "all-storm.json", seed=1),
    },
)
