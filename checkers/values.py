"""What stands in the values of operations, checked where it is read: a wrong one is named by its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from splitbrain.checkers.fault import Malformed


def mapping(value: object, what: str, line: int) -> Mapping[str, Any]:
    """The value if it is a JSON object; raises Malformed."""
    if not isinstance(value, Mapping):
        raise Malformed(f"the value of {what} to be an object", value, line)
    return value


def sequence(value: object, what: str, line: int) -> list[Any]:
    """The value if it is a JSON array; raises Malformed."""
    if not isinstance(value, list | tuple):
        raise Malformed(f"the value of {what} to be a list", value, line)
    return list(value)


def integer(value: object, what: str, line: int) -> int:
    """The value if it is a whole number; raises Malformed."""
    if type(value) is not int:
        raise Malformed(f"{what} to be a whole number", value, line)
    return value


def text(value: object, what: str, line: int) -> str:
    """The value if it is a string; raises Malformed."""
    if not isinstance(value, str):
        raise Malformed(f"{what} to be a string", value, line)
    return value
