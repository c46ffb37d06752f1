"""A system described by a TOML file: images, the commands that start them, and the requests that observe the nodes.

An invalid file is refused before anything runs; the message names the key, the value expected and the value found.
docs/your-own-image.md describes each key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Formatter
from typing import Any, Final, TypeVar, get_args

from splitbrain.checkers.files import MIB, read_whole
from splitbrain.errors import UsageError
from splitbrain.names import FAULT_CLASSES, NODE_FAULT_CLASSES, Electors, PromiseTable, did_you_mean
from splitbrain.nodes.systems.base import (
    CAPABILITIES,
    HttpProbe,
    Machine,
    OwnImage,
    RestartPolicy,
    Servers,
    Software,
    System,
)
from splitbrain.user_systems.promises import (
    WrongPromises,
    read_electors,
    read_eligibility,
    read_promises,
    usual_promises,
)

T = TypeVar("T")

OF_IMAGE: Final = frozenset(("image", "folder", "command", "peer", "separator", "env"))
OF_CONTAINER: Final = frozenset(("capabilities", "memory_mb", "pids"))
OF_SOFTWARE: Final = frozenset(("port", "data", "ready_s", "restart", "restart_delay_ms")) | OF_IMAGE | OF_CONTAINER
OF_BOUNDS: Final = frozenset(
    ("nodes", "min_nodes", "max_nodes", "stall_bound_ms", "suspicion_ms", "round_ms", "eligibility", "elects")
) | {"wait_for_leader_s"}
TABLES: Final = frozenset(("probe", "confirm", "promises", "servers"))
KEYS: Final = frozenset(("help",)) | TABLES | OF_SOFTWARE | OF_BOUNDS
SERVER_KEYS: Final = frozenset(("count",)) | OF_SOFTWARE
MOST_NODES: Final = 50
MOST_SERVERS: Final = 9
A_DAY_MS: Final = 86_400_000
ROOT_GIVEN_UP: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""The capabilities of most images whose first process starts as root and continues as another user."""
PROBE_PATHS: Final = frozenset(("leader", "leader_term", "term", "reign"))
PROBE_KEYS: Final = frozenset(("path", "status", "leading")) | PROBE_PATHS
CONFIRM_KEYS: Final = frozenset(("path", "method"))
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALONE: Final = Machine(name="n1", system="", seed=0, nodes={"n1": "10.0.0.1"}, servers={"s1": "10.0.0.2"})
"""A machine to try texts with placeholders on."""


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


def described(path: Path) -> System:
    """The system that the file describes. Raises UsageError."""
    try:
        return described_as(path, read_whole(path, MIB).decode())
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong


def described_as(path: Path, text: str) -> System:
    """The system that a file with this text describes, which may be kept elsewhere by now. Raises UsageError."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:  # numbers of thousands of digits are a plain ValueError
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong
    return replace(_system(_Table(str(path), given, KEYS), path), origin={"description": text})


class _Table:
    """One table of a file, whose keys must be among ``keys``; messages name the file, and the key from the root on."""

    def __init__(self, where: str, given: Mapping[str, Any], keys: Collection[str], prefix: str = "") -> None:
        self.given = given
        self._where = where
        self._prefix = prefix
        for key in given:
            if key not in keys:
                near = did_you_mean(key, keys)
                raise self.refusal(f"unknown key {prefix}{key}: expected one of {', '.join(sorted(keys))}{near}")

    @property
    def name(self) -> str:
        """The name of the table before a message; empty for the root."""
        return f"{self._prefix[:-1]}: " if self._prefix else ""

    def refusal(self, words: str) -> UsageError:
        return UsageError(f"{self._where}: {words}")

    def refuse(self, key: str, expected: str, got: object) -> UsageError:
        return self.refusal(f"{self._prefix}{key}: expected {expected}, got {got!r}")

    def text(self, key: str, usual: str | None = None) -> str:
        """The text under a key, which must be there if there is no usual one."""
        if key not in self.given and usual is None:
            raise self.refusal(f"{self._prefix}{key} is missing")
        value = self.given.get(key, usual)
        if not isinstance(value, str) or not value:
            raise self.refuse(key, "a text", value)
        return value

    def number(self, key: str, usual: int | None, least: int = 1, most: int = A_DAY_MS) -> int:
        """The whole number under a key, which must be there if there is no usual one."""
        if key not in self.given and usual is None:
            raise self.refusal(f"{self._prefix}{key} is missing")
        value = self.given.get(key, usual)
        if type(value) is not int or not least <= value <= most:
            raise self.refuse(key, f"a whole number from {least} to {most}", value)
        return value

    def table(self, key: str, keys: Collection[str] | None = None) -> _Table:
        """The table under a key, empty if there is none; with any keys where none are given."""
        value = self.given.get(key, {})
        if not isinstance(value, Mapping):
            raise self.refuse(key, "a table", value)
        return _Table(self._where, value, value if keys is None else keys, f"{self._prefix}{key}.")


def _system(root: _Table, path: Path) -> System:
    min_nodes, nodes, max_nodes = _sizes(root)
    stall_bound_ms = root.number("stall_bound_ms", 5_000, least=20)
    group = _group(root)
    elects = _read(root, "elects", "none", lambda key, given: read_electors(key, given, servers=group is not None))
    return System(
        name=str(path),
        help=root.text("help", "a system described by a TOML file"),
        promises=_promises(root, elects, group is not None),
        stall_bound_ms=stall_bound_ms,
        suspicion_ms=root.number("suspicion_ms", 1_000),
        eligibility=_read(root, "eligibility", "clique", read_eligibility),
        elects=elects,
        round_ms=root.number("round_ms", stall_bound_ms),
        wait_for_leader_s=float(root.number("wait_for_leader_s", 30)),
        software=_software(root, path.parent, group, port=8_000),
        servers=None if group is None else _servers(root, path.parent, group),
        probe=_probe(root.table("probe", PROBE_KEYS), root.table("confirm", CONFIRM_KEYS)),
        min_nodes=min_nodes,
        usual_nodes=nodes,
        max_nodes=max_nodes,
    )


def _sizes(root: _Table) -> tuple[int, int, int]:
    """The smallest, the usual and the largest number of nodes."""
    usual = root.number("nodes", 3, most=MOST_NODES)
    least = root.number("min_nodes", min(2, usual), most=MOST_NODES)
    most = root.number("max_nodes", max(9, usual, least), least=least, most=MOST_NODES)
    if "nodes" not in root.given:
        usual = min(max(usual, least), most)
    if not least <= usual <= most:
        raise root.refuse("nodes", f"a number from min_nodes to max_nodes, {least} to {most}", usual)
    return least, usual, most


def _group(root: _Table) -> str | None:
    """The name of the group of servers; None if there are none."""
    names = [*root.table("servers").given]
    if len(names) > 1:
        raise root.refuse("servers", "one group", names)
    return names[0] if names else None


def _servers(root: _Table, beside: Path, group: str) -> Servers:
    table = root.table("servers").table(group, SERVER_KEYS)
    software = _software(table, beside, group, port=None)
    return Servers(count=table.number("count", 1, most=MOST_SERVERS), software=software)


def _software(table: _Table, beside: Path, servers: str | None, *, port: int | None) -> Software:
    return Software(
        image=_image(table, beside),
        command=_template(table, "command", table.given.get("command", []), servers),
        environment=_environment(table, servers),
        ports=(table.number("port", port, most=65_535),),
        data=table.text("data", "/data"),
        ready_s=float(table.number("ready_s", 30, most=3_600)),
        restart=_restart(table),
        restart_delay_ms=table.number("restart_delay_ms", 1_000, least=0),
        capabilities=_capabilities(table),
        memory_mb=table.number("memory_mb", 1024, least=8),
        pids=table.number("pids", 1024),
    )


def _restart(table: _Table) -> RestartPolicy:
    policy = table.text("restart", "never")
    if policy not in get_args(RestartPolicy):
        raise table.refuse("restart", f"one of {', '.join(get_args(RestartPolicy))}", policy)
    return policy  # type: ignore[return-value]


def _capabilities(table: _Table) -> tuple[str, ...]:
    given = table.given.get("capabilities", list(ROOT_GIVEN_UP))
    if not isinstance(given, list) or not all(each in CAPABILITIES for each in given):
        raise table.refuse("capabilities", f"a list of some of {', '.join(CAPABILITIES)}", given)
    return tuple(given)


def _image(table: _Table, beside: Path) -> OwnImage:
    if ("image" in table.given) == ("folder" in table.given):
        raise table.refusal(f"{table.name}expected one of image (a tag) and folder (with a Dockerfile)")
    if "image" in table.given:
        return OwnImage(tag=table.text("image"))
    folder = (beside / table.text("folder")).resolve()
    if not (folder / "Dockerfile").is_file():
        raise table.refuse("folder", "a folder with a Dockerfile in it", str(folder))
    return OwnImage(folder=str(folder))


def _template(table: _Table, key: str, texts: object, servers: str | None) -> Template:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise table.refuse(key, "a list of texts", texts)
    template = Template(
        texts=tuple(texts),
        peer=table.text("peer", "{name}={address}"),
        separator=table.text("separator", ","),
        servers=servers,
    )
    try:
        template(replace(ALONE, nodes={**ALONE.nodes, "n2": "10.0.0.3"}))
    except ValueError as wrong:
        group = "" if servers is None else f", {{group.{servers}}}"
        expected = f"{{name}}, {{address}}, {{peers}}{group} and {{peer}} (in peer: {{name}} and {{address}})"
        raise table.refuse(key, f"{expected}, other braces doubled", f"{texts} ({wrong})") from wrong
    return template


def _environment(table: _Table, servers: str | None) -> Callable[[Machine], Mapping[str, str]]:
    given = table.table("env").given
    if not all(isinstance(text, str) and "{peer}" not in text for text in given.values()):
        raise table.refuse("env", "texts, with {peers} for all peers", dict(given))
    template = _template(table, "env", [*given.values()], servers)
    return lambda machine: dict(zip(given, template(machine), strict=True))


def _probe(probe: _Table, confirm: _Table) -> HttpProbe:
    paths = {key: probe.text(key) for key in sorted(PROBE_PATHS & probe.given.keys())}
    if "leader_term" in paths and not {"leader", "term"} <= paths.keys():
        raise probe.refuse("leader_term", "leader and term beside it", paths["leader_term"])
    return HttpProbe(
        path=_request_path(probe),
        leading=_test(probe),
        statuses=_statuses(probe),
        **paths,
        confirm_path=_request_path(confirm) if confirm.given else None,
        confirm_method=_method(confirm),
    )


def _request_path(table: _Table) -> str:
    """A path on the node that is asked: one that begins with a slash cannot name another host."""
    path = table.text("path")
    if not re.fullmatch(r"/[!-\"$-~]*", path):
        raise table.refuse("path", "a path that begins with /, without spaces and #", path)
    return path


def _test(table: _Table) -> str:
    test = table.text("leading")
    path, equals, value = (part.strip() for part in test.partition("=="))
    if not path or "=" in path or (equals and not value):
        raise table.refuse("leading", "a path, or path == value", test)
    return test


def _statuses(table: _Table) -> tuple[int, ...]:
    given = table.given.get("status", [])
    if not isinstance(given, list) or not all(type(status) is int and 200 <= status <= 599 for status in given):
        raise table.refuse("status", "a list of HTTP statuses, from 200 to 599", given)
    return tuple(given)


def _method(table: _Table) -> str:
    method = table.text("method", "POST").upper()
    if method not in METHODS:
        raise table.refuse("method", f"one of {', '.join(METHODS)}", method)
    return method


def _promises(root: _Table, elects: Electors, servers: bool) -> PromiseTable:
    usual = usual_promises("term" in root.table("probe").given, elects)
    classes = FAULT_CLASSES if servers else NODE_FAULT_CLASSES
    return _read(root, "promises", {}, lambda key, given: read_promises(key, given, usual, classes))


def _read(root: _Table, key: str, usual: object, read: Callable[[str, object], T]) -> T:
    """The value under a key, converted by ``read``. Raises UsageError."""
    try:
        return read(key, root.given.get(key, usual))
    except WrongPromises as wrong:
        raise root.refuse(wrong.key, wrong.expected, wrong.got) from wrong
