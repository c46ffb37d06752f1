"""Reads the promises of a system that a user brings.

Promises are given as the name of a preset (``splitbrain.names.PRESETS``), as a table (``nodes.systems.promises``), as
one row for all fault classes, or as a mapping from fault classes to rows. A row is a mapping from guarantees to
promises, or one mark for each in the order of ``splitbrain.names.GUARANTEES``. Old files name fault classes by their
codes, and their rows have six marks, for the guarantees of ``splitbrain.names.OLD_GUARANTEES``.

A system that says nothing of its disk is not held to have survived the loss of it: ``state-loss`` needs a row of its
own, and one for all fault classes does not include it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, get_args

from splitbrain.names import (
    ELECTORS_IN_WORDS,
    GUARANTEES,
    MARKS,
    NODE_FAULT_CLASSES,
    OLD_GUARANTEES,
    PART_OF_BEFORE,
    PRESET_AT,
    SERVER,
    Electors,
    Eligibility,
    FaultClass,
    Guarantee,
    Preset,
    Promise,
    Promises,
    PromiseTable,
    fault_class_of,
    preset_named,
    promise_of,
)
from splitbrain.nodes.systems.base import System
from splitbrain.nodes.systems.bully import PROMISES as BULLY_PROMISES
from splitbrain.nodes.systems.promises import PromiseTableError, promise_table
from splitbrain.nodes.systems.raft import BASIC_PROMISES, LEASE_PROMISES

ABOUT_TERMS: Final[tuple[Guarantee, ...]] = ("term-safety", "fencing")
LOSSES: Final[tuple[FaultClass, ...]] = ("state-loss", "server-state-loss")
ALL: Final = "all"
"""The row of a mapping for every fault class that it does not name, but for ``state-loss``."""


def _certain(row: Promises, **other: Promise) -> Promises:
    """What a row guarantees, nothing else being promised, with ``other`` in place of some of it."""
    sure: Promises = {each: "guaranteed" if row[each] == "guaranteed" else "not-promised" for each in GUARANTEES}
    return {**sure, **other}  # type: ignore[dict-item]


PROMISES_OF: Final[Mapping[Preset, PromiseTable]] = MappingProxyType(
    {
        "quorum": {each: _certain(BASIC_PROMISES[each], exclusivity="not-promised") for each in NODE_FAULT_CLASSES},
        "quorum-with-lease": {
            each: _certain(BASIC_PROMISES[each], exclusivity=_certain(LEASE_PROMISES[each])["exclusivity"])
            for each in NODE_FAULT_CLASSES
        },
        "best-effort": {
            each: _certain(BULLY_PROMISES[each], exclusivity="not-promised", stability="not-promised")
            for each in NODE_FAULT_CLASSES
        },
        "all": dict.fromkeys(NODE_FAULT_CLASSES, dict.fromkeys(GUARANTEES, "guaranteed")),
    }
)
"""The tables of the presets, without known weaknesses: whether another system has them is not known."""


class WrongPromises(ValueError):
    """Promises that cannot be read: the key, the expected and the given value."""

    def __init__(self, key: str, expected: str, got: object) -> None:
        super().__init__(f"{key}: expected {expected}, got {got!r}")
        self.key = key
        self.expected = expected
        self.got = got


def usual_promises(has_terms: bool, elects: Electors) -> Promises:
    """Everything guaranteed, but undefined what is about terms without terms, or about a quorum without one."""
    undefined = (*(() if has_terms else ABOUT_TERMS), *(("election-quorum",) if elects == "none" else ()))
    return {each: "undefined" if each in undefined else "guaranteed" for each in GUARANTEES}


def read_promises(
    key: str, given: object, usual: Promises, classes: Collection[FaultClass] = NODE_FAULT_CLASSES
) -> PromiseTable:
    """The promises that are given under that key, under faults of these ``classes``, with ``usual`` for the rest.

    Raises WrongPromises.
    """
    base: PromiseTable = _without_disks(dict.fromkeys(classes, usual))
    match given:
        case str() if (known := preset_named(given)) is not None:
            return preset(known, base)
        case str() if "\n" in given:
            try:
                table = promise_table(key, given, base, usual)
            except PromiseTableError as wrong:
                raise WrongPromises(wrong.where, wrong.expected, wrong.got) from wrong
            named = {words[0] for line in given.splitlines() if (words := line.split())}
            return {each: table[_before(each)] if each not in named else row for each, row in table.items()}
        case str():
            return _without_disks(dict.fromkeys(classes, _row(key, given, usual)))
        case Mapping():
            rows: dict[FaultClass | str, Promises] = {}
            for name, row in given.items():
                if (row_name := _row_name(key, name, classes)) in rows:
                    raise WrongPromises(key, f"one row for {row_name}", name)
                rows[row_name] = _row(f"{key}.{name}", row, usual)
            base = _without_disks(dict.fromkeys(classes, rows.get(ALL, usual)))
            return {each: rows.get(each, rows.get(_before(each), base[each])) for each in classes}
        case _:
            raise WrongPromises(key, "a preset, a table of promises, a row, or rows by fault class", given)


def preset(name: Preset, base: PromiseTable) -> PromiseTable:
    """The promises of that preset for the fault classes of ``base``; what that leaves undefined stays so.

    A fault among servers promises what the same one among nodes does.
    """
    table = {each: PROMISES_OF[name][each.removeprefix(SERVER)] for each in base}  # type: ignore[index]
    return {
        each: {**table[each], **{key: value for key, value in row.items() if value == "undefined"}}
        for each, row in base.items()
    }


def with_preset(system: System, name: Preset) -> System:
    """The same system under another set of promises, by which it is named too."""
    return replace(system, name=f"{system.name}{PRESET_AT}{name}", promises=preset(name, system.promises))


def says_nothing(table: PromiseTable) -> bool:
    """True for the promises of a system that states none: all that has a meaning for it, but where disks are lost."""
    return (
        all(
            promise in ("guaranteed", "undefined")
            for fault_class, row in table.items()
            if fault_class not in LOSSES
            for promise in row.values()
        )
        and "guaranteed" not in table["state-loss"].values()
    )


def _without_disks(table: PromiseTable) -> PromiseTable:
    """The table with nothing promised where durable state is lost."""
    return {each: _certain_of_none(row) if each in LOSSES else row for each, row in table.items()}


def _certain_of_none(row: Promises) -> Promises:
    return {each: "undefined" if promise == "undefined" else "not-promised" for each, promise in row.items()}


def read_eligibility(key: str, given: object) -> Eligibility:
    """The eligibility of that name. Raises WrongPromises."""
    for known in get_args(Eligibility):
        if given == known:
            return known  # type: ignore[no-any-return]
    raise WrongPromises(key, f"one of {', '.join(get_args(Eligibility))}", given)


def read_electors(key: str, given: object, *, servers: bool = False) -> Electors:
    """The electors in words, or by their name; ``servers`` says that the system has some. Raises WrongPromises."""
    for words, electors in ELECTORS_IN_WORDS.items():
        if given in (words, electors) and (servers or electors != "servers"):
            return electors
    possible = [words for words, electors in ELECTORS_IN_WORDS.items() if servers or electors != "servers"]
    raise WrongPromises(key, f"one of {', '.join(possible)}", given)


def _before(fault_class: FaultClass) -> FaultClass:
    """The class that it was part of in old files."""
    return PART_OF_BEFORE.get(fault_class, fault_class)


def _row_name(key: str, given: object, classes: Collection[FaultClass]) -> FaultClass | str:
    name = fault_class_of(str(given))
    if name not in classes and name != ALL:
        raise WrongPromises(key, f"fault classes, of {', '.join((ALL, *classes))}", given)
    return name


def _row(key: str, given: object, usual: Promises) -> Promises:
    match given:
        case str() if MARKS.keys() >= set(given) and len(given) in (len(GUARANTEES), len(OLD_GUARANTEES)):
            columns = GUARANTEES if len(given) == len(GUARANTEES) else OLD_GUARANTEES.values()
            return {**usual, **{guarantee: MARKS[mark] for guarantee, mark in zip(columns, given, strict=True)}}
        case Mapping():
            if unknown := given.keys() - GUARANTEES.keys():
                raise WrongPromises(key, f"guarantees, of {', '.join(GUARANTEES)}", sorted(map(str, unknown)))
            return {**usual, **{each: _promise(f"{key}.{each}", given[each]) for each in GUARANTEES if each in given}}
        case _:
            expected = f"{len(GUARANTEES)} of the marks {' '.join(MARKS)}, or promises by guarantee"
            raise WrongPromises(key, expected, given)


def _promise(key: str, given: object) -> Promise:
    for known in get_args(Promise):
        if promise_of(str(given)) == known:
            return known  # type: ignore[no-any-return]
    raise WrongPromises(key, f"one of {', '.join(get_args(Promise))}", given)
