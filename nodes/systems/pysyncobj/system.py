"""PySyncObj, an independent Raft in Python, of two versions and otherwise alike: 0.3.17, and 0.3.14.

``T``, ``F``: Raft's election safety rests on a term and a vote that outlive a restart (Ongaro & Ousterhout 2014, figure
2). 0.3.14 keeps neither: its journal holds the log and the commit index only (PySyncObj issues 84, 201 and 202), so a
cluster that restarts begins again at term 1 and may give it to another node: C1, C11 and C12 ``!``. 0.3.17 keeps both
in its journal (C1 ``+``; C11 takes the journal).

``X``: a leader that hears nobody leads on for 30 s (``leaderFallbackTimeout``), and a stale one is not answered: C3
and C4 ``!``. One that was paused finds its successor's messages when it goes on: in three runs with 36 pauses no two
were seen to lead (C2 ``?``). One that misses a link hears of newer terms from whoever sees both sides: nor were any in
three runs with twelve such cuts (C6 ``?``). ``S``: there is no pre-vote, so whoever was cut off may depose a healthy
leader when it returns.

Its timeouts are its own defaults, 0.4 to 1.4 s. Its links are TCP, so C5a is what C4 is. A mute leader still hears
those who stand against it: in three runs with twelve such cuts no two were seen to lead (C5b ``?``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from splitbrain.nodes.systems.base import CLIENT_PORT, DATA, PEER_PORT, Machine, NoOptions, Software, System

PROMISES: Final[Mapping[str, str]] = {
    "C1": "+?+++?",
    "C2": "+?+++?",
    "C3": "+!+?+!",
    "C4": "+!+?+?",
    "C5a": "+!+?+?",
    "C5b": "+?+?+?",
    "C5c": "+?+?+!",
    "C6": "+?+?+!",
    "C7": "+?+?+?",
    "C8": "++++++",
    "C9": "+?+?+!",
    "C10": "++++++",
    "C11": "!?!?+?",
    "C12": "+?+?+?",
}

FORGETFUL_PROMISES: Final[Mapping[str, str]] = {
    **PROMISES,
    "C1": "!?!++?",
    "C11": "!?!?+?",
    "C12": "!?!?+?",
}


def run(machine: Machine) -> tuple[str, ...]:
    """The arguments of a node's script."""
    everybody = [f"--at={name}={address}:{PEER_PORT}" for name, address in machine.nodes.items()]
    return ("--id", machine.name, *everybody, "--port", str(CLIENT_PORT), "--data", DATA)


def _system(name: str, help: str, image: str, promises: Mapping[str, str]) -> System:
    return System(
        name=name,
        help=help,
        promises=promises,
        stall_bound_ms=4_200,  # three longest timeouts: of so wide a range votes seldom split
        suspicion_ms=1_400,
        eligibility="isolated",
        message_complexity="2(n-1) for each round of votes, then 2(n-1) every heartbeat",
        options=NoOptions(),
        factory=None,
        software=Software(image=image, command=run),
        usual_nodes=3,
        max_nodes=9,
    )


PYSYNCOBJ_SYSTEM: Final = _system(
    "pysyncobj",
    "PySyncObj 0.3.17, an independent Raft, which keeps its term and vote in its journal",
    "systems/pysyncobj/image",
    PROMISES,
)
PYSYNCOBJ_0_3_14_SYSTEM: Final = _system(
    "pysyncobj-0.3.14",
    "PySyncObj 0.3.14, which forgets its term and vote",
    "systems/pysyncobj/image_0_3_14",
    FORGETFUL_PROMISES,
)
