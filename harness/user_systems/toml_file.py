"""A system described by a TOML file: an image, the command that starts it, and the requests that observe it.

An invalid file is refused before anything runs; the message names the key, the value expected and the value found.
docs/your-own-image.md describes each key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, get_args

from splitbrain.errors import UsageError
from splitbrain.names import Electors, Eligibility, PromiseTable
from splitbrain.nodes.systems.base import (
    HttpProbe,
    Machine,
    NoOptions,
    OwnImage,
    RestartPolicy,
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

OF_SOFTWARE: Final = frozenset(
    ("image", "folder", "command", "peer", "separator", "port", "data", "ready_s", "restart", "restart_delay_ms")
)
OF_BOUNDS: Final = frozenset(
    ("nodes", "min_nodes", "max_nodes", "stall_bound_ms", "suspicion_ms", "round_ms", "eligibility", "elects")
)
KEYS: Final = frozenset(("help", "probe", "confirm", "promises")) | OF_SOFTWARE | OF_BOUNDS
PROBE_KEYS: Final = frozenset(("path", "status", "leading", "leader", "leader_term", "term", "reign"))
CONFIRM_KEYS: Final = frozenset(("path", "method"))
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A command in which ``{name}``, ``{address}`` and ``{peers}`` stand for a machine's own; a word that holds
    ``{peer}`` comes once for each of the others."""

    words: tuple[str, ...]
    peer: str
    separator: str

    def __call__(self, machine: Machine) -> Sequence[str]:
        others = [
            self.peer.format(name=name, address=address)
            for name, address in machine.nodes.items()
            if name != machine.name
        ]
        own = {"name": machine.name, "address": machine.nodes[machine.name], "peers": self.separator.join(others)}
        return [word.format(peer=peer, **own) for word in self.words for peer in (others if "{peer}" in word else [""])]


def described(path: Path) -> System:
    """The system that the file describes. Raises UsageError."""
    try:
        return described_as(path, path.read_text())
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong


def described_as(path: Path, text: str) -> System:
    """The system that a file with this text describes, which may be kept elsewhere by now. Raises UsageError."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise UsageError(f"{path}: no TOML: {wrong}") from wrong
    return replace(_System(str(path), told).system(path), origin={"description": text})


class _System:
    """One file being read; ``where`` is how messages name it."""

    def __init__(self, where: str, told: Mapping[str, Any]) -> None:
        self._where = where
        self._given = told

    def system(self, path: Path) -> System:
        self._closed("", self._given, KEYS)
        min_nodes, nodes, max_nodes = self._sizes()
        stall_bound_ms = self._number("stall_bound_ms", 5_000, least=20)
        return System(
            name=str(path),
            help=self._text("help", "a system described by a TOML file"),
            promises=self._promises(),
            stall_bound_ms=stall_bound_ms,
            suspicion_ms=self._number("suspicion_ms", 1_000),
            eligibility=self._eligibility(),
            message_complexity="not stated",
            options=NoOptions(),
            factory=None,
            elects=self._electors(),
            round_ms=self._number("round_ms", stall_bound_ms),
            software=Software(
                image=self._image(path.parent),
                command=self._command(),
                ports=(self._number("port", 8000),),
                data=self._text("data", "/data"),
                ready_s=float(self._number("ready_s", 30)),
                restart=self._restart(),
                restart_delay_ms=self._number("restart_delay_ms", 1_000, least=0),
            ),
            probe=self._probe(),
            min_nodes=min_nodes,
            usual_nodes=nodes,
            max_nodes=max_nodes,
        )

    def _refuse(self, key: str, expected: str, got: object) -> UsageError:
        return UsageError(f"{self._where}: {key}: expected {expected}, got {got!r}")

    def _closed(self, table: str, told: Mapping[str, Any], keys: frozenset[str]) -> None:
        for key in told:
            if key not in keys:
                raise UsageError(f"{self._where}: unknown key {table}{key}: expected one of {', '.join(sorted(keys))}")

    def _text(self, key: str, usual: str | None) -> str:
        value = self._given.get(key, usual)
        if not isinstance(value, str) or not value:
            raise self._refuse(key, "a text", value)
        return value

    def _number(self, key: str, usual: int, least: int = 1) -> int:
        value = self._given.get(key, usual)
        if type(value) is not int or value < least:
            raise self._refuse(key, f"a whole number from {least}", value)
        return value

    def _sizes(self) -> tuple[int, int, int]:
        """The smallest, the usual and the largest number of nodes."""
        usual = self._number("nodes", 3)
        least = self._number("min_nodes", min(2, usual))
        most = self._number("max_nodes", max(9, usual, least), least=least)
        if "nodes" not in self._given:
            usual = min(max(usual, least), most)
        if not least <= usual <= most:
            raise self._refuse("nodes", f"a number from min_nodes to max_nodes, {least} to {most}", usual)
        return least, usual, most

    def _table(self, key: str, keys: frozenset[str]) -> Mapping[str, Any]:
        value = self._given.get(key, {})
        if not isinstance(value, Mapping):
            raise self._refuse(key, "a table", value)
        self._closed(f"{key}.", value, keys)
        return value

    def _texts(self, key: str, table: Mapping[str, Any]) -> Mapping[str, str]:
        for name, text in table.items():
            if not isinstance(text, str) or not text:
                raise self._refuse(f"{key}.{name}", "a text", text)
        return table

    def _image(self, beside: Path) -> OwnImage:
        if ("image" in self._given) == ("folder" in self._given):
            raise UsageError(f"{self._where}: expected one of image (a tag) and folder (with a Dockerfile)")
        if "image" in self._given:
            return OwnImage(tag=self._text("image", None))
        folder = (beside / self._text("folder", None)).resolve()
        if not (folder / "Dockerfile").is_file():
            raise self._refuse("folder", "a folder with a Dockerfile in it", str(folder))
        return OwnImage(folder=str(folder))

    def _command(self) -> Callable[[Machine], Sequence[str]]:
        words = self._given.get("command", [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise self._refuse("command", "a list of texts", words)
        template = Template(
            words=tuple(words),
            peer=self._text("peer", "{name}={address}"),
            separator=self._text("separator", ","),
        )
        machine = Machine(name="n1", system="", seed=0, nodes={"n1": "10.0.0.1", "n2": "10.0.0.2"}, servers={})
        try:
            template(machine)
        except (KeyError, IndexError, ValueError) as wrong:
            expected = "{name}, {address}, {peers} and {peer} (in peer: {name} and {address}), other braces doubled"
            raise self._refuse("command", expected, f"{words} ({wrong})") from wrong
        return template

    def _restart(self) -> RestartPolicy:
        policy = self._text("restart", "never")
        if policy not in get_args(RestartPolicy):
            raise self._refuse("restart", f"one of {', '.join(get_args(RestartPolicy))}", policy)
        return policy  # type: ignore[return-value]

    def _probe(self) -> HttpProbe:
        given = self._table("probe", PROBE_KEYS)
        probe = self._texts("probe", {key: value for key, value in given.items() if key != "status"})
        confirm = self._texts("confirm", self._table("confirm", CONFIRM_KEYS))
        self._check_path("probe", probe)
        self._check_test(probe)
        if "leader_term" in probe and not {"leader", "term"} <= probe.keys():
            raise self._refuse("probe.leader_term", "leader and term beside it", probe["leader_term"])
        if confirm:
            self._check_path("confirm", confirm)
        return HttpProbe(
            **probe,
            statuses=self._statuses(given.get("status", [])),
            confirm_path=confirm.get("path"),
            confirm_method=self._method(confirm.get("method", "POST")),
        )

    def _check_path(self, table: str, given: Mapping[str, str]) -> None:
        """Refuse all but a path on the node that is asked: one that begins with a slash cannot name another host."""
        if "path" not in given:
            raise UsageError(f"{self._where}: {table}.path is missing")
        if not re.fullmatch(r"/[!-\"$-~]*", given["path"]):
            raise self._refuse(f"{table}.path", "a path that begins with /, without spaces and #", given["path"])

    def _check_test(self, given: Mapping[str, str]) -> None:
        if "leading" not in given:
            raise UsageError(f"{self._where}: probe.leading is missing")
        path, equals, value = (part.strip() for part in given["leading"].partition("=="))
        if not path or "=" in path or (equals and not value):
            raise self._refuse("probe.leading", "a path, or path == value", given["leading"])

    def _statuses(self, given: object) -> tuple[int, ...]:
        if not isinstance(given, list) or not all(type(status) is int and 200 <= status <= 599 for status in given):
            raise self._refuse("probe.status", "a list of HTTP statuses, from 200 to 599", given)
        return tuple(given)

    def _method(self, given: str) -> str:
        if given.upper() not in METHODS:
            raise self._refuse("confirm.method", f"one of {', '.join(METHODS)}", given)
        return given.upper()

    def _promises(self) -> PromiseTable:
        usual = usual_promises("term" in self._table("probe", PROBE_KEYS), self._electors())
        try:
            return read_promises("promises", self._given.get("promises", {}), usual)
        except WrongPromises as wrong:
            raise self._refuse(wrong.key, wrong.expected, wrong.got) from wrong

    def _electors(self) -> Electors:
        try:
            return read_electors("elects", self._given.get("elects", "none"))
        except WrongPromises as wrong:
            raise self._refuse(wrong.key, wrong.expected, wrong.got) from wrong

    def _eligibility(self) -> Eligibility:
        try:
            return read_eligibility("eligibility", self._given.get("eligibility", "clique"))
        except WrongPromises as wrong:
            raise self._refuse(wrong.key, wrong.expected, wrong.got) from wrong
