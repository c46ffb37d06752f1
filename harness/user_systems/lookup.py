"""Look up a system by the name that a user gives: built in, with a planted bug, a node class, or a TOML file.

A name may end with a preset of promises, as in ``raft@quorum`` (``splitbrain.names.PRESETS``). It is part of the
system's name from then on, so a run that is replayed is held to the same promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from splitbrain.errors import UsageError
from splitbrain.names import PRESET_AT, Preset, preset_named
from splitbrain.nodes.broken import BROKEN
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.plugins import with_shipped
from splitbrain.user_systems.description import described, described_as
from splitbrain.user_systems.description.composed import SUFFIXES
from splitbrain.user_systems.node_class import system_at
from splitbrain.user_systems.promises import with_preset

FILES: Final = (".toml", *SUFFIXES)


def find_system(name: str) -> System:
    """The system of that name: ``raft``, ``broken/NAME``, ``package.module:Name``, ``FILE.toml`` or a Compose file.

    Raises UsageError, which lists the systems there are.
    """
    base, preset = _split(name)
    return _find(base) if preset is None else with_preset(_find(base), preset)


def _split(name: str) -> tuple[str, Preset | None]:
    """The name without its preset, and the preset."""
    base, _, last = name.rpartition(PRESET_AT)
    preset = preset_named(last) if base else None
    return (name if preset is None else base), preset


def _find(name: str) -> System:
    known = with_shipped(SYSTEMS, "systems", System)
    if name in known:
        return known[name]
    if name in BROKEN:
        return BROKEN[name].system
    if name.endswith(FILES):
        return described(Path(name))
    if ":" in name:
        return system_at(name)
    raise UsageError(f"unknown system {name!r}: expected one of {', '.join(known)}, package.module:Name or FILE.toml")


def find_recorded(name: str, record: Mapping[str, Any], *, trusted: bool) -> System:
    """The system of a run's record, to be run again: a description as it was then, everything else as it is now.

    Raises UsageError for a class unless the record is ``trusted``: it would be imported and run.
    """
    base, preset = _split(name)
    if preset is not None:
        return with_preset(find_recorded(base, record, trusted=trusted), preset)
    origin = record.get("origin")
    kept = origin if isinstance(origin, Mapping) else {}
    described_then, compose_then = kept.get("description"), kept.get("compose")
    if name.endswith(FILES) and isinstance(described_then, str):
        described_system = described_as(Path(name), described_then, compose_then)
        if described_system.factory is not None and not trusted:
            raise UsageError(f"the run names a program, which would be run: add --trust, or --system {name}")
        return described_system
    if ":" in name and not trusted:
        raise UsageError(f"the run names the class {name}, which would be run: add --trust, or --system {name}")
    return find_system(name)
