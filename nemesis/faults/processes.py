"""Faults of processes and machines: killed, crashed, paused or slowed down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults.base import (
    STATES,
    Capability,
    Durable,
    Fault,
    NodeFault,
    ScheduleError,
    Undo,
    flap,
    integer,
    one_of,
    pattern,
)
from splitbrain.nemesis.partitions import Cut, links_of
from splitbrain.nemesis.targets import View

if TYPE_CHECKING:
    from splitbrain.nemesis.state import State

OF_STATE: Mapping[Durable, tuple[Capability, ...]] = {
    "kept": (),
    "lost": ("kill with state lost",),
    "torn": ("kill with state torn",),
    "old": ("kill with state old",),
}
STATE_WORDS: Mapping[Durable, str] = {
    "kept": "",
    "torn": ", what was not flushed lost",
    "lost": ", all state lost",
    "old": ", the disk as it was in the beginning",
}
FORGETTING: tuple[Durable, ...] = ("lost", "old")
"""States of a disk that lacks flushed data. A torn disk counts as a crash: unflushed data was never durable."""


def _down(state: State, nodes: tuple[str, ...]) -> None:
    state.down |= frozenset(nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill(NodeFault):
    """Processes are killed (SIGKILL) and restarted when the fault is healed.

    ``state`` is what their disks then hold: all that was written (``kept``), only what was flushed (``torn``), the
    content at the beginning of the schedule (``old``), or nothing (``lost``). ``files``, a shell pattern, limits the
    loss to files with a matching path within the node's folder. With ``after_effects`` a node dies at its next action,
    after that many effects of it; 0 is before the first. Flapping, it is a restart storm.

    ``process``, a shell pattern, limits the kill to processes with a matching name or command line. When healed, the
    whole node is restarted, as after any kill.
    """

    f: ClassVar[str] = "kill"
    capabilities: ClassVar[tuple[Capability, ...]] = (
        "kill",
        "kill with state lost",
        "kill with state torn",
        "kill with state old",
        "kill with files lost",
        "kill after some effects",
        "kill of one process",
    )
    usual_class: ClassVar[FaultClass] = "crash"
    undo: ClassVar[Undo] = "restart"
    aims_at_subjects: ClassVar[bool] = True

    state: Durable = "kept"
    after_effects: int | None = None
    flap_ms: int | None = None
    files: str | None = None
    process: str | None = None

    def _check(self) -> None:
        one_of("state", self.state, STATES)
        pattern(self.process)
        if self.process is not None and (self.state != "kept" or self.after_effects is not None):
            raise ScheduleError("process", "a pattern, with the state kept and no after_effects", repr(self.process))
        if self.files is not None and (self.state != "lost" or not self.files or self.after_effects is not None):
            raise ScheduleError("files", "a pattern, with the state lost and no after_effects", repr(self.files))
        if self.after_effects is not None:
            integer("after_effects", self.after_effects, at_least=0, of="effects")
        flap(self.flap_ms)

    @property
    def fault_class(self) -> FaultClass:
        if self.state in FORGETTING:
            return "state-loss"
        return self.usual_class if self.flap_ms is None else "restart-storm"

    @property
    def effect(self) -> str:
        if self.process is not None:
            return f"processes like {self.process} killed"
        late = "" if self.after_effects is None else f" {self.after_effects} effects on"
        lost = STATE_WORDS[self.state] if self.files is None else f", files like {self.files} lost"
        return f"killed{late}{lost}"

    def required(self) -> tuple[Capability, ...]:
        if self.process is not None:
            return ("kill of one process",)
        if self.files is not None:
            return ("kill", "kill with files lost")
        late = () if self.after_effects is None else ("kill after some effects",)
        return ("kill", *OF_STATE[self.state], *late)

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        if self.process is None:
            _down(state, nodes)
        else:
            state.partly_down |= {(node, self.process) for node in nodes}

    @property
    def turn_ms(self) -> int | None:
        return self.flap_ms

    @property
    def needs_disk_copy(self) -> bool:
        return self.state == "old"

    def milder(self) -> Iterator[Fault]:
        states: tuple[Durable, ...] = ("kept", "lost")
        yield from (replace(self, after_effects=None, state=state) for state in states)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crash(NodeFault):
    """Machines lose their network and then all their processes, so that no peer sees a connection close.

    When healed, each returns at the same address and its node restarts from the disk that ``state`` describes.
    """

    f: ClassVar[str] = "crash"
    capabilities: ClassVar[tuple[Capability, ...]] = (
        "crash",
        "kill with state lost",
        "kill with state torn",
        "kill with state old",
    )
    usual_class: ClassVar[FaultClass] = "crash"
    undo: ClassVar[Undo] = "restart"

    state: Durable = "kept"

    def _check(self) -> None:
        one_of("state", self.state, STATES)

    @property
    def fault_class(self) -> FaultClass:
        return "state-loss" if self.state in FORGETTING else self.usual_class

    @property
    def effect(self) -> str:
        return f"the whole machine crashed{STATE_WORDS[self.state]}"

    def required(self) -> tuple[Capability, ...]:
        return ("crash", *OF_STATE[self.state])

    def links_of(self, nodes: tuple[str, ...], view: View) -> Cut:
        return links_of(nodes, view.machines)

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        _down(state, nodes)
        state.sever(links, "drop")

    @property
    def needs_disk_copy(self) -> bool:
        return self.state == "old"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop(NodeFault):
    """Processes are asked to exit (SIGTERM); they are restarted when the fault is healed."""

    f: ClassVar[str] = "stop"
    capabilities: ClassVar[tuple[Capability, ...]] = ("stop",)
    usual_class: ClassVar[FaultClass] = "crash"
    undo: ClassVar[Undo] = "restart"

    @property
    def effect(self) -> str:
        return "asked to end"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        _down(state, nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Oom(NodeFault):
    """Nodes run out of memory and the kernel's OOM killer ends them; they are restarted when the fault is healed."""

    f: ClassVar[str] = "oom"
    capabilities: ClassVar[tuple[Capability, ...]] = ("oom",)
    usual_class: ClassVar[FaultClass] = "crash"
    undo: ClassVar[Undo] = "restart"

    @property
    def effect(self) -> str:
        return "out of memory"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        _down(state, nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause(NodeFault):
    """Processes are stopped (SIGSTOP) until the fault is healed.

    ``process`` limits it to matching processes, as in ``Kill``; a process that starts later is not stopped.
    """

    f: ClassVar[str] = "pause"
    capabilities: ClassVar[tuple[Capability, ...]] = ("pause", "pause of one process")
    usual_class: ClassVar[FaultClass] = "pause"
    undo: ClassVar[Undo] = "resume"
    aims_at_subjects: ClassVar[bool] = True

    flap_ms: int | None = None
    process: str | None = None

    def _check(self) -> None:
        pattern(self.process)
        flap(self.flap_ms)

    @property
    def effect(self) -> str:
        return "paused" if self.process is None else f"processes like {self.process} paused"

    def required(self) -> tuple[Capability, ...]:
        return ("pause",) if self.process is None else ("pause of one process",)

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        if self.process is None:
            state.paused |= frozenset(nodes)
        else:
            state.partly_paused |= {(node, self.process) for node in nodes}

    @property
    def turn_ms(self) -> int | None:
        return self.flap_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze(NodeFault):
    """The kernel schedules no process of the node until the fault is healed (the freezer of its control group).

    To peers it is a pause; unlike a pause it sends no signal, so no process can miss one.
    """

    f: ClassVar[str] = "freeze"
    capabilities: ClassVar[tuple[Capability, ...]] = ("freeze",)
    usual_class: ClassVar[FaultClass] = "pause"
    undo: ClassVar[Undo] = "resume"

    flap_ms: int | None = None

    def _check(self) -> None:
        flap(self.flap_ms)

    @property
    def effect(self) -> str:
        return "frozen"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        state.frozen |= frozenset(nodes)

    @property
    def turn_ms(self) -> int | None:
        return self.flap_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Slow(NodeFault):
    """The node takes ``ms`` over each event that it handles."""

    f: ClassVar[str] = "slow"
    capabilities: ClassVar[tuple[Capability, ...]] = ("slow",)
    usual_class: ClassVar[FaultClass] = "throttle"

    ms: int

    def _check(self) -> None:
        integer("ms", self.ms, at_least=0)

    @property
    def effect(self) -> str:
        return f"{self.ms} ms over everything"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        for node in nodes:
            state.slow_ms[node] = state.slow_ms.get(node, 0) + self.ms


@dataclass(frozen=True, kw_only=True, slots=True)
class Throttle(NodeFault):
    """The node lacks ``per_mille`` thousandths of one processor and works with the rest."""

    f: ClassVar[str] = "throttle"
    capabilities: ClassVar[tuple[Capability, ...]] = ("throttle",)
    usual_class: ClassVar[FaultClass] = "throttle"

    per_mille: int

    def _check(self) -> None:
        integer("per_mille", self.per_mille, at_least=0, at_most=999, of="thousandths")

    @property
    def effect(self) -> str:
        return f"{1_000 - self.per_mille} ms of processor a second"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        for node in nodes:
            state.per_mille[node] = max(state.per_mille.get(node, 0), self.per_mille)


FAULTS: tuple[type[Fault], ...] = (Kill, Crash, Stop, Oom, Pause, Freeze, Slow, Throttle)
