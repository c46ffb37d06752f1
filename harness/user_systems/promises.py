"""Reads the promises of a system that a user brings.

Promises are given as a table (``nodes.systems.promises``), as one row for all fault classes, or as a mapping from fault
classes to rows. A row is a mapping from guarantees to promises, or one mark for each in the order of
``splitbrain.names.GUARANTEES``. Old files name fault classes by their codes, and their rows have six marks, for the
guarantees of ``splitbrain.names.OLD_GUARANTEES``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, get_args

from splitbrain.names import (
    GUARANTEES,
    MARKS,
    NODE_FAULT_CLASSES,
    OLD_GUARANTEES,
    PART_OF_BEFORE,
    Electors,
    Eligibility,
    FaultClass,
    Guarantee,
    Promise,
    Promises,
    PromiseTable,
    fault_class_of,
    promise_of,
)
from splitbrain.nodes.systems.promises import PromiseTableError, promise_table

ABOUT_TERMS: Final[tuple[Guarantee, ...]] = ("term-safety", "fencing")
ELECTORS_OF_USERS: Final[tuple[Electors, ...]] = ("nodes", "none")
ELECTORS_WITH_SERVERS: Final[tuple[Electors, ...]] = ("nodes", "servers", "none")
ALL: Final = "all"
"""The row of a mapping for every fault class that it does not name."""


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
    base: PromiseTable = dict.fromkeys(classes, usual)
    match given:
        case str() if "\n" in given:
            try:
                return promise_table(key, given, base, usual)
            except PromiseTableError as wrong:
                raise WrongPromises(wrong.where, wrong.expected, wrong.got) from wrong
        case str():
            return dict.fromkeys(classes, _row(key, given, usual))
        case Mapping():
            rows: dict[FaultClass | str, Promises] = {}
            for name, row in given.items():
                if (row_name := _row_name(key, name, classes)) in rows:
                    raise WrongPromises(key, f"one row for {row_name}", name)
                rows[row_name] = _row(f"{key}.{name}", row, usual)
            return {each: rows.get(each, rows.get(_before(each), rows.get(ALL, usual))) for each in classes}
        case _:
            raise WrongPromises(key, "a table of promises, a row, or rows by fault class", given)


def read_eligibility(key: str, given: object) -> Eligibility:
    """The eligibility of that name. Raises WrongPromises."""
    for known in get_args(Eligibility):
        if given == known:
            return known  # type: ignore[no-any-return]
    raise WrongPromises(key, f"one of {', '.join(get_args(Eligibility))}", given)


def read_electors(key: str, given: object, *, servers: bool = False) -> Electors:
    """The electors of that name; ``servers`` says that the system has some. Raises WrongPromises."""
    possible = ELECTORS_WITH_SERVERS if servers else ELECTORS_OF_USERS
    for known in possible:
        if given == known:
            return known
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
