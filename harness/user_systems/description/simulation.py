"""Read the table [simulation]: a program that makes the nodes of a simulation, in any language."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from splitbrain.nodes.systems.base import Factory
from splitbrain.user_systems.description.table import FLAG, NEEDED, TEXTS, Key, Section, Table
from splitbrain.user_systems.node_class import guarded
from splitbrain.user_systems.process_node import NodeProgram

COMMAND: Final[Key[tuple[str, ...]]] = Key(
    name="command",
    kind=TEXTS,
    default=NEEDED,
    meaning="the program and its arguments; it is started in the folder of the file",
)
TERMS: Final[Key[bool]] = Key(name="terms", kind=FLAG, usual=True, meaning="true if its nodes have terms")
SIMULATION: Final = Section(
    name="simulation",
    meaning="A program that makes nodes in simulation ([the protocol](nodes-in-any-language.md)). Where it is given, "
    "`image` and `[probe]` may be missing; then the system runs in simulation only.",
    keys=(COMMAND, TERMS),
)


def read_factory(root: Table) -> Factory | None:
    """The factory of a description's nodes, None if it has no simulation. Raises UsageError."""
    table = root.table(SIMULATION)
    if not table.given:
        return None
    command, folder = table[COMMAND], root.description.folder
    if not command:
        raise table.refuse(COMMAND, "a program and its arguments", [])
    return guarded(root.description.name, NodeProgram(command, str(folder)), table[TERMS])


def simulated_terms(root: Table) -> bool:
    """True if the nodes of the simulation have terms."""
    table = root.table(SIMULATION)
    return bool(table.given) and table[TERMS]


def digest(root: Table) -> dict[str, str]:
    """The digest of the program's file, for the record of a run; empty where there is none."""
    table = root.table(SIMULATION)
    try:
        program = root.description.folder / Path(table[COMMAND][0]) if table.given else None
        return {"sha256": hashlib.sha256(program.read_bytes()).hexdigest()} if program else {}
    except OSError:
        return {}
