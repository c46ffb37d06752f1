"""Systems given as Python: a class, a function or a ``System`` of a user.

A class that does not implement the node protocol is refused before anything runs. A node that breaks the protocol
during a run is named with the time, the event, and the file and line. A node that raises is neither a finding about its
election nor a failure of the harness but a mistake in the code that was given, so all of this is ``UsageError``.

The class or function is called as ``target(id, peers, rng, boot, state)`` and returns a ``nodes.protocol.Node``. It
promises everything, unless its attributes ``splitbrain_...`` say otherwise or it is a ``System``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, get_args

from splitbrain.errors import UsageError
from splitbrain.names import Electors, Eligibility, Promises, PromiseTable, did_you_mean
from splitbrain.nodes.protocol import Effect, Event, Json, Node, Persist, Send, SetTimer, Started, Status
from splitbrain.nodes.systems.base import Factory, NoOptions, System
from splitbrain.user_systems.process_node import WrongProgram
from splitbrain.user_systems.promises import (
    WrongPromises,
    read_electors,
    read_eligibility,
    read_promises,
    usual_promises,
)

CALLED_AS: Final = ("id", "peers", "rng", "boot", "state")
PREFIX: Final = "splitbrain_"
ATTRIBUTES: Final = (
    "promises",
    "eligibility",
    "elects",
    "stall_bound_ms",
    "suspicion_ms",
    "round_ms",
    "terms",
    "highest_leads",
    "min_nodes",
    "max_nodes",
)
"""What a class may say about itself, by attributes of these names after the prefix."""
EFFECTS: Final = frozenset(get_args(Effect))
LONGEST_EVENT: Final = 300  # characters of an event in a message
PACKAGES_OF_0_1: Final = frozenset({"nodes", "nemesis", "checkers", "reports"})
MOST_FRAMES: Final = 8  # of a traceback in a message
WHEN_STARTED: Final = "while it was being started"

MakeNode = Callable[[str, Sequence[str], Random, str, Mapping[str, Json] | None], Node]


class NodeFailure(UsageError):
    """A user's node raised, or returned a value that no node may return. The run ends."""


@functools.cache
def system_at(spec: str) -> System:
    """The system at ``package.module:Name``, looked for in the current directory too. Raises UsageError."""
    return system_of(_load(spec), spec)


def system_of(target: object, name: str) -> System:
    """The system that ``target`` is, or makes nodes of; runs are stored under ``name``. Raises UsageError."""
    if isinstance(target, System):
        make: MakeNode = target.make_node
        guarding, origin = _Guarding(name, make, None), _origin(target.factory)
        return dataclasses.replace(
            target, name=name, options=NoOptions(), factory=guarding, on_containers=False, origin=origin
        )
    if not callable(target):
        hint = " (an instance: give its class)" if hasattr(target, "handle") else ""
        raise UsageError(f"{name}: expected a class, a function that makes nodes, or a System, got {target!r}{hint}")
    _check_attributes(target, name)
    _check_call(target, name)
    return _system(target, name, has_terms=_has_terms(target, name))


def guarded(name: str, make: Callable[..., object], has_terms: bool) -> Factory:
    """A factory of nodes that ``make`` makes, all of whose effects and statuses are checked."""
    return _Guarding(name, make, has_terms)


def name_of(target: object) -> str:
    """The name of a system given as an object: ``module:Name``, or the name of a System."""
    if isinstance(target, System):
        return target.name
    name = getattr(target, "__qualname__", type(target).__qualname__)
    return f"{getattr(target, '__module__', '?')}:{name}"


# Finding the system


def _load(spec: str) -> object:
    module_name, _, attribute = spec.partition(":")
    names = (*module_name.split("."), *attribute.split("."))
    if not all(name.isidentifier() for name in names):
        raise UsageError(f"{spec}: expected package.module:Name")
    found: object = _import(module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{spec}: {_lacks(found, name)}")
        found = getattr(found, name)
    return found


def _import(name: str) -> object:
    # As with "python -m", modules in the current directory can be named; a console script has its own directory there.
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{name}.".startswith(f"{missing.name}."):
            raise UsageError(f"{name} could not be imported: {_last_line(missing)}{_moved(missing)}") from missing
        raise UsageError(f"there is no module {missing.name!r}, neither installed nor in {Path.cwd()}") from missing
    except (Exception, SystemExit) as failure:
        raise UsageError(f"{name} could not be imported: {_last_line(failure)}") from failure


def _moved(missing: ModuleNotFoundError) -> str:
    """A hint for code that was written for 0.1, whose packages were at the top level."""
    package = str(missing.name).partition(".")[0]
    return f"; splitbrain.{package} is its name since 0.2" if package in PACKAGES_OF_0_1 else ""


def _lacks(owner: object, name: str) -> str:
    where = getattr(owner, "__name__", repr(owner))
    known = [each for each in vars(owner) if not each.startswith("_")]
    return f"there is no {name!r} in {where}{did_you_mean(name, known, most=3)}"


def _origin(target: object) -> dict[str, str]:
    """The source file of the class by name, with its digest; empty where there is none."""
    try:
        source = Path(inspect.getsourcefile(target) or "")  # type: ignore[arg-type]
        return {"source": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    except (TypeError, OSError):
        return {}


# Its promises


def _system(target: Callable[..., object], name: str, *, has_terms: bool) -> System:
    def declared(attribute: str, usual: int, least: int = 1) -> int:
        value = getattr(target, f"{PREFIX}{attribute}", usual)
        if type(value) is not int or value < least:
            raise UsageError(f"{name}.{PREFIX}{attribute}: expected a whole number from {least}, got {value!r}")
        return value

    stall_bound_ms, min_nodes = declared("stall_bound_ms", 2_100), declared("min_nodes", 2)
    elects = _electors(target, name)
    return System(
        name=name,
        help=_first_line(target),
        promises=_promises(target, name, has_terms, elects),
        stall_bound_ms=stall_bound_ms,
        suspicion_ms=declared("suspicion_ms", 300),
        eligibility=_eligibility(target, name),
        factory=_Guarding(name, target, has_terms),
        on_containers=False,
        origin=_origin(target),
        elects=elects,
        round_ms=declared("round_ms", stall_bound_ms),
        features=frozenset({"tokens", "highest"} if _flag(target, name, "highest_leads", False) else {"tokens"}),
        min_nodes=min_nodes,
        max_nodes=declared("max_nodes", max(101, min_nodes), least=min_nodes),
    )


def _promises(target: object, name: str, has_terms: bool, elects: Electors) -> PromiseTable:
    """The promises that the class declares, but for guarantees that have no meaning for it: these are undefined."""
    usual = usual_promises(has_terms, elects)
    try:
        table = read_promises(f"{name}.splitbrain_promises", getattr(target, "splitbrain_promises", {}), usual)
    except WrongPromises as wrong:
        raise UsageError(str(wrong)) from wrong
    return {each: {**row, **_undefined(usual)} for each, row in table.items()}


def _undefined(promises: Promises) -> Promises:
    return {guarantee: promise for guarantee, promise in promises.items() if promise == "undefined"}


def _eligibility(target: object, name: str) -> Eligibility:
    try:
        return read_eligibility(f"{name}.splitbrain_eligibility", getattr(target, "splitbrain_eligibility", "clique"))
    except WrongPromises as wrong:
        raise UsageError(str(wrong)) from wrong


def _electors(target: object, name: str) -> Electors:
    try:
        return read_electors(f"{name}.splitbrain_elects", getattr(target, "splitbrain_elects", "nodes"))
    except WrongPromises as wrong:
        raise UsageError(str(wrong)) from wrong


def _first_line(target: object) -> str:
    return (inspect.getdoc(target) or "a node class").splitlines()[0]


# A trial before anything runs


def _check_attributes(target: object, name: str) -> None:
    """Refuse a misspelt attribute: the class would be held to promises that it does not make."""
    for attribute in dir(target):
        said = attribute.removeprefix(PREFIX)
        if attribute.startswith(PREFIX) and said not in ATTRIBUTES:
            expected = f"after {PREFIX} one of {', '.join(ATTRIBUTES)}"
            raise UsageError(f"{name}.{attribute}: expected {expected}, got {said!r}{did_you_mean(said, ATTRIBUTES)}")


def _check_call(target: Callable[..., object], name: str) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # written in C: only a call shows its signature
        return
    try:
        signature.bind(*CALLED_AS)
    except TypeError as wrong:
        raise UsageError(f"{name} is called as ({', '.join(CALLED_AS)}), and it takes {signature}: {wrong}") from wrong


def _has_terms(target: Callable[..., Any], name: str) -> bool:
    """True if a node that is started for a trial has a term; ``splitbrain_terms`` overrides it."""
    node = _Guarding(name, target, None)("n1", ("n2", "n3"), None, Random(0), "trial")
    node.handle(Started(0))
    term = node.status(0).term
    return _flag(target, name, "terms", term is not None)


def _flag(target: object, name: str, attribute: str, usual: bool) -> bool:
    declared = getattr(target, f"{PREFIX}{attribute}", usual)
    if type(declared) is not bool:
        raise UsageError(f"{name}.{PREFIX}{attribute}: expected True or False, got {declared!r}")
    return declared


# Checking its nodes


@dataclass(frozen=True, slots=True)
class _Guarding:
    """Makes nodes that are guarded. ``has_terms`` is None where that is not known."""

    name: str
    make: Callable[..., object]
    has_terms: bool | None

    def __call__(
        self,
        id: str,
        peers: Sequence[str],
        options: Any,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> Node:
        try:
            node = self.make(id, peers, rng, boot, state)
        except Exception as error:
            raise NodeFailure(_raised(f"{self.name} as {id} raised {WHEN_STARTED}", error)) from error
        unsupported = [method for method in ("handle", "status") if not callable(getattr(node, method, None))]
        if unsupported:
            raise UsageError(
                f"{self.name} gave {node!r}, which has no {' and no '.join(unsupported)}: it is not a Node"
            )
        return _Guarded(node, self.name, id, frozenset(peers), self.has_terms)  # type: ignore[arg-type]


class _Guarded:
    """Checks all that a node returns."""

    __slots__ = ("_has_terms", "_id", "_name", "_node", "_peers", "_started")

    def __init__(self, node: Node, name: str, id: str, peers: frozenset[str], has_terms: bool | None) -> None:
        self._node = node
        self._name = name
        self._id = id
        self._peers = peers
        self._has_terms = has_terms
        self._started = 0

    def handle(self, event: Event) -> list[Effect]:
        if type(event) is Started:
            self._started = event.at
        try:
            effects = self._node.handle(event)
        except Exception as error:
            raise NodeFailure(_raised(f"{self._who(event.at)} raised on {_shown(event)}", error)) from error
        if type(effects) is not list:
            raise self._wrong(event, "a list of effects", effects)
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                if effect[0] not in self._peers:  # type: ignore[index]
                    raise self._wrong(event, f"messages to {', '.join(sorted(self._peers))} only", effect)
                if type(effect[1]) is not str:  # type: ignore[index]
                    raise self._wrong(event, "a message's kind as a string", effect)
            elif kind not in EFFECTS:
                raise self._wrong(event, "effects of splitbrain.nodes.protocol only", effect)
            elif kind is SetTimer:
                after = effect.after  # type: ignore[union-attr]
                if type(after) is not int or after < 0:
                    raise self._wrong(event, "a timer's time as whole nanoseconds from 0", effect)
            elif kind is Persist and not _is_json(effect.state):  # type: ignore[union-attr]
                raise self._wrong(event, "a mapping that JSON can hold as the state", effect)
        return effects

    def status(self, at: int) -> Status:
        try:
            said = self._node.status(at)
        except Exception as error:
            raise NodeFailure(_raised(f"{self._who(at)} raised when asked for its status", error)) from error
        if problem := _wrong_status(said, self._has_terms):
            raise NodeFailure(f"{self._who(at)} gave a wrong status: expected {problem}, got {said!r}")
        return said

    def _who(self, at: int) -> str:
        return f"{self._name} as {self._id}, {(at - self._started) / 1e9:.3f} s after it was started,"

    def _wrong(self, event: Event, expected: str, got: object) -> NodeFailure:
        return NodeFailure(f"{self._who(event.at)} gave on {_shown(event)}: expected {expected}, got {got!r}")


def _wrong_status(said: object, has_terms: bool | None) -> str | None:
    """The value that was expected instead; None if the status is correct."""
    match said:
        case Status(
            leading=bool(), leader=str() | None, term=int() | None as term, reign=str() | None, vote=str() | None
        ):
            pass
        case Status():
            return "leading True or False, leader, reign and vote a string or None, term a whole number or None"
        case _:
            return "a splitbrain.nodes.protocol.Status"
    if term is not None and (type(term) is bool or term < 0):
        return "a term from 0"
    if term is not None and has_terms is False:
        return "no term, since it had none when it was first started (or else declare splitbrain_terms = True)"
    return None


def _is_json(state: object) -> bool:
    try:
        json.dumps(dict(state))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return False
    return True


def _shown(event: Event) -> str:
    text = repr(event)
    return text if len(text) <= LONGEST_EVENT else f"{text[:LONGEST_EVENT]}…"


def _raised(what: str, error: Exception) -> str:
    """The failure in words, and the last frames of the traceback, all of them in the user's code."""
    if isinstance(error, WrongProgram):
        return f"{what}: {error}"
    frames = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
    lines = "".join(traceback.format_list(frames[-MOST_FRAMES:])).rstrip()
    return f"{what}\n{lines}\n{_last_line(error)}"


def _last_line(error: BaseException) -> str:
    """The last line of a traceback, and the file and line it ends in."""
    words = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{words} ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{words} ({frames[-1].filename}:{frames[-1].lineno})" if frames else words
