"""Look up a system by the name that a user gives: built in, with a planted bug, a node class, or a TOML file."""

from __future__ import annotations

from pathlib import Path

from splitbrain.errors import UsageError
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.node_class import system_at
from splitbrain.user_systems.toml_file import described


def find_system(name: str) -> System:
    """The system of that name: ``raft``, ``broken/NAME``, ``package.module:Name`` or ``FILE.toml``.

    Raises UsageError, which lists the systems there are.
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    if name in BROKEN:
        return BROKEN[name].system
    if name.endswith(".toml"):
        return described(Path(name))
    if ":" in name:
        return system_at(name)
    known = ", ".join(SYSTEMS)
    raise UsageError(f"unknown system {name!r}: expected one of {known}, package.module:Name or FILE.toml")
