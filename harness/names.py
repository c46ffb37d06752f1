"""Names that every package shares: guarantees, fault classes, promises, and which majorities can have a leader.

A leaf without imports of this project, which goes into the image of our nodes too. Each name stands here once, with
its one-line description, in the order in which tables and reports show them. The codes of version 0.1 (``T``, ``C4``)
are read from old runs and old files, and never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal, get_args

Guarantee = Literal[
    "term-safety", "election-quorum", "exclusivity", "fencing", "availability", "convergence", "stability"
]
GUARANTEES: Final[Mapping[Guarantee, str]] = MappingProxyType(
    {
        "term-safety": "at most one leader in each term",
        "election-quorum": "no node begins to lead where no majority could have elected it",
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
    "throttle",
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
    "server-throttle",
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
        "pause": "processes stop for longer than a timeout",
        "throttle": "processes are slow: little processor time, slow flushes to the disk",
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
PROMISES: Final[Mapping[Promise, str]] = MappingProxyType(
    {
        "guaranteed": "a violation fails the run",
        "known-weakness": "known to break: reported as reproduced or not, and no failure either way",
        "not-promised": "may break: only reported",
        "undefined": "has no meaning for the system, and is not judged",
    }
)
MARKS: Final[Mapping[str, Promise]] = MappingProxyType(
    {"+": "guaranteed", "!": "known-weakness", "?": "not-promised", "-": "undefined"}
)
"""How tables write each promise."""
MARK_OF: Final[Mapping[Promise, str]] = MappingProxyType({promise: mark for mark, promise in MARKS.items()})

Preset = Literal["quorum", "quorum-with-lease", "best-effort", "all"]
PRESETS: Final[Mapping[Preset, str]] = MappingProxyType(
    {
        "quorum": "what Raft's election in the paper promises: one leader in each term, none that is the only one",
        "quorum-with-lease": "the same, and no two leaders at one instant, as Raft with a leader lease promises it",
        "best-effort": "what the Bully election promises: a working leader and agreement, no exclusivity",
        "all": "every guarantee under every fault class",
    }
)
"""Promises that users name instead of writing a table."""
OLD_PRESETS: Final[Mapping[str, Preset]] = MappingProxyType({"lease": "quorum-with-lease"})
"""Names that presets had before."""
PRESET_AT: Final = "@"
"""Stands between the name of a system and that of its preset, as in ``raft@quorum``."""

Promises = Mapping[Guarantee, Promise]
"""Promises under some faults."""
PromiseTable = Mapping[FaultClass, Promises]
"""All promises of a system: one row a fault class, one column a guarantee."""

Model = Literal["register", "cas-register", "mutex", "set"]
MODELS: Final[Mapping[Model, tuple[str, ...]]] = MappingProxyType(
    {
        "register": ("read", "write"),
        "cas-register": ("read", "write", "cas"),
        "mutex": ("acquire", "release"),
        "set": ("add", "read"),
    }
)
"""The objects whose linearizability can be checked, with their operations."""

Eligibility = Literal["isolated", "clique", "hub"]
ELIGIBILITIES: Final[Mapping[Eligibility, str]] = MappingProxyType(
    {
        "isolated": "a majority that is fully connected and receives nothing from outside",
        "clique": "a majority that is fully connected",
        "hub": "a majority around one node that is connected both ways to each of the others",
    }
)
"""Which majorities a system promises a working leader; each kind includes those before it."""

Electors = Literal["nodes", "servers", "none"]
ELECTORS: Final[Mapping[Electors, str]] = MappingProxyType(
    {
        "nodes": "a majority of the nodes elects, each of which answers the candidate itself",
        "servers": "a majority of the servers elects, and the node reaches a server that is in it",
        "none": "no majority is needed",
    }
)
"""Which machines elect a leader by majority."""
MAJORITY_OF: Final = "majority of "
ELECTORS_IN_WORDS: Final[Mapping[str, Electors]] = MappingProxyType(
    {"majority of nodes": "nodes", "majority of servers": "servers", "nobody": "none"}
)
"""How users write them. The names alone are read too."""

NEAR: Final = 0.7
"""How alike two names must be for one to be suggested in place of the other: "oom" is not near to "foo"."""

MS: Final = 1_000_000

RUN: Final = "run"
"""The process of lines about the run itself."""
COMPLETE: Final = "complete"
"""The ``f`` of the line at the end of a run that was carried out to its end."""
"""Nanoseconds in a millisecond: times are integer nanoseconds."""

WATCHER: Final = "watcher"
"""The process of the lines that tell of incidents, by these ``f``."""
ENDED: Final = "ended"
STARTED: Final = "started"
PAUSED: Final = "paused"
RESUMED: Final = "resumed"
THROTTLED: Final = "throttled"
REPLACED: Final = "replaced"
LOGGED: Final = "logged"
NEMESIS: Final = "nemesis"
OUTSIDE: Final = "outside"
POLICY: Final = "restart policy"
"""Instances by which an incident came about, beside the software itself."""

SIMULATION: Final = "simulation"
"""The process of the line ``WITNESSED``."""
WITNESSED: Final = "witnessed"
"""The ``f`` of the line which says that the lines after it, by the nodes, tell what a simulation saw inside them:"""
FOLLOWED: Final = "followed"
REIGNED: Final = "reigned"
CONFIRMED: Final = "confirmed"
RAISED: Final = "raised"

COUNTED_REIGN: Final = "counted-"
"""The beginning of the keys of reigns that an observer counted by a node's answers, for want of a key of its own."""
NO_ELECTION: Final = "no-election"
"""The ``f`` of the line that says why a run ended before any fault, of a system that showed no election to judge."""

ALLOW_PRIVILEGED: Final = "--allow-privileged"
"""The option that allows faults which need more of the machine than others do."""

OLD_GUARANTEES: Final[Mapping[str, Guarantee]] = MappingProxyType(
    {
        "T": "term-safety",
        "X": "exclusivity",
        "F": "fencing",
        "A": "availability",
        "L": "convergence",
        "S": "stability",
    }
)
PART_OF_BEFORE: Final[Mapping[FaultClass, FaultClass]] = MappingProxyType(
    {"throttle": "pause", "server-throttle": "server-pause"}
)
"""Fault classes that were part of another one in 0.1: tables without a row for them mean the row of that one."""
_OLD_NODE_CLASSES: Final = ("C1", "C2", "C3", "C4", "C5a", "C5b", "C5c", "C6", "C7", "C8", "C9", "C10", "C11", "C12")
OLD_FAULT_CLASSES: Final[Mapping[str, FaultClass]] = MappingProxyType(
    dict(
        zip(
            (*_OLD_NODE_CLASSES, *(f"s{code}" for code in _OLD_NODE_CLASSES)),
            (each for each in FAULT_CLASSES if each not in PART_OF_BEFORE),
            strict=True,
        )
    )
)


def did_you_mean(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """A suggestion of known names that are near to a misspelt one, for the end of a message; empty if none is."""
    near = get_close_matches(name, list(known), n=most, cutoff=NEAR)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def of_servers(fault_class: FaultClass) -> FaultClass:
    """The same class of fault among the servers."""
    return f"{SERVER}{fault_class.removeprefix(SERVER)}"  # type: ignore[return-value]


def guarantee_of(stored: str) -> str:
    """The name of a guarantee that a stored run or an old file gives by name or by code."""
    return OLD_GUARANTEES.get(stored, stored)


def fault_class_of(stored: str) -> str:
    """The name of a fault class that a stored run or an old file gives by name or by code."""
    return OLD_FAULT_CLASSES.get(stored, stored)


def preset_named(given: object) -> Preset | None:
    """The preset of that name, whose words may stand apart too; None if there is none."""
    name = OLD_PRESETS.get(given, given.replace(" ", "-")) if isinstance(given, str) else None
    return next((known for known in PRESETS if name == known), None)


def promise_of(stored: str) -> str:
    """The word for a promise that a stored run gives by word or by mark."""
    return MARKS.get(stored, stored)
