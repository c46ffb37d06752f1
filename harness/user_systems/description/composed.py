"""Descriptions that take their machines from a Compose file, and Compose files that are descriptions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from splitbrain.errors import UsageError
from splitbrain.user_systems.description.compose import EXTENSION, Taken, parsed, read_compose, take_over
from splitbrain.user_systems.description.containers import (
    OF_CONTAINERS,
    OF_IMAGES,
    PORT,
    TABLES_OF_CONTAINERS,
    override,
)
from splitbrain.user_systems.description.table import TEXT, TEXTS_BY_NAME, Description, Key, Section, Table

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
    default="must be given beside `compose`",
    meaning='the services that are nodes and servers, as `{n1 = "etcd1", n2 = "etcd2", s1 = "store"}`',
)
UNREAD: Final = Section(name="", meaning="A table whose keys are read later.")
NODE: Final = Section(name="node", meaning="What differs on single machines.", each=UNREAD)
SERVERS: Final = Section(name="servers", meaning="What differs in groups of servers.", each=UNREAD)
OF_COMPOSE: Final = Section(
    name="", meaning="The machines of a Compose file.", keys=(COMPOSE, SERVICES), tables=(NODE, SERVERS), each=UNREAD
)
OF_MACHINES: Final = frozenset(
    (PORT.name, *(key.name for key in OF_CONTAINERS), *(table.name for table in TABLES_OF_CONTAINERS))
)
SUFFIXES: Final = (".yml", ".yaml")


def with_compose(description: Description, text: str | None = None) -> Description:
    """The description with the machines of its Compose file, if it names one, and notes of what was not taken over.

    Its keys for all machines, and then those for single ones, replace what the Compose file says. ``text`` is what the
    Compose file said when a run was recorded. Raises UsageError.
    """
    given = description.given
    if COMPOSE.name not in given:
        if SERVICES.name in given:
            raise description.refusal((SERVICES.name,), f"{SERVICES.name}: expected {COMPOSE.name} beside it")
        return description
    root = Table(description, OF_COMPOSE, given)
    path, services = description.folder / root[COMPOSE], root[SERVICES]
    text, compose = (text, parsed(path, text)) if text is not None else read_compose(path)
    taken = take_over(path, compose, services, description.folder)
    return replace(
        description,
        given=_put_together(root, taken),
        origin={**description.origin, COMPOSE.name: text},
        notes=taken.notes,
    )


def _put_together(root: Table, taken: Taken) -> Mapping[str, Any]:
    """The keys of a description, over those that its Compose file gives."""
    of_all = {key: value for key, value in root.given.items() if key in OF_MACHINES}
    single, own_servers = root.table(NODE), root.table(SERVERS)
    nodes = {node: override(override(keys, of_all), single.mapping(node)) for node, keys in taken.nodes.items()}
    servers = {group: override(keys, own_servers.mapping(group)) for group, keys in taken.servers.items()}
    first = {key: value for key, value in nodes["n1"].items() if key in (*OF_IMAGES, PORT.name)}
    size = {key: len(nodes) for key in ("nodes", "min_nodes", "max_nodes")}
    rest = {key: value for key, value in root.given.items() if key not in (*OF_COMPOSE.names, *OF_MACHINES)}
    return {
        **size,
        **rest,
        **first,
        NODE.name: {**single.given, **nodes},
        SERVERS.name: {**own_servers.given, **servers},
    }


def composed(path: Path, text: str) -> Mapping[str, Any]:
    """The description that a Compose file is by itself, under its key ``x-splitbrain``. Raises UsageError."""
    own = parsed(path, text).get(EXTENSION)
    if not isinstance(own, Mapping):
        how = f"`splitbrain init {path}` writes a description, or it may stand under {EXTENSION}"
        raise UsageError(f"{path}: a Compose file does not say how nodes are asked: {how}")
    return {**own, COMPOSE.name: path.name}
