"""Find the line of a key in the text of a TOML file, for messages: ``tomllib`` gives values without their places.

The text is known to be TOML. A key within an inline table or a list has the line of the nearest key around it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

KeyPath = tuple[str, ...]

_WORD: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEYS: Final = rf"{_WORD}(?:[ \t]*\.[ \t]*{_WORD})*"
_STATEMENT: Final = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)|\[\[?[ \t]*(?P<header>{_KEYS})[ \t]*\]\]?|(?P<key>{_KEYS})[ \t]*=""", re.DOTALL
)
_IN_VALUE: Final = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|'''
    r"""(?P<opens>[\[{])|(?P<closes>[\]}])|(?P<ends>\n)|[^"'\#\[\]{}\n]+""",
    re.DOTALL,
)


def line_of(text: str, key: KeyPath) -> int | None:
    """The line of that key, of the nearest table around it if it has none; None for the file itself."""
    lines = dict[KeyPath, int]()
    for found, line in _keys(text):
        for depth in range(1, len(found) + 1):
            lines.setdefault(found[:depth], line)
    return next((lines[key[:depth]] for depth in range(len(key), 0, -1) if key[:depth] in lines), None)


def _keys(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Every header and every key of a statement, from the root on, with its line."""
    place, line = 0, 1
    table: KeyPath = ()
    while (found := _STATEMENT.match(text, place)) is not None:
        if (header := found["header"]) is not None:
            table = _parts(header)
            yield table, line
        elif (key := found["key"]) is not None:
            yield table + _parts(key), line
        end = found.end() if found["key"] is None else _end_of_value(text, found.end())
        line += text.count("\n", place, end)
        place = end


def _end_of_value(text: str, place: int) -> int:
    depth = 0
    while (found := _IN_VALUE.match(text, place)) is not None:
        depth += (found["opens"] is not None) - (found["closes"] is not None)
        if found["ends"] is not None and depth == 0:
            break
        place = found.end()
    return place


def _parts(dotted: str) -> KeyPath:
    """The parts of a dotted key, unquoted as TOML does it."""
    parts: list[str] = []
    value: Mapping[str, Any] | int = tomllib.loads(f"{dotted} = 0")
    while isinstance(value, Mapping):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)
