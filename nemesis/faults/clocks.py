"""Faults of clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults.base import Capability, Fault, NodeFault, flap, integer, one_of
from splitbrain.nemesis.partitions import Cut

if TYPE_CHECKING:
    from splitbrain.nemesis.state import State

ClockName = Literal["wall", "monotonic"]
CLOCKS: tuple[ClockName, ...] = get_args(ClockName)
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Skew(NodeFault):
    """A clock of the node jumps by ``offset_ms`` and then gains ``rate_ppm`` millionths.

    When healed, a wall clock is right again. A monotonic clock never goes back: it cannot jump back, and keeps what it
    has gained. One that jumps counts as ``clock-rate``, since timers expire too early.
    """

    f: ClassVar[str] = "skew"
    capabilities: ClassVar[tuple[Capability, ...]] = ("skew of the wall clock", "skew of the monotonic clock")
    usual_class: ClassVar[FaultClass] = "clock-jump"

    clock: ClockName = "wall"
    offset_ms: int = 0
    rate_ppm: int = 0
    flap_ms: int | None = None

    def _check(self) -> None:
        one_of("clock", self.clock, CLOCKS)
        integer("offset_ms", self.offset_ms, at_least=0 if self.clock == "monotonic" else -(10**12))
        integer("rate_ppm", self.rate_ppm, at_least=-MILLION + 1, of="millionths")
        flap(self.flap_ms)

    @property
    def fault_class(self) -> FaultClass:
        if self.clock == "monotonic" or self.rate_ppm:
            return "clock-rate"
        return self.usual_class if self.flap_ms is None else "clock-strobe"

    @property
    def effect(self) -> str:
        jump = [f"{self.offset_ms:+d} ms"] if self.offset_ms or not self.rate_ppm else []
        rate = [f"{self.rate_ppm:+d} ppm"] if self.rate_ppm else []
        return f"{self.clock} clock {', '.join(jump + rate)}"

    def required(self) -> tuple[Capability, ...]:
        return (f"skew of the {self.clock} clock",)

    @property
    def turn_ms(self) -> int | None:
        return self.flap_ms

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        for node in nodes:
            state.skew(node, self.clock, self.offset_ms, self.rate_ppm)


FAULTS: tuple[type[Fault], ...] = (Skew,)
