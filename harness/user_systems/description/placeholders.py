"""Texts of a description in which placeholders stand for what a machine is started with.

``{group.NAME}`` stands for the addresses of the servers of that name. Braces that are no placeholder are doubled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType
from typing import Any, Final

from splitbrain.names import did_you_mean
from splitbrain.nodes.systems.base import Machine, Words
from splitbrain.user_systems.description.table import Key, Table

PLACEHOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": "the machine's name, `n1` or `s1`",
        "index": "its number among the machines of its group, from 1",
        "address": "its address",
        "names": "the names of all machines of its group",
        "addresses": "their addresses, in the same order",
        "peers": "the others of its group, each written as `peer` says",
        "count": "the number of machines in its group",
        "free_address": "an address of the run's network that no machine has, for a virtual address",
        "seed": "a number that follows from the run's seed, another one on each machine",
    }
)
"""What stands for what, but for ``{group.NAME}``: the addresses of those servers. A group is all nodes, or the servers
of one name. Lists are joined by ``separator``."""
OF_PEERS: Final = ("name", "index", "address")
"""The placeholders in ``peer``, there about one of the others."""
USUAL_PEER: Final = "{name}={address}"
USUAL_SEPARATOR: Final = ","


class WrongPlaceholder(ValueError):
    """A text with a placeholder that there is not, or with a single brace."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """How lists are written: each of the others as ``peer`` says, joined by ``separator``."""

    peer: str = USUAL_PEER
    separator: str = USUAL_SEPARATOR

    def values(self, machine: Machine) -> dict[str, str]:
        """What each placeholder stands for on that machine."""
        alike = machine.alike
        groups = {
            f"group.{group}": self.separator.join(machine.servers[name] for name in names)
            for group, names in machine.groups.items()
        }
        return {
            "name": machine.name,
            "index": str([*alike].index(machine.name) + 1),
            "address": alike[machine.name],
            "names": self.separator.join(alike),
            "addresses": self.separator.join(alike.values()),
            "peers": self.separator.join(self.others(machine)),
            "count": str(len(alike)),
            "free_address": machine.free_address,
            "seed": str(machine.seed),
            **groups,
        }

    def others(self, machine: Machine) -> Sequence[str]:
        """The other machines of its group, each as ``peer`` says."""
        return [
            filled(self.peer, {"name": name, "index": str(index), "address": address})
            for index, (name, address) in enumerate(machine.alike.items(), start=1)
            if name != machine.name
        ]

    def fill(self, text: str, machine: Machine) -> str:
        """The text as it is on that machine. Raises WrongPlaceholder."""
        return filled(text, self.values(machine))

    def words(self, texts: Sequence[str]) -> Words:
        """The words of a command on each machine."""
        return lambda machine: self.fill_each(texts, machine)

    def fill_each(self, texts: Iterable[str], machine: Machine) -> Sequence[str]:
        """The texts as they are on that machine, one with ``{peer}`` once for each of the others."""
        values = self.values(machine)
        others = self.others(machine)
        return [
            filled(text, {**values, "peer": peer}) for text in texts for peer in (others if "{peer}" in text else [""])
        ]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled in; doubled braces stand for single ones. Raises WrongPlaceholder."""
    words = []
    for literal, name, form, conversion in _parsed(text):
        words.append(literal)
        if name is None:
            continue
        if name not in values:
            raise WrongPlaceholder(f"unknown placeholder {{{name}}}{did_you_mean(name, values)}")
        if form or conversion:
            raise WrongPlaceholder(f"{{{name}}} takes no format")
        words.append(values[name])
    return "".join(words)


def _parsed(text: str) -> Iterable[tuple[str, str | None, str | None, str | None]]:
    try:
        return [*Formatter().parse(text)]
    except ValueError as wrong:
        raise WrongPlaceholder(str(wrong)) from wrong


def example(groups: Collection[str]) -> Machine:
    """A machine to try texts with placeholders on, in a cluster with servers in these groups."""
    servers = {f"s{at}": f"10.0.1.{at}" for at in range(1, len(groups) + 1)}
    return Machine(
        name="n1",
        system="",
        seed=0,
        nodes={"n1": "10.0.0.1", "n2": "10.0.0.2"},
        servers=servers,
        groups={group: (server,) for group, server in zip(groups, servers, strict=True)},
        free_address="10.0.0.250",
    )


def checked(table: Table, key: Key[Any], text: str, known: Mapping[str, str], *below: str) -> str:
    """The text, if all its placeholders are ``known``. Raises UsageError."""
    try:
        filled(text, known)
    except WrongPlaceholder as wrong:
        expected = f"placeholders of {listed(known)}, other braces doubled"
        raise table.refuse(key, expected, text, *below, why=str(wrong)) from wrong
    return text


def listed(names: Collection[str]) -> str:
    """Placeholders as messages list them."""
    return ", ".join(f"{{{name}}}" for name in names)
