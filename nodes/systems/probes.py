"""How a described system is asked: the ways of asking a node, as values, and where in an answer its claim is found.

Texts of a way may hold ``{name}``, ``{address}`` and ``{index}`` of the node that is asked (``filled``). Expressions
are those of ``splitbrain.nodes.clients.expressions``, formats those of ``splitbrain.nodes.clients.formats``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

HTTP_STATUSES: Final = range(100, 600)
EXIT_STATUSES: Final = range(256)
NO_STATUSES: Final = range(0)
HOLES: Final = ("name", "address", "index")
ELEMENT: Final = "element"
"""The placeholder of what is added to a set, in the request that adds it."""
HOLE: Final = re.compile(r"\{([a-z_]+)\}", re.ASCII)

Format = Literal["json", "text", "lines", "prometheus", "status"]


def filled(text: str, own: Mapping[str, str]) -> str:
    """The text with the placeholders of a node filled in; every other brace stands for itself."""
    return HOLE.sub(lambda hole: own.get(hole[1], hole[0]), text)


def unknown_hole(text: str, known: Collection[str] = HOLES) -> str | None:
    """A placeholder in a text that is not known, such as one of a node; None if there is none."""
    return next((hole[0] for hole in HOLE.finditer(text) if hole[1] not in known), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """HTTPS: the files of the authorities, and of a certificate with its key, and the name that the node's must have.

    Without ``verify`` any certificate is accepted.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify: bool = True
    server_name: str = "{name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """A request over HTTP, to the first port if ``port`` is None. ``statuses`` are answers beside the usual ones."""

    path: str
    method: str = "GET"
    port: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    basic: tuple[str, str] | None = None
    tls: Tls | None = None
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exec:
    """A command in the node's container; its standard output is the answer, and its exit status the status."""

    command: tuple[str, ...]
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tcp:
    """A text that is sent over TCP. The answer ends before the text ``until``; with the connection if it is None."""

    send: str = ""
    until: str | None = None
    port: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Redis:
    """A command to a server that speaks RESP, after a login if there is a password."""

    command: tuple[str, ...]
    port: int | None = None
    user: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """The node's log, or the file at ``path`` in its container: the last line in which one of the two regular
    expressions is found says if it leads."""

    leading: str
    follower: str
    path: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sql:
    """A query to PostgreSQL or MySQL, the ``engine``, at that port; the columns of its first row are the answer."""

    engine: Literal["postgresql", "mysql"]
    query: str
    port: int
    user: str
    password: str = ""
    database: str = ""


Way = Http | Exec | Tcp | Redis | Sql | Log


@dataclass(frozen=True, kw_only=True, slots=True)
class Further:
    """A further answer of a node, which is put into the first."""

    way: Way
    format: Format = "json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirm:
    """How a leader is asked for an acknowledgement that takes its quorum.

    It is one if its status says so, or in place of that if ``ok`` holds, where there is such an expression.
    """

    way: Way
    format: Format = "json"
    ok: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptSet:
    """A set that the system keeps: how an element is added through a node, and how all are read.

    ``{element}`` stands for the element in the way that adds it. ``members`` is the path to all of them in the answer.
    """

    add: Confirm
    read: Further
    members: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """How the nodes of a described system are asked, and the expressions that find their claims in the answers.

    ``leading`` is a test, the others give values, and are None where an answer lacks them. ``term`` is the node's,
    ``leader_term`` the one in which the leader that it names leads, ``vote`` is for whom it voted in its term, and
    ``reign`` the key of its present leadership, or ``"count"``: the client then counts how often it began to lead.
    ``also`` are further answers of the node, merged into the first under these names. ``names`` are words for nodes
    in answers, and the nodes that they stand for, both with placeholders of each node.
    """

    way: Way
    leading: str
    format: Format = "json"
    leader: str | None = None
    leader_term: str | None = None
    term: str | None = None
    vote: str | None = None
    reign: str | None = None
    also: Mapping[str, Further] = field(default_factory=lambda: MappingProxyType({}))
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    confirm: Confirm | None = None
    kept: KeptSet | None = None


COUNTED: Final = "count"
"""The value of ``Probe.reign`` with which leaderships are counted."""


def statuses_of(way: Way) -> range:
    """The numbers that the status of an answer may be."""
    match way:
        case Http():
            return HTTP_STATUSES
        case Exec():
            return EXIT_STATUSES
        case _:
            return NO_STATUSES


def usual_statuses(way: Way) -> frozenset[int]:
    """The statuses of success, and those that the way names as such."""
    match way:
        case Http(statuses=more):
            return frozenset((*range(200, 300), *more))
        case Exec(statuses=more):
            return frozenset((0, *more))
        case _:
            return frozenset()


def ports_of(probe: Probe) -> tuple[int, ...]:
    """The ports that are asked beside the first one."""
    ways = [probe.way, *(further.way for further in probe.also.values())]
    ways += [] if probe.confirm is None else [probe.confirm.way]
    ways += [] if probe.kept is None else [probe.kept.add.way, probe.kept.read.way]
    return tuple(way.port for way in ways if not isinstance(way, Exec | Log) and way.port is not None)
