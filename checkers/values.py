"""Checked access to the values of operations.

Each function returns its argument if it has the expected type, else raises Malformed naming the history line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from splitbrain.checkers.fault import Malformed


def mapping(value: object, subject: str, line: int) -> Mapping[str, Any]:
    """The value as a JSON object."""
    if not isinstance(value, Mapping):
        raise Malformed(f"the value of {subject} to be an object", value, line)
    return value


def sequence(value: object, subject: str, line: int) -> list[Any]:
    """The value as a list, from a JSON array."""
    if not isinstance(value, list | tuple):
        raise Malformed(f"the value of {subject} to be a list", value, line)
    return list(value)


def integer(value: object, subject: str, line: int) -> int:
    """The value as an integer; true and false are none."""
    if type(value) is not int:
        raise Malformed(f"{subject} to be an integer", value, line)
    return value


def text(value: object, subject: str, line: int) -> str:
    """The value as a string."""
    if not isinstance(value, str):
        raise Malformed(f"{subject} to be a string", value, line)
    return value
