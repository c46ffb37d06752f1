"""Faults of links: cut, lossy, slow or narrow.

All but a partition apply to the packets from and to the nodes of a role, or in one ``way`` only: ``in`` to these
nodes or ``out`` of them.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults.base import (
    NODES_HINT,
    Aim,
    Capability,
    Fault,
    RoleFault,
    ScheduleError,
    check_target,
    enough,
    explicit,
    flap,
    integer,
    known,
    label,
    one_of,
)
from splitbrain.nemesis.partitions import HOWS, WAYS, Cut, How, Way, describe, links_of
from splitbrain.nemesis.shapes import SHAPES, class_of, draw_explicit, ends_of, with_servers
from splitbrain.nemesis.targets import Explicit, Groups, Links, Named, NoTarget, OfRole, Role, View

if TYPE_CHECKING:
    from splitbrain.nemesis.state import Flaws, State

DEFAULT_FLAP_MS = 300
OF_HOW: Mapping[How, tuple[Capability, ...]] = {
    "drop": (),
    "reject": ("partition that refuses",),
    "payload": ("partition of payload",),
}
HOW_WORDS: Mapping[How, str] = {
    "drop": "",
    "reject": ", and packets are refused",
    "payload": ", but for bare acknowledgements of TCP",
}
OF_A_PORT: FaultClass = "partial-partition"
WAY_WORDS: Mapping[Way, str] = {"both": "", "in": ", on their way to it", "out": ", on their way from it"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition(Fault):
    """The links of a shape (a key of ``SHAPES``) carry nothing.

    Instead of a shape, links can be given as such, as all those between groups, or as those between the nodes that are
    named, or fill a role, and all others.

    ``how`` is what becomes of packets: they vanish (``drop``), the sender receives a refusal at once (``reject``), or
    only TCP segments without data pass (``payload``). Since acknowledgements pass, a one-way ``payload`` cut stays
    one-way for software that speaks TCP.

    The shape ``flapping`` always flaps, every ``DEFAULT_FLAP_MS`` unless ``flap_ms`` says otherwise.

    With ``port`` only packets from or to that port are cut, TCP and UDP. Since others pass, such a cut counts as a
    partial partition, whatever its links.
    """

    f: ClassVar[str] = "partition"
    capabilities: ClassVar[tuple[Capability, ...]] = (
        "partition",
        "partition that refuses",
        "partition of payload",
        "partition of one port",
    )
    usual_class: ClassVar[FaultClass] = "partition"
    about: ClassVar[Literal["nodes", "links"]] = "links"
    aimed_by: ClassVar[Literal["target", "shape"]] = "shape"
    explicit: ClassVar[tuple[type[Explicit], ...]] = (OfRole, Named, Groups, Links)

    shape: str | Explicit
    flap_ms: int | None = None
    how: How = "drop"
    port: int | None = None

    def _check(self) -> None:
        if self.port is not None:
            integer("port", self.port, at_least=1, at_most=65_535, of="a port")
        if isinstance(self.shape, Explicit):
            explicit(self.shape)
        else:
            one_of("shape", self.shape, SHAPES, _groups_hint(self.shape))
        one_of("how", self.how, HOWS)
        flap(self.flap_ms)

    @property
    def fault_class(self) -> FaultClass:
        if self.port is not None:
            return OF_A_PORT
        return SHAPES[self.shape].fault_class if isinstance(self.shape, str) else self.usual_class

    @property
    def effect(self) -> str:
        port = "" if self.port is None else f", port {self.port} only"
        return f"{port}{HOW_WORDS[self.how]}"

    @property
    def kind(self) -> str:
        port = "" if self.port is None else f"-port-{self.port}"
        match self.shape:
            case str(name):
                return f"{name}{port}"
            case OfRole() | Named():
                return f"isolated-{label(self.shape)}{port}"
            case Groups() | Links():
                return f"{label(self.shape)}{port}"

    @property
    def role(self) -> Role | None:
        return self.shape.role if isinstance(self.shape, OfRole) else None

    def check_on(self, nodes: Sequence[str], others: Sequence[str]) -> None:
        match self.shape:
            case str(name):
                if len(nodes) < (needed := SHAPES[name].min_nodes):
                    raise ScheduleError("shape", f"at least {needed} machines for {name}", str(len(nodes)))
            case OfRole(role):
                enough(role, nodes)
            case Named(names):
                known("nodes", names, nodes)
            case Groups(groups):
                known("groups", [name for group in groups for name in group], (*nodes, *others))
            case Links(links):
                known("links", ends_of(links), (*nodes, *others))

    @property
    def turn_ms(self) -> int | None:
        return DEFAULT_FLAP_MS if self.flap_ms is None and self.shape == "flapping" else self.flap_ms

    def required(self) -> tuple[Capability, ...]:
        return ("partition", *OF_HOW[self.how], *(() if self.port is None else ("partition of one port",)))

    def figures(self) -> dict[str, Any]:
        how = {} if self.how == "drop" else {"how": self.how}
        return how if self.port is None else {**how, "port": self.port}

    def aim(self, view: View, rng: Random) -> Aim | NoTarget:
        if isinstance(self.shape, Explicit):
            drawn = draw_explicit(self.shape, view, rng)
        else:
            drawn = SHAPES[self.shape].draw(view, rng)
        if isinstance(drawn, NoTarget):
            return drawn
        as_given = view.group != "nodes" or isinstance(self.shape, Groups | Links)
        cut = drawn.cut if as_given else with_servers(drawn.cut, drawn.nodes, view, rng)
        return Aim(drawn.nodes, cut, f"{drawn.words}{self.effect}")

    def class_of(self, links: Cut, view: View) -> FaultClass:
        """The class of the cut among the view's nodes: on few nodes shapes coincide, and leaders change."""
        if self.port is not None:
            return OF_A_PORT
        among = frozenset(link for link in links if not set(link).intersection(view.others))
        return class_of(view.nodes, among, view.leader)

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        if self.port is None:
            state.sever(links, self.how)
        else:
            state.sever_port(links, self.port, self.how)


def _groups_hint(shape: object) -> str:
    """How groups are written, for a text like ``n1,n2|n3``."""
    if not isinstance(shape, str) or "|" not in shape:
        return NODES_HINT
    groups = [re.findall(r"[\w.-]+", group) for group in shape.split("|")]
    return f'; groups are written "groups": {json.dumps(groups)}'


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkFault(RoleFault):
    """A fault of the links from and to the nodes of a role, or of the links that are given."""

    if TYPE_CHECKING:  # as ``target``: each class has it in the place at which schedules write it
        way: Way

    about: ClassVar[Literal["nodes", "links"]] = "links"
    explicit: ClassVar[tuple[type[Explicit], ...]] = (Named, Links)

    def __post_init__(self) -> None:
        self._check()
        check_target(self.target)
        one_of("way", self.way, WAYS)
        if isinstance(self.target, Links) and self.way != "both":
            raise ScheduleError("way", "no way beside links, which have a direction", repr(self.way))

    def aim(self, view: View, rng: Random) -> Aim | NoTarget:
        if not isinstance(self.target, Links):
            return super(LinkFault, self).aim(view, rng)  # a dataclass with slots is another class than this cell's
        links, ends = frozenset(self.target.links), ends_of(self.target.links)
        return Aim(ends, links, f"{describe(ends, links).removeprefix('cut ')}: {self.effect}")

    def links_of(self, nodes: tuple[str, ...], view: View) -> Cut:
        return links_of(nodes, view.machines, self.way)


@dataclass(frozen=True, kw_only=True, slots=True)
class PacketFault(LinkFault):
    """A fault of the packets on links."""

    usual_class: ClassVar[FaultClass] = "loss"

    @property
    def aimed_effect(self) -> str:
        return f"{self.effect}{WAY_WORDS[self.way]}"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        for link in links:
            state.flaws[link] = self.added_to(state.flaws_of(link))

    @abstractmethod
    def added_to(self, flaws: Flaws) -> Flaws:
        """The flaws of a link that has those flaws and this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss(PacketFault):
    """A percentage of packets is lost.

    Each packet independently; or with ``burst`` in runs of about that many packets on one link, after E. N. Gilbert,
    "Capacity of a Burst-Noise Channel" (1960): a link is good or bad, and loses every packet while it is bad.
    """

    f: ClassVar[str] = "loss"
    capabilities: ClassVar[tuple[Capability, ...]] = ("loss", "loss in bursts")

    percent: int
    target: Role | Named | Links = "all"
    way: Way = "both"
    burst: int = 0

    def _check(self) -> None:
        integer("percent", self.percent, at_least=0, at_most=100, of="percent")
        integer("burst", self.burst, at_least=0, of="packets")

    @property
    def effect(self) -> str:
        runs = f" in runs of {self.burst}" if self.burst else ""
        return f"{self.percent} % of packets lost{runs}"

    def required(self) -> tuple[Capability, ...]:
        return ("loss in bursts",) if self.burst else ("loss",)

    def figures(self) -> dict[str, Any]:
        return {"percent": self.percent, **({"burst": self.burst} if self.burst else {})}

    def added_to(self, flaws: Flaws) -> Flaws:
        if self.burst:
            return replace(flaws, bursts=tuple(sorted((*flaws.bursts, (self.percent / 100, self.burst)))))
        return replace(flaws, loss=_either(flaws.loss, self.percent))


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay(PacketFault):
    """Packets take ``ms`` longer, and up to ``jitter_ms`` more, so that some overtake others."""

    f: ClassVar[str] = "delay"
    capabilities: ClassVar[tuple[Capability, ...]] = ("delay",)

    ms: int
    jitter_ms: int = 0
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        integer("ms", self.ms, at_least=0)
        integer("jitter_ms", self.jitter_ms, at_least=0)

    @property
    def effect(self) -> str:
        return (
            f"packets {self.ms} to {self.ms + self.jitter_ms} ms late"
            if self.jitter_ms
            else f"packets {self.ms} ms late"
        )

    def added_to(self, flaws: Flaws) -> Flaws:
        return replace(flaws, ms=flaws.ms + self.ms, jitter_ms=flaws.jitter_ms + self.jitter_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reorder(PacketFault):
    """A percentage of packets is held back for ``ms``, and packets sent within that time overtake them."""

    f: ClassVar[str] = "reorder"
    capabilities: ClassVar[tuple[Capability, ...]] = ("reorder",)

    percent: int
    ms: int
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        integer("percent", self.percent, at_least=0, at_most=100, of="percent")
        integer("ms", self.ms, at_least=0)

    @property
    def effect(self) -> str:
        return f"{self.percent} % of packets held back for {self.ms} ms"

    def added_to(self, flaws: Flaws) -> Flaws:
        return replace(flaws, hold=_either(flaws.hold, self.percent), hold_ms=max(flaws.hold_ms, self.ms))


@dataclass(frozen=True, kw_only=True, slots=True)
class Duplicate(PacketFault):
    """A percentage of packets arrives twice."""

    f: ClassVar[str] = "duplicate"
    capabilities: ClassVar[tuple[Capability, ...]] = ("duplicate",)

    percent: int
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        integer("percent", self.percent, at_least=0, at_most=100, of="percent")

    @property
    def effect(self) -> str:
        return f"{self.percent} % of packets duplicated"

    def added_to(self, flaws: Flaws) -> Flaws:
        return replace(flaws, duplication=_either(flaws.duplication, self.percent))


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrupt(PacketFault):
    """One bit is flipped in a percentage of packets.

    Their checksum no longer matches, so the receiving kernel discards them: a loss, but one that the kernel counts.
    """

    f: ClassVar[str] = "corrupt"
    capabilities: ClassVar[tuple[Capability, ...]] = ("corrupt",)

    percent: int
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        integer("percent", self.percent, at_least=0, at_most=100, of="percent")

    @property
    def effect(self) -> str:
        return f"{self.percent} % of packets corrupted"

    def added_to(self, flaws: Flaws) -> Flaws:
        return replace(flaws, corruption=_either(flaws.corruption, self.percent))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandwidth(PacketFault):
    """A link takes ``ms_per_kb`` over every 1,000 bytes, so that packets queue.

    A packet that would have to wait for longer than ``nemesis.state.LONGEST_QUEUE_MS`` is lost.
    """

    f: ClassVar[str] = "bandwidth"
    capabilities: ClassVar[tuple[Capability, ...]] = ("bandwidth",)

    ms_per_kb: int
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        integer("ms_per_kb", self.ms_per_kb, at_least=0, of="ms per 1,000 bytes")

    @property
    def effect(self) -> str:
        return f"{self.ms_per_kb} ms over 1,000 bytes"

    def added_to(self, flaws: Flaws) -> Flaws:
        return replace(flaws, ms_per_kb=max(flaws.ms_per_kb, self.ms_per_kb))


def _either(chance: float, percent: int) -> float:
    """The chance of at least one of two independent events."""
    return 1.0 - (1.0 - chance) * (1.0 - percent / 100)


FAULTS: tuple[type[Fault], ...] = (Partition, Loss, Delay, Reorder, Duplicate, Corrupt, Bandwidth)
