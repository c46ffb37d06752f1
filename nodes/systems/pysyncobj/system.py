"""PySyncObj 0.3.17, an independent Raft in Python.

``term-safety``, ``fencing``: Raft's election safety rests on a term and a vote that outlive a restart (Ongaro &
Ousterhout 2014, figure 2). It keeps both in its journal, which ``state-loss`` takes.

``election-quorum``: the nodes are configured at their start, so no fault changes the majority that is needed.

``exclusivity``: a leader that receives nothing remains leader for 30 s (``leaderFallbackTimeout``), and a stale one
gets no answer (``partition``, ``leader-isolated``).

``stability``: there is no pre-vote, so a node that was cut off may depose a healthy leader when it returns.

Its timeouts are its defaults, 0.4 to 1.4 s. Its links are TCP, so ``leader-deaf`` has the effect of
``leader-isolated``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import CLIENT_PORT, DATA, PEER_PORT, SHARED_SCHEDULES, Machine, Pin, Software, System
from splitbrain.nodes.systems.promises import promise_table

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


def run(machine: Machine) -> tuple[str, ...]:
    """The arguments of a node's script."""
    every_node = [f"--at={name}={address}:{PEER_PORT}" for name, address in machine.nodes.items()]
    return ("--id", machine.name, *every_node, "--port", str(CLIENT_PORT), "--data", DATA)


PYSYNCOBJ_SYSTEM: Final = System(
    name="pysyncobj",
    help="PySyncObj 0.3.17, an independent Raft, which keeps its term and vote in its journal",
    promises=PROMISES,
    stall_bound_ms=4_200,  # three longest timeouts: votes seldom split over that wide a range
    suspicion_ms=1_400,
    elects="nodes",
    round_ms=1_400,
    eligibility="isolated",
    message_complexity="2(n-1) for each round of votes, then 2(n-1) every heartbeat",
    software=Software(image="systems/pysyncobj/image", command=run),
    usual_nodes=3,
    max_nodes=9,
    pins={
        "docker": {
            "partition": Pin(schedule=SHARED_SCHEDULES / "follower-and-leader-cut-off-by-turns.json", seed=1),
            "leader-deaf": Pin(schedule=SHARED_SCHEDULES / "leader-deaf-five-times.json", seed=1),
            "follower-deaf": Pin(schedule=SHARED_SCHEDULES / "follower-deaf-five-times.json", seed=1),
            "partial-partition": Pin(schedule=SHARED_SCHEDULES / "leader-misses-a-link-five-times.json", seed=1),
            "clock-rate": Pin(schedule=Path(__file__).parent / "schedules" / "follower-clock-fast.json", seed=1),
            "state-loss": Pin(schedule=SHARED_SCHEDULES / "all-forget-three-times.json", seed=1),
        }
    },
)
