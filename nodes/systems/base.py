"""What the harness knows of a system under test, and what that system promises.

A system is a value: how its nodes are started, how one is made for a simulation, and its row of promises. The
promises are the system's own claims, given before any run; a run is held against them, never the other way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, Protocol

from nodes.protocol import Json, Node

# What a row of promises is about, column by column.
CELLS: Final[Mapping[str, str]] = {
    "C1": "crash and restart, durable state kept",
    "C2": "leader paused for longer than a timeout",
    "C3": "clean partition",
    "C4": "leader isolated",
    "C5a": "leader deaf: it sends but hears nobody",
    "C5b": "leader mute: it hears but nobody hears it",
    "C5c": "follower deaf",
    "C6": "partial partition: bridge, ring, star, single links",
    "C7": "20 to 30 % of messages lost",
    "C8": "wall clock jumps",
    "C9": "clock rates further apart than designed for",
    "C10": "wall clock strobes",
    "C11": "durable state lost on restart",
    "C12": "restarts faster than an election",
}

# What each letter of a cell is about, in order.
GUARANTEES: Final[Mapping[str, str]] = {
    "T": "at most one leader a term",
    "X": "at no instant two nodes that say they lead",
    "F": "a resource that checks terms accepts nothing from a leader already replaced there",
    "A": "a leader works while the fault lasts, for a majority that could have one",
    "L": "one leader, agreed on, within the bound after everything has healed",
    "S": "no change of leader unless the leader itself was touched",
}

Eligibility = Literal["isolated", "clique", "hub"]


class Factory(Protocol):
    """How one node of a system is made, from the system's options."""

    def __call__(
        self,
        id: str,
        peers: Sequence[str],
        options: Any,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> Node: ...


@dataclass(frozen=True, kw_only=True)
class System:
    """One system.

    ``command`` follows ``python3 -m nodes``. ``promises`` maps each cell to six letters, one for each of
    ``GUARANTEES``: ``+`` promised, ``!`` known to break, ``?`` may happen, ``-`` has no meaning here.
    ``stall_bound_ms`` is the longest that a majority that could have a working leader may be without one,
    with a chance of one in a million of a false alarm; ``suspicion_ms`` the longest silence before a leader
    is given up. ``eligibility`` is which majorities could have one: ``isolated``: fully connected, and nobody
    outside can send in; ``clique``: fully connected; ``hub``: some node is connected both ways to a majority.
    ``options`` is a frozen dataclass of booleans and integers, the same on every node.
    """

    name: str
    help: str
    command: tuple[str, ...]
    promises: Mapping[str, str]
    stall_bound_ms: int
    suspicion_ms: int
    eligibility: Eligibility
    message_complexity: str
    options: Any
    factory: Factory
    min_nodes: int = 3
    max_nodes: int = 15

    def make_node(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        """One node; ``peers`` are the others, ``state`` what it last persisted, None on its first start."""
        return self.factory(id, peers, self.options, rng, boot, state)

    def with_options(self, texts: Mapping[str, str]) -> System:
        """This system with some options changed, each given as text: ``{"pre_vote": "false"}``.

        Raises ValueError, in words, for an option that does not exist or a value that it cannot have.
        """
        present = {field.name: getattr(self.options, field.name) for field in dataclasses.fields(self.options)}
        for name in texts.keys() - present.keys():
            raise ValueError(f"{self.name} has no option {name!r}; it has {', '.join(present)}")
        changes = {name: _parse(name, text, type(present[name])) for name, text in texts.items()}
        return dataclasses.replace(self, options=dataclasses.replace(self.options, **changes))


def _parse(name: str, text: str, kind: type) -> bool | int:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{name}: expected true or false, got {text!r}")
        return text == "true"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: expected an integer, got {text!r}") from None
