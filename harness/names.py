"""Names that every package shares: guarantees, fault classes, and the marks of a table of promises.

A leaf without imports of this project. Each name stands here once, with its one-line description, in the order in
which tables and reports show them. The codes of format 1 (``T``, ``C4``) are read from stored runs and never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

Guarantee = Literal["term-safety", "exclusivity", "fencing", "availability", "convergence", "stability"]
GUARANTEES: Final[Mapping[Guarantee, str]] = MappingProxyType(
    {
        "term-safety": "at most one leader in each term",
        "exclusivity": "no two nodes lead at the same instant",
        "fencing": "a resource that checks terms accepts no write of a leader that was replaced there",
        "availability": "a majority that can have a working leader is not without one for longer than the bound",
        "convergence": "after everything has healed, all nodes agree on one leader within the bound",
        "stability": "leadership changes only when the leader itself was affected by a fault",
    }
)

FaultClass = Literal[
    "crash",
    "pause",
    "partition",
    "leader-isolated",
    "leader-deaf",
    "leader-mute",
    "follower-deaf",
    "partial-partition",
    "loss",
    "clock-jump",
    "clock-rate",
    "clock-strobe",
    "state-loss",
    "restart-storm",
    "server-crash",
    "server-pause",
    "server-partition",
    "server-leader-isolated",
    "server-leader-deaf",
    "server-leader-mute",
    "server-follower-deaf",
    "server-partial-partition",
    "server-loss",
    "server-clock-jump",
    "server-clock-rate",
    "server-clock-strobe",
    "server-state-loss",
    "server-restart-storm",
]
SERVER: Final = "server-"
"""The prefix of a fault class among the servers that an election rests on."""

NODE_FAULT_CLASSES: Final[Mapping[FaultClass, str]] = MappingProxyType(
    {
        "crash": "processes or machines crash and restart with their durable state",
        "pause": "processes stop for longer than a timeout, or are slowed down",
        "partition": "the network splits into groups",
        "leader-isolated": "the leader exchanges messages with no other node",
        "leader-deaf": "the leader sends and receives nothing",
        "leader-mute": "the leader receives, and nothing that it sends arrives",
        "follower-deaf": "a follower sends and receives nothing",
        "partial-partition": "single links are cut: bridge, ring, star, one-way links",
        "loss": "packets are lost, delayed, duplicated, reordered or corrupted",
        "clock-jump": "wall clocks jump",
        "clock-rate": "clock rates differ by more than the design allows for",
        "clock-strobe": "wall clocks jump back and forth",
        "state-loss": "durable state is lost on restart",
        "restart-storm": "processes restart faster than an election ends",
    }
)
FAULT_CLASSES: Final[Mapping[FaultClass, str]] = MappingProxyType(
    {
        **NODE_FAULT_CLASSES,
        **{
            name: f"among the servers: {NODE_FAULT_CLASSES[name.removeprefix(SERVER)]}"
            for name in get_args(FaultClass)
            if name.startswith(SERVER)
        },
    }
)

Promise = Literal["guaranteed", "known-weakness", "not-promised", "undefined"]
MARKS: Final[Mapping[str, Promise]] = MappingProxyType(
    {"+": "guaranteed", "!": "known-weakness", "?": "not-promised", "-": "undefined"}
)
"""How a table of promises writes each promise."""

Eligibility = Literal["isolated", "clique", "hub"]
"""Which majorities can have a working leader.

``isolated``: fully connected, and no message comes in from outside. ``clique``: fully connected. ``hub``: one node is
connected both ways to a majority.
"""

OLD_GUARANTEES: Final[Mapping[str, Guarantee]] = MappingProxyType(dict(zip("TXFALS", GUARANTEES, strict=True)))
_OLD_NODE_CLASSES: Final = ("C1", "C2", "C3", "C4", "C5a", "C5b", "C5c", "C6", "C7", "C8", "C9", "C10", "C11", "C12")
OLD_FAULT_CLASSES: Final[Mapping[str, FaultClass]] = MappingProxyType(
    dict(
        zip(
            (*_OLD_NODE_CLASSES, *(f"s{code}" for code in _OLD_NODE_CLASSES)),
            FAULT_CLASSES,
            strict=True,
        )
    )
)


def of_servers(fault_class: FaultClass) -> FaultClass:
    """The same class of fault among the servers."""
    return f"{SERVER}{fault_class.removeprefix(SERVER)}"  # type: ignore[return-value]


ALLOW_PRIVILEGED: Final = "--allow-privileged"
"""The option that allows faults which need more of the machine than others do."""
