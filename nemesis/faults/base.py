"""What each class of fault states about itself, and the checks that all classes share.

A fault is a value in a schedule. It names a role, not a node; ``nemesis.plans`` aims it at the moment of injection,
``nemesis.codec`` writes it as JSON, and a runtime carries it out. Nothing here acts. Numbers are small integers, and
zero has no effect, so that a search which makes numbers smaller makes the fault milder.

A new class of fault is a dataclass in one of the modules of this package, listed in that module's ``FAULTS``, and one
handler in ``handlers.py`` of each runtime that can carry it out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from splitbrain.names import FaultClass, did_you_mean
from splitbrain.nemesis.partitions import NOTHING, Cut
from splitbrain.nemesis.targets import (
    NEEDS_NODES,
    ROLES,
    Explicit,
    Groups,
    Links,
    Named,
    NoTarget,
    OfRole,
    Role,
    View,
    resolve,
)

if TYPE_CHECKING:
    from splitbrain.nemesis.state import State

Capability = str
"""Something that a runtime must support to carry out a fault, such as ``kill with state lost``."""
Undo = Literal["heal", "restart", "resume"]
Durable = Literal["kept", "lost", "torn", "old"]
STATES: tuple[Durable, ...] = get_args(Durable)
AIMING = ("target", "way", "shape", "flap_ms")
"""Fields that say where and when a fault applies. All others are its figures."""
NODES_HINT = '; nodes by name are written "nodes": ["n3"]'


class ScheduleError(ValueError):
    """An invalid fault or schedule: the place (such as ``steps[3].for_ms``), what was expected and what was given."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(where, expected, got)
        self.where = where
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


def integer(where: str, value: object, *, at_least: int, at_most: int | None = None, of: str = "ms") -> int:
    """Return ``value`` if it is an integer within bounds, else raise ``ScheduleError``; ``of`` names its unit."""
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
    if not fits or (at_most is not None and isinstance(value, int) and value > at_most):
        bounds = f"at least {at_least}" if at_most is None else f"{at_least} to {at_most}"
        raise ScheduleError(where, f"a whole number of {of}, {bounds}", repr(value))
    assert isinstance(value, int)
    return value


def one_of(where: str, value: object, names: Collection[str], otherwise: str = "") -> None:
    """Raise ``ScheduleError`` unless ``value`` is one of the names; ``otherwise`` is said where none is similar."""
    if not isinstance(value, str) or value not in names:
        hint = did_you_mean(value, names) or otherwise if isinstance(value, str) else ""
        raise ScheduleError(where, f"one of {', '.join(names)}", f"{value!r}{hint}")


def flap(flap_ms: int | None) -> None:
    """Raise ``ScheduleError`` unless ``flap_ms`` is None or a positive integer."""
    if flap_ms is not None:
        integer("flap_ms", flap_ms, at_least=1)


def pattern(process: object) -> None:
    """Raise ``ScheduleError`` unless ``process`` is None or a pattern."""
    if process is not None and (not isinstance(process, str) or not process):
        raise ScheduleError("process", "a pattern of names or command lines of processes", repr(process))


def explicit(aim: Explicit) -> None:
    """Raise ``ScheduleError`` unless a role is one, and all names are texts that are named once."""
    match aim:
        case OfRole(role):
            one_of("target", role, ROLES, NODES_HINT)
        case Named(nodes):
            _names("nodes", nodes)
        case Groups(groups):
            if not isinstance(groups, tuple) or len(groups) < 2:
                raise ScheduleError("groups", "a list of two groups or more, each a list of names", repr(groups))
            for i, group in enumerate(groups):
                _names(f"groups[{i}]", group)
            _names("groups", tuple(name for group in groups for name in group))
        case Links(links):
            if not isinstance(links, tuple) or not links:
                raise ScheduleError("links", 'a list of links, such as ["n1", "n2"] for n1 to n2', repr(links))
            for i, link in enumerate(links):
                _names(f"links[{i}]", link, "a link of two names, from and to", exactly=2)


def _names(where: str, names: object, expected: str = "a list of names, each once", exactly: int | None = None) -> None:
    if not isinstance(names, tuple):
        raise ScheduleError(where, expected, repr(names))
    texts = all(isinstance(name, str) and name for name in names)
    if not names or not texts or len(set(names)) < len(names) or exactly not in (None, len(names)):
        raise ScheduleError(where, expected, repr([*names]))


def known(where: str, names: Collection[str], machines: Sequence[str]) -> None:
    """Raise ``ScheduleError`` unless all names are those of machines of the cluster."""
    for name in names:
        one_of(where, name, machines)


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a fault applies: the nodes that it is about, the directed links that it affects, and words for a reader."""

    nodes: tuple[str, ...]
    links: Cut
    words: str


# No field here: each class lists its fields in the order in which schedules write them.
@dataclass(frozen=True, kw_only=True, slots=True)
class Fault(ABC):
    """The base of all classes of fault.

    ``f`` is its name in schedules and histories, ``undo`` the name of its undoing in a history. ``capabilities`` are
    all that faults of this class may require. ``usual_class`` is its fault class unless its fields make it another.
    ``about`` says whether a run's history names the links of the fault. A hunt aims a fault that waits for an event
    mostly at the node of that event where ``aims_at_subjects`` is set. ``aimed_by`` is the field that says where it
    applies, which may hold an instance of one of the classes ``explicit`` instead of a name.
    """

    f: ClassVar[str]
    capabilities: ClassVar[tuple[Capability, ...]]
    usual_class: ClassVar[FaultClass]
    about: ClassVar[Literal["nodes", "links"]] = "nodes"
    undo: ClassVar[Undo] = "heal"
    aims_at_subjects: ClassVar[bool] = False
    aimed_by: ClassVar[Literal["target", "shape"]] = "target"
    explicit: ClassVar[tuple[type[Explicit], ...]] = (Named,)

    def __post_init__(self) -> None:
        self._check()

    def _check(self) -> None:  # noqa: B027  # most classes have nothing to check
        """Raise ``ScheduleError`` for a field out of bounds."""

    def check_on(self, nodes: Sequence[str], others: Sequence[str]) -> None:  # noqa: B027
        """Raise ``ScheduleError`` if it cannot be aimed at that group of machines, beside the ``others``."""

    @property
    def fault_class(self) -> FaultClass:
        """The fault class under which promises are stated for it."""
        return self.usual_class

    @property
    @abstractmethod
    def effect(self) -> str:
        """What it does, in words."""

    def required(self) -> tuple[Capability, ...]:
        """The capabilities that a runtime needs to carry it out."""
        return self.capabilities

    @abstractmethod
    def aim(self, view: View, rng: Random) -> Aim | NoTarget:
        """Resolve its role or shape on the cluster as observed now."""

    @abstractmethod
    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        """Add to ``state`` what it asks for while it is in force."""

    def class_of(self, links: Cut, view: View) -> FaultClass:
        """Its fault class on the cluster as observed now."""
        return self.fault_class

    @property
    def role(self) -> Role | None:
        """The role that it is aimed at, None if a shape or names say where it applies."""
        return None

    def with_role(self, role: Role) -> Self:
        """The same fault aimed at another role."""
        return self

    @property
    def kind(self) -> str:
        """A name for faults that are alike, such as ``kill-leader``."""
        return f"{self.f}-{self.role}"

    @property
    def turn_ms(self) -> int | None:
        """How long each turn of a flapping fault lasts, None for a fault that stays until it is healed.

        A flapping fault is injected and undone in turns of that length, beginning with the injection.
        """
        return None

    @property
    def needs_disk_copy(self) -> bool:
        """Whether nodes restart from a copy of the disk that is made when the schedule begins."""
        return False

    def figures(self) -> dict[str, Any]:
        """Its figures for the history by name, such as the percentage of a loss."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in given.items() if name not in AIMING and value is not None}

    def milder(self) -> Iterator[Fault]:
        """Variants that require fewer capabilities, the closest first."""
        yield from ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleFault(Fault):
    """A fault that is aimed at the nodes that fill a role."""

    if TYPE_CHECKING:  # each class has it in the place at which schedules write it
        target: Role | Named | Links

    @property
    def role(self) -> Role | None:
        return self.target if isinstance(self.target, str) else None

    def with_role(self, role: Role) -> Self:
        return replace(self, target=role)

    @property
    def kind(self) -> str:
        return f"{self.f}-{label(self.target)}"

    def check_on(self, nodes: Sequence[str], others: Sequence[str]) -> None:
        match self.target:
            case Named(names):
                known("nodes", names, nodes)
            case Links(links):
                known("links", [end for link in links for end in link], (*nodes, *others))
            case role:
                enough(role, nodes)

    def aim(self, view: View, rng: Random) -> Aim | NoTarget:
        assert not isinstance(self.target, Links), "faults of links aim at links themselves"
        nodes = self.target.nodes if isinstance(self.target, Named) else resolve(self.target, view, rng)
        if isinstance(nodes, NoTarget):
            return nodes
        return Aim(nodes, self.links_of(nodes, view), f"{subject(self.role, nodes)}: {self.aimed_effect}")

    @property
    def aimed_effect(self) -> str:
        """What it does to its nodes, in words."""
        return self.effect

    def links_of(self, nodes: tuple[str, ...], view: View) -> Cut:
        """The links that it affects besides the nodes."""
        return NOTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFault(RoleFault):
    """A fault of the nodes that fill a role, or that are named."""

    target: Role | Named

    def __post_init__(self) -> None:
        check_target(self.target)
        self._check()


def check_target(target: Role | Explicit) -> None:
    """Raise ``ScheduleError`` unless ``target`` is a role, or names what it is to name."""
    if isinstance(target, Explicit):
        explicit(target)
    else:
        one_of("target", target, ROLES, NODES_HINT)


def enough(role: Role, nodes: Sequence[str]) -> None:
    """Raise ``ScheduleError`` if there are too few nodes for the role."""
    if len(nodes) < (needed := NEEDS_NODES.get(role, 1)):
        raise ScheduleError("target", f"at least {needed} machines for the role {role}", str(len(nodes)))


def label(target: Role | Explicit) -> str:
    """A short name of a target, for faults that are alike."""
    match target:
        case OfRole(role):
            return role
        case Named(nodes):
            return ",".join(nodes)
        case Groups():
            return "groups"
        case Links():
            return "links"
        case role:
            return role


def subject(role: Role | None, nodes: tuple[str, ...]) -> str:
    """The nodes that a fault is aimed at, in words."""
    match role:
        case "leader" | "follower" | "candidate":
            return f"the {role} {nodes[0]}"
        case "all":
            return "all nodes"
        case _:
            return " ".join(nodes) or "no node"
