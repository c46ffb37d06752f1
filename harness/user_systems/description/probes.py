"""Read how each node is asked for its claim, and how a leader is asked to confirm."""

from __future__ import annotations

import re
from typing import Any, Final

from splitbrain.nodes.systems.base import HttpProbe
from splitbrain.user_systems.description.table import NEEDED, TEXT, Key, Kind, NotOfKind, Section, Table

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _request_path(given: object) -> str:
    # A path that begins with a slash cannot name another host than the node that is asked.
    if not isinstance(given, str) or not re.fullmatch(r"/[!-\"$-~]*", given):
        raise NotOfKind
    return given


def _test(given: object) -> str:
    path, equals, value = (part.strip() for part in str(given).partition("=="))
    if not isinstance(given, str) or not path or "=" in path or (equals and not value):
        raise NotOfKind
    return given


def _statuses(given: object) -> tuple[int, ...]:
    if not isinstance(given, list) or not all(type(status) is int and 200 <= status <= 599 for status in given):
        raise NotOfKind
    return tuple(given)


def _method(given: object) -> str:
    if not isinstance(given, str) or given.upper() not in METHODS:
        raise NotOfKind
    return given.upper()


REQUEST_PATH: Final = Kind("a path that begins with /, without spaces and #", _request_path)
TEST: Final = Kind("a path, or path == value", _test)
STATUSES: Final = Kind("a list of HTTP statuses, from 200 to 599", _statuses)
METHOD: Final = Kind(f"one of {', '.join(METHODS)}", _method)

PATH: Final = Key(
    name="path",
    kind=REQUEST_PATH,
    default=NEEDED,
    meaning="answered with JSON, by each node about itself, from its memory at that instant",
)
LEADING: Final = Key(
    name="leading",
    kind=TEST,
    default=NEEDED,
    meaning="a dotted path to true or false, `path == value`, or `status == 200` where the status of the answer says "
    "it",
)
STATUS: Final = Key(
    name="status",
    kind=STATUSES,
    usual=(),
    default='200 to 299; with `leading = "status == ..."` that one and 503',
    meaning="further statuses of answers, such as `[503]`; others are refusals",
)
LEADER: Final = Key(
    name="leader",
    kind=TEXT,
    default="null",
    meaning="a dotted path to a node's name, its address, or a URL with either",
)
LEADER_TERM: Final = Key(
    name="leader_term",
    kind=TEXT,
    default="null",
    meaning="a dotted path to the term of the leader that a node names; without it the node's `term` is not taken for "
    "it, since many systems go on to name the last leader while their term rises",
)
TERM: Final = Key(name="term", kind=TEXT, default="null", meaning="a dotted path to the node's present term")
REIGN: Final = Key(
    name="reign", kind=TEXT, default="null", meaning="a dotted path to the key of the node's present leadership"
)
CONFIRM_PATH: Final = Key(
    name="path",
    kind=REQUEST_PATH,
    default=NEEDED,
    meaning="answered with a status below 300 when a quorum has just acknowledged; without it, availability rests on "
    "the leader that the nodes name, and is unknown where they name none ([how](judging.md#working-leadership))",
)
CONFIRM_METHOD: Final = Key(name="method", kind=METHOD, usual="POST", meaning="the method of the request")

PATHS: Final[tuple[Key[str], ...]] = (LEADER, LEADER_TERM, TERM, REIGN)
PROBE: Final = Section(
    name="probe",
    meaning="How each node is asked for its claim, over HTTP.",
    keys=(PATH, LEADING, STATUS, *PATHS),
)
CONFIRM: Final = Section(
    name="confirm",
    meaning="How a node that leads is asked for an acknowledgement that takes its quorum.",
    keys=(CONFIRM_PATH, CONFIRM_METHOD),
)


def read_probe(root: Table) -> HttpProbe:
    """The probe of a description. Raises UsageError."""
    probe, confirm = root.table(PROBE), root.table(CONFIRM)
    paths: dict[str, Any] = {key.name: probe[key] for key in PATHS if key in probe}
    if LEADER_TERM in probe and not (LEADER in probe and TERM in probe):
        raise probe.refuse(LEADER_TERM, "leader and term beside it", paths["leader_term"])
    return HttpProbe(
        path=probe[PATH],
        leading=probe[LEADING],
        statuses=probe[STATUS],
        **paths,
        confirm_path=confirm[CONFIRM_PATH] if confirm.given else None,
        confirm_method=confirm[CONFIRM_METHOD],
    )


def has_terms(root: Table) -> bool:
    """True if the probe finds the terms of nodes."""
    return TERM in root.table(PROBE)
