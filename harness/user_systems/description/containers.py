"""Read how the container of a node or of a server is made and started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from splitbrain.nodes.systems.base import CAPABILITIES, Machine, OwnImage, RestartPolicy, Software
from splitbrain.user_systems.description.placeholders import Template
from splitbrain.user_systems.description.table import (
    NEEDED,
    TEXT,
    TEXTS,
    TEXTS_BY_NAME,
    Key,
    Table,
    one_of,
    some_of,
    whole,
)

ALONE: Final = Machine(name="n1", system="", seed=0, nodes={"n1": "10.0.0.1"}, servers={"s1": "10.0.0.2"})
"""A machine to try texts with placeholders on."""
ROOT_GIVEN_UP: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""The capabilities of most images whose first process starts as root and continues as another user."""

IMAGE: Final = Key(
    name="image",
    kind=TEXT,
    default="must be given, or `folder`",
    meaning="a tag that the engine has, or can pull",
)
FOLDER: Final = Key(
    name="folder",
    kind=TEXT,
    default="must be given, or `image`",
    meaning="a folder with a Dockerfile, beside the file; `BASE` is a Debian with python3. Files arrive "
    "without the permission to execute",
)
COMMAND: Final[Key[tuple[str, ...]]] = Key(
    name="command",
    kind=TEXTS,
    usual=(),
    meaning="the container's arguments: `{name}`, `{address}`, `{peers}`, `{group.NAME}` (the addresses of the servers "
    "of that name); a word with `{peer}` is repeated for each other machine",
)
ENV: Final = Key(
    name="env",
    kind=TEXTS_BY_NAME,
    usual={},
    meaning="environment variables, with the same placeholders but `{peer}`",
)
PEER: Final = Key(name="peer", kind=TEXT, usual="{name}={address}", meaning="how one of the others is written")
SEPARATOR: Final = Key(name="separator", kind=TEXT, usual=",", meaning="the separator in `{peers}`")
PORT: Final = Key(name="port", kind=whole(most=65_535), usual=8_000, meaning="the port where the probe is answered")
SERVER_PORT: Final = Key(
    name="port",
    kind=whole(most=65_535),
    default=NEEDED,
    meaning="a server is ready when it accepts connections there",
)
DATA: Final = Key(
    name="data",
    kind=TEXT,
    usual="/data",
    meaning="the folder of durable state, emptied by faults that remove it",
)
READY_S: Final = Key(
    name="ready_s", kind=whole(most=3_600), usual=30, meaning="the time within which a machine answers first"
)
RESTART: Final[Key[RestartPolicy]] = Key(
    name="restart",
    kind=one_of(get_args(RestartPolicy)),
    usual="never",
    meaning="after which ends a node is started again, in the set-up too: `on-failure` means a status other than 0. "
    "Ends that a fault causes are not meant: such a node starts when its fault is over",
)
RESTART_DELAY_MS: Final = Key(
    name="restart_delay_ms", kind=whole(0), usual=1_000, meaning="how much later it is started again"
)
CAPS: Final[Key[tuple[str, ...]]] = Key(
    name="capabilities",
    kind=some_of(CAPABILITIES),
    usual=ROOT_GIVEN_UP,
    meaning="the Linux capabilities that its container has, of Docker's usual ones without NET_RAW; `[]` for software "
    "that needs no root. The default is those by which an image gives root up",
)
MEMORY_MB: Final = Key(name="memory_mb", kind=whole(8), usual=1024, meaning="the most memory of a container")
PIDS: Final = Key(name="pids", kind=whole(), usual=1024, meaning="the most processes and threads of a container")

OF_CONTAINERS: Final[tuple[Key[Any], ...]] = (
    *(IMAGE, FOLDER, COMMAND, ENV, PEER, SEPARATOR, DATA, READY_S),
    *(RESTART, RESTART_DELAY_MS, CAPS, MEMORY_MB, PIDS),
)
"""The keys of every container, beside its port."""


def read_software(table: Table, port: Key[int], servers: str | None) -> Software:
    """The software that a table describes. Raises UsageError."""
    return Software(
        image=_image(table),
        command=_template(table, COMMAND, table[COMMAND], servers),
        environment=_environment(table, servers),
        ports=(table[port],),
        data=table[DATA],
        ready_s=float(table[READY_S]),
        restart=table[RESTART],
        restart_delay_ms=table[RESTART_DELAY_MS],
        capabilities=table[CAPS],
        memory_mb=table[MEMORY_MB],
        pids=table[PIDS],
    )


def _image(table: Table) -> OwnImage:
    if (IMAGE in table) == (FOLDER in table):
        raise table.refusal(f"{table.label}expected one of image (a tag) and folder (with a Dockerfile)")
    if IMAGE in table:
        return OwnImage(tag=table[IMAGE])
    folder = (table.description.folder / table[FOLDER]).resolve()
    if not (folder / "Dockerfile").is_file():
        raise table.refuse(FOLDER, "a folder with a Dockerfile in it", str(folder))
    return OwnImage(folder=str(folder))


def _template(table: Table, key: Key[Any], texts: tuple[str, ...], servers: str | None) -> Template:
    template = Template(texts=texts, peer=table[PEER], separator=table[SEPARATOR], servers=servers)
    try:
        template(replace(ALONE, nodes={**ALONE.nodes, "n2": "10.0.0.3"}))
    except ValueError as wrong:
        group = "" if servers is None else f", {{group.{servers}}}"
        expected = f"{{name}}, {{address}}, {{peers}}{group} and {{peer}} (in peer: {{name}} and {{address}})"
        raise table.refuse(key, f"{expected}, other braces doubled", f"{[*texts]} ({wrong})") from wrong
    return template


def _environment(table: Table, servers: str | None) -> Callable[[Machine], Mapping[str, str]]:
    given = table[ENV]
    if any("{peer}" in text for text in given.values()):
        raise table.refuse(ENV, "texts, with {peers} for all peers", given)
    template = _template(table, ENV, (*given.values(),), servers)
    return lambda machine: dict(zip(given, template(machine), strict=True))
