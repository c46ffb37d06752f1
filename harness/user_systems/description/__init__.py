"""Systems described by data instead of code: what a TOML file says, or another source, checked before anything starts.

lines          the line of a key in a TOML file
table          one table: declared keys of declared kinds, and refusals that name file, line and key
placeholders   texts in which {name} or {peers} stand for what a machine is started with
containers     how the container of a node or a server is made
files          the files that are put into it
set_up         the commands that are run once in it
probes         how nodes are asked
simulation     a program that makes the nodes of a simulation
system         all of it as a System
reference      the page of all keys, docs/description-keys.md
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splitbrain.checkers.files import MIB, read_whole
from splitbrain.errors import UsageError
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.description.composed import SUFFIXES, composed, with_compose
from splitbrain.user_systems.description.system import system_of
from splitbrain.user_systems.description.table import Description


def described(path: Path) -> System:
    """The system that the file describes. Raises UsageError."""
    try:
        return described_as(path, read_whole(path, MIB).decode())
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong


def described_as(path: Path, text: str, compose: str | None = None) -> System:
    """The system that a file with this text describes, which may be kept elsewhere by now. Raises UsageError.

    ``compose`` is the text of its Compose file, if that may have changed too.
    """
    given = composed(path, text) if path.suffix in SUFFIXES else _toml(path, text)
    own = Description(name=str(path), folder=path.parent, given=given, text=text, origin={"description": text})
    return system_of(with_compose(own, compose))


def _toml(path: Path, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:  # numbers of thousands of digits are a plain ValueError
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong
