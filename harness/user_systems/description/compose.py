"""Take machines over from a Compose file (github.com/compose-spec/compose-spec, chapter "Services").

A service becomes the keys of one machine, as a description would have them. What a run cannot take over is named, since
a cluster that silently differs from the one of the file would be judged in its place. Texts have no placeholders.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from splitbrain.checkers.files import MIB, read_whole
from splitbrain.errors import UsageError
from splitbrain.names import did_you_mean
from splitbrain.nodes.systems.base import LEAST_MEMORY_MB
from splitbrain.user_systems.description.containers import SIZE
from splitbrain.user_systems.description.table import NotOfKind

EXTENSION: Final = "x-splitbrain"
"""The key of a Compose file under which it is a description by itself."""
VARIABLE: Final = re.compile(
    r"\$(?:\$|\{(?P<braced>\w+)(?:(?P<how>:?[-?+])(?P<other>[^}]*))?\}|(?P<name>\w+))", re.ASCII
)
RESTARTS: Final = {"no": "never", "always": "always", "unless-stopped": "always", "on-failure": "on-failure"}
SAME: Final = ("user", "working_dir", "cap_add", "devices", "init", "stop_signal")
NAMES: Final = ("container_name", "hostname")
WITHOUT_MEANING: Final = frozenset(
    (
        "container_name",
        "hostname",
        "labels",
        "logging",
        "annotations",
        "networks",
        "depends_on",
        "healthcheck",
        "profiles",
    )
)
"""Taken for what a run does anyway: one network, servers before nodes, readiness by answers."""
REFUSED: Final = {
    "extends": "a service that is written out",
    "network_mode": "the network of the run",
    "privileged": "single capabilities and devices (cap_add, devices)",
    "pid": "a process namespace of its machine",
    "ipc": "an IPC namespace of its machine",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """The keys of machines that a Compose file gives: of nodes by name, and of servers by service. ``notes`` names what
    it has that was not taken over."""

    nodes: Mapping[str, Mapping[str, Any]]
    servers: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]


def read_compose(file: Path) -> tuple[str, Mapping[str, Any]]:
    """The text of a Compose file and what it says. Raises UsageError."""
    try:
        text = read_whole(file, MIB).decode()
    except OSError as failure:
        raise UsageError(f"{file}: cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{file}: no YAML: {wrong}") from wrong
    return text, parsed(file, text)


def parsed(file: Path, text: str) -> Mapping[str, Any]:
    """What a Compose file of that text says, without values for its variables yet. Raises UsageError."""
    try:
        found = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as wrong:
        raise UsageError(f"{file}: no YAML: {' '.join(str(wrong).split())}") from wrong
    if not isinstance(found, dict) or not isinstance(found.get("services"), dict):
        raise UsageError(f"{file}: services: expected a table of services, as a Compose file has")
    return found


class _Loader(yaml.SafeLoader):
    """The safe loader, with a limit on what aliases may unfold to."""

    MOST_ALIASES: Final = 1_000

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > self.MOST_ALIASES:
                raise ValueError(f"more than {self.MOST_ALIASES} aliases")
        return super().compose_node(parent, index)


def take_over(file: Path, compose: Mapping[str, Any], services: Mapping[str, str], base: Path) -> Taken:
    """The keys of the machines that ``services`` names: ``n1`` and so on for nodes, ``s1`` and so on for servers.

    Files that they name are given from ``base``, the folder of the description.
    Raises UsageError for a service that there is not, and for what would change the meaning of a run.
    """
    known = compose["services"]
    for machine, service in services.items():
        if service not in known:
            there_are = f"expected one of {', '.join(map(str, known))}"
            raise UsageError(f"{file}: services: {there_are}, got {service!r}{did_you_mean(service, known)}")
        if not re.fullmatch("[ns][1-9][0-9]?", machine):
            raise UsageError(f"services.{machine}: expected a machine: n1, n2, ... or s1, s2, ...")
    variables = {**_dot_env(file.parent / ".env"), **os.environ}
    taken = {machine: _Service(file, base, service, known[service], variables) for machine, service in services.items()}
    keys = {machine: service.keys() for machine, service in taken.items()}
    nodes = {machine: each for machine, each in keys.items() if machine.startswith("n")}
    if sorted(nodes) != sorted(f"n{at}" for at in range(1, len(nodes) + 1)) or not nodes:
        raise UsageError(f"services: expected n1, n2 and so on without a gap, got {', '.join(services)}")
    notes = [note for service in taken.values() for note in service.notes]
    left = [service for service in known if service not in services.values()]
    notes += [f"{file.name}: the service {service} is not started" for service in left]
    servers = {services[machine]: keys[machine] for machine in services if machine not in nodes}
    for group, table in servers.items():
        if "port" not in table:
            raise UsageError(f"{file}: services.{group}: expected ports or expose, by which it is known to be ready")
    return Taken(nodes=nodes, servers=servers, notes=tuple(dict.fromkeys(notes)))


def _dot_env(file: Path) -> dict[str, str]:
    """The variables of a file ``.env``, none if there is none."""
    try:
        lines = read_whole(file, MIB).decode(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


@dataclass(slots=True)
class _Service:
    """One service of a Compose file, and what of it is not taken over."""

    file: Path
    base: Path  # the folder of the description
    name: str
    given: Any
    variables: Mapping[str, str]
    notes: list[str] = field(default_factory=list)

    def keys(self) -> dict[str, Any]:
        """The keys of its machine."""
        if not isinstance(self.given, dict):
            raise self.wrong("", "a table", self.given)
        given = self._filled(self.given, "")
        for key, instead in REFUSED.items():
            if given.get(key):
                raise self.wrong(key, instead, given[key])
        readers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "image": lambda value: {} if "build" in given else {"image": self._text("image", value)},
            "build": self._build,
            "command": lambda value: {"command": self._words("command", value)},
            "entrypoint": lambda value: {"entrypoint": self._words("entrypoint", value)},
            "environment": lambda value: {},
            "env_file": lambda value: {},
            "volumes": self._volumes,
            "tmpfs": lambda value: {"tmpfs": [value] if isinstance(value, str) else value},
            "restart": self._restart,
            "sysctls": lambda value: {"sysctls": self._pairs("sysctls", value)},
            "ulimits": lambda value: {"ulimits": value},
            "shm_size": lambda value: {"shm_size": value},
            "mem_limit": lambda value: {"memory_mb": self._memory(value)},
            "pids_limit": lambda value: {"pids": value} if type(value) is int and value > 0 else {},
            "ports": lambda value: {},
            "expose": lambda value: {},
            "cap_drop": lambda value: {},  # a machine has few capabilities anyway
        }
        found: dict[str, Any] = {}
        for key, value in given.items():
            if key in readers and value is not None:
                found |= readers[key](value)
            elif key in SAME:
                found[key] = value
            elif key not in WITHOUT_MEANING and key not in readers and not key.startswith("x-"):
                self.notes.append(f"{self.file.name}: services.{self.name}.{key} is not taken over")
        if "image" not in found and "folder" not in found:
            raise self.wrong("image", "image or build", None)
        aliases = [self.name, *(str(given[key]) for key in NAMES if given.get(key)), *_aliases(given.get("networks"))]
        return {**found, **self._env(given), **self._ports(given), "aliases": list(dict.fromkeys(aliases))}

    def wrong(self, key: str, expected: str, got: object) -> UsageError:
        where = f"services.{self.name}{f'.{key}' if key else ''}"
        return UsageError(f"{self.file}: {where}: expected {expected}, got {got!r}")

    def _filled(self, value: Any, key: str) -> Any:
        """The value with its variables filled in."""
        match value:
            case str():
                return VARIABLE.sub(lambda found: self._variable(found, key), value)
            case dict():
                return {str(name): self._filled(each, f"{key}.{name}".lstrip(".")) for name, each in value.items()}
            case list():
                return [self._filled(each, key) for each in value]
        return value

    def _variable(self, found: re.Match[str], key: str) -> str:
        name, how, other = found["braced"] or found["name"], found["how"] or "", found["other"] or ""
        if name is None:
            return "$"
        value = self.variables.get(name)
        there = value is not None and (bool(value) or not how.startswith(":"))
        if how.endswith("+"):
            return other if there else ""
        if value is not None and there:
            return value
        if how.endswith("?"):
            raise self.wrong(key, f"the variable {name} ({other or 'required'})", None)
        return other

    def _text(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.wrong(key, "a text", value)
        return value

    def _words(self, key: str, value: Any) -> list[str]:
        """The words of a command, as a list or as a line for a shell to split; no placeholder is meant by a brace."""
        try:
            words = shlex.split(value) if isinstance(value, str) else [_scalar(word) for word in value]
        except (TypeError, ValueError) as wrong:
            raise self.wrong(key, "a list of words, or a line of them", value) from wrong
        return [_plain(word) for word in words]

    def _pairs(self, key: str, value: Any) -> dict[str, str]:
        """A table, given as one or as a list of ``name=value``."""
        if isinstance(value, dict):
            return {name: _scalar(each) for name, each in value.items() if each is not None}
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return {name: text for name, equals, text in (each.partition("=") for each in value) if equals}
        raise self.wrong(key, "a table, or a list of NAME=VALUE", value)

    def _env(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of its files, and those that stand in the Compose file itself, which win."""
        files = given.get("env_file") or []
        read: dict[str, str] = {}
        for each in [files] if isinstance(files, str | dict) else files:
            file = self.file.parent / str(each.get("path") if isinstance(each, dict) else each)
            if not file.is_file() and not (isinstance(each, dict) and each.get("required") is False):
                raise self.wrong("env_file", "a file beside the Compose file", str(each))
            read |= _dot_env(file)
        found = {**read, **self._environment(given.get("environment") or {})}
        return {"env": {name: _plain(text) for name, text in found.items()}} if found else {}

    def _environment(self, value: Any) -> dict[str, str]:
        from_outside = [
            name
            for name in (value if isinstance(value, list) else value if isinstance(value, dict) else ())
            if isinstance(name, str) and "=" not in name and (isinstance(value, list) or value[name] is None)
        ]
        inherited = {name: self.variables[name] for name in from_outside if name in self.variables}
        return {**inherited, **self._pairs("environment", value)}

    def _build(self, value: Any) -> dict[str, Any]:
        build = {"context": value} if isinstance(value, str) else value
        if not isinstance(build, dict) or not isinstance(build.get("context"), str):
            raise self.wrong("build", "a folder, or a table with context", value)
        if build.get("dockerfile", "Dockerfile") != "Dockerfile":
            raise self.wrong("build.dockerfile", "Dockerfile, in the folder that is the context", build["dockerfile"])
        self.notes += [
            f"{self.file.name}: services.{self.name}.build.{key} is not taken over"
            for key in build
            if key not in ("context", "dockerfile")
        ]
        return {"folder": str((self.file.parent / build["context"]).resolve())}

    def _volumes(self, value: Any) -> dict[str, Any]:
        """Files of the folder are put into the container; the first named volume is its durable state."""
        if not isinstance(value, list):
            raise self.wrong("volumes", "a list", value)
        files: dict[str, Any] = {}
        data: list[str] = []
        tmpfs: list[str] = []
        for volume in map(self._volume, value):
            kind, source, target = volume
            if kind == "tmpfs":
                tmpfs.append(target)
            elif kind == "bind":
                if not (self.file.parent / source).exists():
                    raise self.wrong("volumes", "a file or folder that there is", source)
                files[target] = {"from": os.path.relpath(self.file.parent / source, self.base)}
            else:
                data.append(target)
        self.notes += [
            f"{self.file.name}: services.{self.name}: {each} is no durable state that a fault removes"
            for each in data[1:]
        ]
        return {
            **({"files": files} if files else {}),
            **({"data": data[0]} if data else {}),
            **({"tmpfs": tmpfs} if tmpfs else {}),
        }

    def _volume(self, value: Any) -> tuple[str, str, str]:
        """The kind, source and target of a volume."""
        match value:
            case str():
                first, _, after = value.partition(":")
                target = after.partition(":")[0]
                if not target:
                    return "volume", "", first
                return ("bind" if first.startswith((".", "/", "~")) else "volume"), first, target
            case {"target": str(target), **rest}:
                return str(rest.get("type", "volume")), str(rest.get("source", "")), target
        raise self.wrong("volumes", "SOURCE:TARGET, or a table with target", value)

    def _restart(self, value: Any) -> dict[str, Any]:
        policy = "no" if value is False else str(value).partition(":")[0]  # YAML takes a bare no for false
        if policy not in RESTARTS:
            raise self.wrong("restart", f"one of {', '.join(RESTARTS)}", value)
        return {"restart": RESTARTS[policy]}

    def _memory(self, value: Any) -> int:
        try:
            return max(LEAST_MEMORY_MB, SIZE.read(value) >> 20)
        except NotOfKind as wrong:
            raise self.wrong("mem_limit", SIZE.expected, value) from wrong

    def _ports(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The ports within the container; the first is the one that is asked."""
        ports = list(dict.fromkeys(map(self._port, [*(given.get("ports") or ()), *(given.get("expose") or ())])))
        if not ports:
            return {}
        return {"port": ports[0], **({"ports": ports[1:]} if ports[1:] else {})}

    def _port(self, value: Any) -> int:
        text = str(value.get("target") if isinstance(value, dict) else value)
        last = text.rpartition(":")[2].partition("/")[0]
        if not last.isdecimal():
            raise self.wrong("ports", "single ports such as 8080 or 80:8080", value)
        return int(last)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise TypeError
    return str(value)


def _plain(text: str) -> str:
    """The text as a description writes it: doubled braces stand for single ones."""
    return text.replace("{", "{{").replace("}", "}}")


def _aliases(networks: Any) -> Iterable[str]:
    tables = networks.values() if isinstance(networks, dict) else ()
    return [str(alias) for table in tables if isinstance(table, dict) for alias in table.get("aliases") or ()]
