"""Checks arguments of the Python interface and keys of records: one of the wrong type is a UsageError that names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from reprlib import Repr
from typing import TypeVar

from splitbrain.errors import UsageError

T = TypeVar("T")

SHORT = Repr()
SHORT.maxstring = SHORT.maxother = 200
"""Shows a value in a message; a record from elsewhere may hold a huge one."""


def refused(where: str, expected: str, got: object) -> UsageError:
    """The error for an argument, which is to be raised."""
    return UsageError(f"{where}: expected {expected}, got {SHORT.repr(got)}")


def typed(kind: type[T], where: str, value: object, expected: str) -> T:
    """Return ``value`` if it is of that type, else raise UsageError."""
    if not isinstance(value, kind):
        raise refused(where, expected, value)
    return value


def whole(where: str, value: object) -> int:
    """Return a whole number, one of numpy's included, as an int, else raise UsageError."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise refused(where, "a whole number", value)
    return int(value)


def number(where: str, value: object) -> float:
    """Return a number as a float, else raise UsageError."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise refused(where, "a number", value)
    return float(value)


def names(where: str, value: object) -> tuple[str, ...]:
    """Return several names, else raise UsageError: a string is one name, and would be read as its letters."""
    given = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else None
    if given is None or not all(isinstance(name, str) for name in given):
        raise refused(where, "a list of names", value)
    return given
