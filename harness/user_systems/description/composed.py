"""Descriptions that take their machines from a Compose file, and Compose files that are descriptions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from splitbrain.errors import UsageError
from splitbrain.user_systems.description.compose import EXTENSION, parsed, read_compose, take_over
from splitbrain.user_systems.description.containers import OF_CONTAINERS, PORT, TABLES_OF_CONTAINERS, override
from splitbrain.user_systems.description.table import TEXT, TEXTS_BY_NAME, Key

COMPOSE: Final = Key(
    name="compose",
    kind=TEXT,
    default="none",
    meaning="a Compose file beside the description, whose `services` are the machines "
    "([how](your-own-image.md#compose-files))",
)
SERVICES: Final = Key(
    name="services",
    kind=TEXTS_BY_NAME,
    usual={},
    meaning='the services that are nodes and servers, as `{n1 = "etcd1", n2 = "etcd2", s1 = "store"}`',
)
OF_MACHINES: Final = frozenset(
    (PORT.name, *(key.name for key in OF_CONTAINERS), *(table.name for table in TABLES_OF_CONTAINERS))
)
SUFFIXES: Final = (".yml", ".yaml")


def with_compose(
    name: str, folder: Path, given: Mapping[str, Any], text: str | None = None
) -> tuple[Mapping[str, Any], str | None, tuple[str, ...]]:
    """A description with the machines of its Compose file, the text of that file, and what was not taken over.

    Its keys for all machines, and then those for single ones, replace what the Compose file says. ``text`` is what the
    Compose file said when a run was recorded. Raises UsageError.
    """
    if COMPOSE.name not in given:
        return given, None, ()
    file, services = given[COMPOSE.name], given.get(SERVICES.name)
    if not isinstance(file, str):
        raise UsageError(f"{name}: {COMPOSE.name}: expected a text, got {file!r}")
    if not isinstance(services, Mapping) or not all(isinstance(each, str) for each in services.values()):
        expected = 'the services that are nodes and servers, as {n1 = "etcd1", n2 = "etcd2", s1 = "store"}'
        raise UsageError(f"{name}: {SERVICES.name}: expected {expected}, got {services!r}")
    path = folder / file
    text, compose = (text, parsed(path, text)) if text is not None else read_compose(path)
    taken = take_over(path, compose, services, folder)
    of_all = {key: value for key, value in given.items() if key in OF_MACHINES}
    single = given.get("node") or {}
    nodes = {node: override(override(keys, of_all), single.get(node) or {}) for node, keys in taken.nodes.items()}
    first = {key: value for key, value in nodes["n1"].items() if key in ("image", "folder", "debian", PORT.name)}
    size = {key: len(nodes) for key in ("nodes", "min_nodes", "max_nodes")}
    own_servers = given.get("servers") or {}
    servers = {group: override(keys, own_servers.get(group) or {}) for group, keys in taken.servers.items()}
    rest = {key: value for key, value in given.items() if key not in (COMPOSE.name, SERVICES.name, *OF_MACHINES)}
    made = {**size, **rest, **first, "node": nodes, **({"servers": servers} if servers else {})}
    return made, text, taken.notes


def composed(path: Path, text: str) -> Mapping[str, Any]:
    """The description that a Compose file is by itself, under its key ``x-splitbrain``. Raises UsageError."""
    own = parsed(path, text).get(EXTENSION)
    if not isinstance(own, Mapping):
        how = f"`splitbrain init {path}` writes a description, or it may stand under {EXTENSION}"
        raise UsageError(f"{path}: a Compose file does not say how nodes are asked: {how}")
    return {**own, COMPOSE.name: path.name}
