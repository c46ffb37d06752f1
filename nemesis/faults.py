"""What may go wrong, as values: a closed union of faults, each aimed at a role.

A fault says what is to be hurt in terms of roles, and is all that a schedule holds; ``nemesis.plans`` aims it at the
moment it strikes, ``nemesis.codec`` writes it down. Nothing here acts. Numbers are small and whole, and nought is
calm, so that a search which makes them smaller makes the world kinder.

``Fault`` is matched with ``match`` wherever it is taken apart: a new kind of fault is a new dataclass in that
union, its required, and an arm in ``nemesis.plans.plan``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar, Literal, get_args

from splitbrain.nemesis.shapes import SHAPES
from splitbrain.nemesis.targets import ROLES, Role

Durable = Literal["kept", "lost", "torn", "old"]
STATES: tuple[Durable, ...] = get_args(Durable)
ClockName = Literal["wall", "monotonic"]
CLOCKS: tuple[ClockName, ...] = get_args(ClockName)
How = Literal["drop", "reject", "payload"]
HOWS: tuple[How, ...] = get_args(How)
Way = Literal["both", "in", "out"]
WAYS: tuple[Way, ...] = get_args(Way)
MILLION = 1_000_000
SLOWEST_FSYNC_MS = 2_000
"""A process that waits for its disk obeys no signal, and one that is to be paused is given five seconds."""

Capability = Literal[
    "partition",
    "partition that refuses",
    "partition of payload",
    "kill",
    "kill with state lost",
    "kill with state torn",
    "kill with state old",
    "kill with files lost",
    "kill after some effects",
    "kill of one process",
    "crash",
    "stop",
    "oom",
    "full disk",
    "slow fsync",
    "failing fsync",
    "pause",
    "pause of one process",
    "freeze",
    "loss",
    "loss in bursts",
    "delay",
    "reorder",
    "duplicate",
    "corrupt",
    "bandwidth",
    "skew of the wall clock",
    "skew of the monotonic clock",
    "slow",
    "throttle",
]
CAPABILITY_NAMES: tuple[Capability, ...] = get_args(Capability)
"""What carrying out a fault may take; not every runtime has every one."""


class ScheduleError(ValueError):
    """A fault or schedule that cannot be: where (such as ``steps[3].for_ms``), what is wanted, what came."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(where, expected, got)
        self.where = where
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


def whole(where: str, value: object, *, at_least: int, at_most: int | None = None, of: str = "ms") -> int:
    """``value`` if it is a whole number of that unit within bounds, else a ``ScheduleError``."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    if not fits or (at_most is not None and isinstance(value, int) and value > at_most):
        bounds = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        raise ScheduleError(where, f"a whole number of {of}, {bounds}", repr(value))
    assert isinstance(value, int)
    return value


def known(where: str, value: object, names: Collection[str]) -> None:
    """A ``ScheduleError`` unless ``value`` is one of the names."""
    if not isinstance(value, str) or value not in names:
        near = get_close_matches(value, list(names), n=1) if isinstance(value, str) else []
        hint = f" (perhaps {near[0]}?)" if near else ""
        raise ScheduleError(where, f"one of {', '.join(names)}{hint}", repr(value))


def _flap(flap_ms: int | None) -> None:
    if flap_ms is not None:
        whole("flap_ms", flap_ms, at_least=1)


def _pattern(process: object) -> None:
    if process is not None and (not isinstance(process, str) or not process):
        raise ScheduleError("process", "a pattern of names or command lines of processes", repr(process))


# With ``flap_ms`` a fault strikes and is undone by turns, each turn that long, beginning with the blow; without, it
# stays until its window is over.


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Links carry nothing, in the shape of that name (a key of ``SHAPES``).

    ``how`` is what becomes of the packets: they vanish (``drop``), they are answered by a refusal that the sender
    notices at once (``reject``), or only those of TCP that carry nothing pass (``payload``). Acknowledgements do, so
    that a one-way cut is one also for software that speaks TCP.

    The shape ``flapping`` flaps in any case, every ``DEFAULT_FLAP_MS`` if not told.
    """

    f: ClassVar[str] = "partition"
    shape: str
    flap_ms: int | None = None
    how: How = "drop"

    def __post_init__(self) -> None:
        known("shape", self.shape, SHAPES)
        known("how", self.how, HOWS)
        _flap(self.flap_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """Processes end without a word (SIGKILL) and are started again when the fault is healed.

    ``state`` is what their disks then hold: all that was written (``kept``), what was also flushed (``torn``), what
    they held when the schedule began (``old``), nothing (``lost``). With ``files``, a pattern of the shell's, only
    those are lost whose path within the node's folder it matches. With ``after_effects`` a node dies only when it next
    acts, having carried out so many of its effects: 0 is before the first. Flapping, it is a storm of restarts.

    With ``process``, a pattern of the shell's, only those processes of a node end whose name or command line it
    matches; the rest works on. Healed, the node is started again as a whole, as after any kill.
    """

    f: ClassVar[str] = "kill"
    target: Role
    state: Durable = "kept"
    after_effects: int | None = None
    flap_ms: int | None = None
    files: str | None = None
    process: str | None = None

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        known("state", self.state, STATES)
        _pattern(self.process)
        if self.process is not None and (self.state != "kept" or self.after_effects is not None):
            raise ScheduleError("process", "a pattern, with the state kept and no after_effects", repr(self.process))
        if self.files is not None and (self.state != "lost" or not self.files or self.after_effects is not None):
            raise ScheduleError("files", "a pattern, with the state lost and no after_effects", repr(self.files))
        if self.after_effects is not None:
            whole("after_effects", self.after_effects, at_least=0, of="effects")
        _flap(self.flap_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash:
    """Whole machines fall silent, and then all that runs on them ends: nobody hears them go.

    Healed, each is back at the same address, its node started again with what ``state`` says that its disk holds.
    """

    f: ClassVar[str] = "crash"
    target: Role
    state: Durable = "kept"

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        known("state", self.state, STATES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Processes are asked to end (SIGTERM) and do so in their own way; started again when the fault is healed."""

    f: ClassVar[str] = "stop"
    target: Role

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Oom:
    """Nodes run out of memory, and the kernel ends them (its OOM killer); started again when the fault is healed."""

    f: ClassVar[str] = "oom"
    target: Role

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """Disks are full: no more can be written to them until the fault is healed. What has ended of it starts again."""

    f: ClassVar[str] = "fill"
    target: Role

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowFsync:
    """Each flush of a file to the disk (fsync and its like) takes ``ms`` longer."""

    f: ClassVar[str] = "slow-fsync"
    target: Role
    ms: int

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        whole("ms", self.ms, at_least=0, at_most=SLOWEST_FSYNC_MS)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingFsync:
    """Flushes of files to the disk fail (EIO) until the fault is healed. What has ended of it starts again."""

    f: ClassVar[str] = "failing-fsync"
    target: Role

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Processes stop where they stand (SIGSTOP), and go on when the fault is healed.

    With ``process`` only those stop that it matches, as in ``Kill``; a process that starts later does not.
    """

    f: ClassVar[str] = "pause"
    target: Role
    flap_ms: int | None = None
    process: str | None = None

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        _pattern(self.process)
        _flap(self.flap_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """The same as a pause by other means: the kernel runs nothing of the target's until the fault is healed.

    No process sees a signal, and none can be missed (the freezer of its control group).
    """

    f: ClassVar[str] = "freeze"
    target: Role
    flap_ms: int | None = None

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        _flap(self.flap_ms)


# The faults of links below are of packets from and to the target, or of one ``way`` only: ``in`` to it, ``out`` of it.


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """So many packets in a hundred vanish.

    Each by its own dice; or with ``burst`` in runs of about so many on one link, after E. N. Gilbert, "Capacity of a
    Burst-Noise Channel" (1960): a link is good or bad, and of a bad one nothing arrives.
    """

    f: ClassVar[str] = "loss"
    percent: int
    target: Role = "all"
    way: Way = "both"
    burst: int = 0

    def __post_init__(self) -> None:
        whole("percent", self.percent, at_least=0, at_most=100, of="percent")
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)
        whole("burst", self.burst, at_least=0, of="packets")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """Packets take ``ms`` longer, and up to ``jitter_ms`` on top: some overtake others."""

    f: ClassVar[str] = "delay"
    ms: int
    jitter_ms: int = 0
    target: Role = "all"
    way: Way = "both"

    def __post_init__(self) -> None:
        whole("ms", self.ms, at_least=0)
        whole("jitter_ms", self.jitter_ms, at_least=0)
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reorder:
    """So many packets in a hundred are held back for ``ms``, and those that follow within that time overtake them."""

    f: ClassVar[str] = "reorder"
    percent: int
    ms: int
    target: Role = "all"
    way: Way = "both"

    def __post_init__(self) -> None:
        whole("percent", self.percent, at_least=0, at_most=100, of="percent")
        whole("ms", self.ms, at_least=0)
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate:
    """So many packets in a hundred arrive twice."""

    f: ClassVar[str] = "duplicate"
    percent: int
    target: Role = "all"
    way: Way = "both"

    def __post_init__(self) -> None:
        whole("percent", self.percent, at_least=0, at_most=100, of="percent")
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrupt:
    """In so many packets in a hundred one bit is wrong.

    Their checksum no longer fits, so the receiving kernel throws them away: a loss, but one that it counts.
    """

    f: ClassVar[str] = "corrupt"
    percent: int
    target: Role = "all"
    way: Way = "both"

    def __post_init__(self) -> None:
        whole("percent", self.percent, at_least=0, at_most=100, of="percent")
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth:
    """Links are narrow: each takes ``ms_per_kb`` over every 1,000 bytes, so that packets queue.

    One that would have to wait for longer than ``nemesis.plans.LONGEST_QUEUE_MS`` is lost.
    """

    f: ClassVar[str] = "bandwidth"
    ms_per_kb: int
    target: Role = "all"
    way: Way = "both"

    def __post_init__(self) -> None:
        whole("ms_per_kb", self.ms_per_kb, at_least=0, of="ms per 1,000 bytes")
        known("target", self.target, ROLES)
        known("way", self.way, WAYS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Skew:
    """The target's clock jumps by ``offset_ms`` and then gains ``rate_ppm`` millionths.

    Healed, a wall clock shows the right time again. A monotonic clock never goes back: it cannot jump back, and
    keeps what it has gained.
    """

    f: ClassVar[str] = "skew"
    target: Role
    clock: ClockName = "wall"
    offset_ms: int = 0
    rate_ppm: int = 0
    flap_ms: int | None = None

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        known("clock", self.clock, CLOCKS)
        whole("offset_ms", self.offset_ms, at_least=0 if self.clock == "monotonic" else -(10**12))
        whole("rate_ppm", self.rate_ppm, at_least=-MILLION + 1, of="millionths")
        _flap(self.flap_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Slow:
    """The target takes ``ms`` over everything that comes in."""

    f: ClassVar[str] = "slow"
    target: Role
    ms: int

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        whole("ms", self.ms, at_least=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Throttle:
    """Of each second of one processor so many thousandths are taken from the target; it works on in what is left."""

    f: ClassVar[str] = "throttle"
    target: Role
    per_mille: int

    def __post_init__(self) -> None:
        known("target", self.target, ROLES)
        whole("per_mille", self.per_mille, at_least=0, at_most=999, of="thousandths")


OfDisks = Fill | SlowFsync | FailingFsync
OfLinks = Loss | Delay | Reorder | Duplicate | Corrupt | Bandwidth
Fault = Partition | Kill | Crash | Stop | Oom | OfDisks | Pause | Freeze | OfLinks | Skew | Slow | Throttle
FAULTS: tuple[type[Fault], ...] = get_args(Fault)


OF_HOW: Mapping[How, tuple[Capability, ...]] = {
    "drop": (),
    "reject": ("partition that refuses",),
    "payload": ("partition of payload",),
}
OF_STATE: Mapping[Durable, tuple[Capability, ...]] = {
    "kept": (),
    "lost": ("kill with state lost",),
    "torn": ("kill with state torn",),
    "old": ("kill with state old",),
}


def required(fault: Fault) -> tuple[Capability, ...]:
    """All that a runtime must be able to do to carry the fault out."""
    match fault:
        case Partition(how=how):
            return ("partition", *OF_HOW[how])
        case Kill(process=str()):
            return ("kill of one process",)
        case Kill(files=str()):
            return ("kill", "kill with files lost")
        case Kill(state=state, after_effects=after_effects):
            late: tuple[Capability, ...] = () if after_effects is None else ("kill after some effects",)
            return ("kill", *OF_STATE[state], *late)
        case Crash(state=state):
            return ("crash", *OF_STATE[state])
        case Stop():
            return ("stop",)
        case Oom():
            return ("oom",)
        case Fill():
            return ("full disk",)
        case SlowFsync():
            return ("slow fsync",)
        case FailingFsync():
            return ("failing fsync",)
        case Pause(process=str()):
            return ("pause of one process",)
        case Pause():
            return ("pause",)
        case Freeze():
            return ("freeze",)
        case Loss(burst=burst):
            return ("loss in bursts",) if burst else ("loss",)
        case Delay():
            return ("delay",)
        case Reorder():
            return ("reorder",)
        case Duplicate():
            return ("duplicate",)
        case Corrupt():
            return ("corrupt",)
        case Bandwidth():
            return ("bandwidth",)
        case Skew(clock="wall"):
            return ("skew of the wall clock",)
        case Skew():
            return ("skew of the monotonic clock",)
        case Slow():
            return ("slow",)
        case Throttle():
            return ("throttle",)


def target_of(fault: Fault) -> Role | None:
    """The role that it is aimed at; None for a partition, whose shape says it."""
    return None if isinstance(fault, Partition) else fault.target


def kind(fault: Fault) -> str:
    """A name for faults that are alike: the shape of a partition, else such as ``kill-leader``."""
    return fault.shape if isinstance(fault, Partition) else f"{fault.f}-{fault.target}"
