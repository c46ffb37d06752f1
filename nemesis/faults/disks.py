"""Faults of disks: full, slow to flush, or failing to flush.

Most software exits on a full disk or a failed flush, which is why these count as crashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults.base import Capability, Fault, NodeFault, integer
from splitbrain.nemesis.partitions import Cut

if TYPE_CHECKING:
    from splitbrain.nemesis.state import State

SLOWEST_FSYNC_MS = 2_000
"""A process that waits for its disk handles no signal, and a pause allows a process five seconds to stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill(NodeFault):
    """The disk is full until the fault is healed; software that exited meanwhile is then restarted."""

    f: ClassVar[str] = "fill"
    capabilities: ClassVar[tuple[Capability, ...]] = ("full disk",)
    usual_class: ClassVar[FaultClass] = "crash"

    @property
    def effect(self) -> str:
        return "the disk is full"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        state.full |= frozenset(nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowFsync(NodeFault):
    """Each flush of a file to the disk (fsync and similar calls) takes ``ms`` longer."""

    f: ClassVar[str] = "slow-fsync"
    capabilities: ClassVar[tuple[Capability, ...]] = ("slow fsync",)
    usual_class: ClassVar[FaultClass] = "throttle"

    ms: int

    def _check(self) -> None:
        integer("ms", self.ms, at_least=0, at_most=SLOWEST_FSYNC_MS)

    @property
    def effect(self) -> str:
        return f"{self.ms} ms over each flush to the disk"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        for node in nodes:
            state.flush_ms[node] = state.flush_ms.get(node, 0) + self.ms


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingFsync(NodeFault):
    """Flushes to the disk fail (EIO) until the fault is healed; software that exited meanwhile is then restarted."""

    f: ClassVar[str] = "failing-fsync"
    capabilities: ClassVar[tuple[Capability, ...]] = ("failing fsync",)
    usual_class: ClassVar[FaultClass] = "crash"

    @property
    def effect(self) -> str:
        return "flushes to the disk fail"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        state.unflushed |= frozenset(nodes)


FAULTS: tuple[type[Fault], ...] = (Fill, SlowFsync, FailingFsync)
