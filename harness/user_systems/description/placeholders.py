"""Texts of a description in which placeholders stand for what a machine is started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from splitbrain.nodes.systems.base import Machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """Texts in which ``{name}``, ``{address}``, ``{peers}`` and ``{group.NAME}`` stand for what a machine is started
    with.

    ``{peers}`` are the other machines of its group, each written as ``peer`` says. A text with ``{peer}`` comes once
    for each of them. ``servers`` is the name of the group of servers, of which ``{group.NAME}`` are the addresses.
    """

    texts: tuple[str, ...]
    peer: str
    separator: str
    servers: str | None = None

    def __call__(self, machine: Machine) -> Sequence[str]:
        own = machine.nodes if machine.name in machine.nodes else machine.servers
        others = [
            filled(self.peer, {"name": name, "address": address})
            for name, address in own.items()
            if name != machine.name
        ]
        values = {"name": machine.name, "address": own[machine.name], "peers": self.separator.join(others)}
        if self.servers is not None:
            values[f"group.{self.servers}"] = self.separator.join(machine.servers.values())
        return [
            filled(text, {**values, "peer": peer})
            for text in self.texts
            for peer in (others if "{peer}" in text else [""])
        ]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders filled in; doubled braces stand for single ones. Raises ValueError."""
    words = []
    for literal, name, form, conversion in Formatter().parse(text):
        words.append(literal)
        if name is None:
            continue
        if name not in values or form or conversion:
            raise ValueError(f"unknown placeholder {{{name}}}")
        words.append(values[name])
    return "".join(words)
