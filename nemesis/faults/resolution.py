"""Faults of name resolution: machines find one another by name, and a name leads nowhere or astray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from splitbrain.names import FaultClass
from splitbrain.nemesis.faults.base import Capability, Fault, one_of
from splitbrain.nemesis.faults.links import LinkFault
from splitbrain.nemesis.partitions import Cut, Way
from splitbrain.nemesis.targets import Links, Named, Role

if TYPE_CHECKING:
    from splitbrain.nemesis.state import State

Answer = Literal["nothing", "stale"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""The hardest first: a name that does not resolve has no stale address."""
ANSWER_WORDS: Mapping[Answer, str] = {"nothing": "nothing", "stale": "an address that no machine has"}
LOOKED_UP: Mapping[Way, str] = {
    "both": "names that it looks up, and its name",
    "in": "its name",
    "out": "names that it looks up",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dns(LinkFault):
    """Names of machines resolve to nothing, or to a stale address: one that no machine has.

    A link stands for the name of its receiver as its sender looks it up. Of the nodes of a role these are the names
    that they look up (``out``), their names as others look them up (``in``), or ``both``. Connections that are open
    stay open, and only new ones fail: the links carry some of their traffic, so this counts as a partial partition.
    """

    f: ClassVar[str] = "dns"
    capabilities: ClassVar[tuple[Capability, ...]] = ("name resolution",)
    usual_class: ClassVar[FaultClass] = "partial-partition"

    answer: Answer = "nothing"
    target: Role | Named | Links = "all"
    way: Way = "both"

    def _check(self) -> None:
        one_of("answer", self.answer, ANSWERS)

    @property
    def effect(self) -> str:
        return f"names resolve to {ANSWER_WORDS[self.answer]}"

    @property
    def aimed_effect(self) -> str:
        verb = "resolves" if self.way == "in" else "resolve"
        return f"{LOOKED_UP[self.way]} {verb} to {ANSWER_WORDS[self.answer]}"

    def add_to(self, state: State, nodes: tuple[str, ...], links: Cut) -> None:
        state.mislead(links, self.answer)


FAULTS: tuple[type[Fault], ...] = (Dns,)
