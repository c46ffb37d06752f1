"""Read one table of a description: declared keys only, each of its kind.

Every refusal names the file, the line, the key from the root on, what was expected and what was found. Keys are
declared as values, so that the reference page of all keys (``reference``) is made from what checks them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from splitbrain.errors import UsageError
from splitbrain.names import did_you_mean
from splitbrain.user_systems.description.lines import KeyPath, line_of

T = TypeVar("T")
MOST_SHOWN: Final = 300  # characters of a wrong value in a message
A_DAY_MS: Final = 86_400_000
NEEDED: Final = "must be given"
"""The default in words of a key that may not be missing."""


class NotOfKind(ValueError):
    """A value of another kind than its key has, or the part of it ``below`` that name, which is to be ``expected``."""

    def __init__(self, below: str = "", expected: str = "") -> None:
        super().__init__(expected)
        self.below = (below,) if below else ()
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of values: the words for what is expected, and how a value is read. ``read`` raises NotOfKind."""

    expected: str
    read: Callable[[object], T]


@dataclass(frozen=True, kw_only=True, slots=True)
class Key(Generic[T]):
    """A key that a table may have. ``usual`` is its value where it is missing, None if it has none.

    ``default`` says in words, for the reference, what a missing key means where no value says it.
    """

    name: str
    kind: Kind[T]
    meaning: str
    usual: T | None = None
    default: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table that a description may have: its keys, and its tables. ``each`` is the table under any other name."""

    name: str
    meaning: str
    keys: Sequence[Key[Any]] = ()
    tables: Sequence[Section] = ()
    each: Section | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that it may have."""
        return tuple(sorted([*(key.name for key in self.keys), *(table.name for table in self.tables)]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """A description of a system before anything in it is checked, as TOML or another source gives it.

    ``name`` is the name of the file, and of the system; files that it names lie below ``folder``. ``line`` finds the
    line of a key in its ``text``. ``origin`` is kept with every run, and ``notes`` is what its author should know.
    """

    name: str
    folder: Path
    given: Mapping[str, Any]
    text: str
    origin: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    line: Callable[[str, KeyPath], int | None] = field(default=line_of)

    def refusal(self, key: KeyPath, words: str) -> UsageError:
        """The error that says what is wrong at that key."""
        line = self.line(self.text, key)
        return UsageError(f"{self.name}: {words}" if line is None else f"{self.name}:{line}: {words}")


class Table:
    """One table of a description, whose keys must be those of its section."""

    def __init__(
        self, description: Description, section: Section, given: Mapping[str, Any], path: KeyPath = ()
    ) -> None:
        self.description = description
        self.given = given
        self.path = path
        for name in given:
            if section.each is None and name not in section.names:
                expected = f"one of {', '.join(section.names)}{did_you_mean(name, section.names)}"
                raise self.refusal(f"unknown key {self._dotted(name)}: expected {expected}", name)

    def __contains__(self, key: Key[Any]) -> bool:
        return key.name in self.given

    def __getitem__(self, key: Key[T]) -> T:
        """The value of a key, its usual one where it is missing. Raises UsageError if there is neither."""
        value = self.get(key)
        if value is None:
            raise self.refusal(f"{self._dotted(key.name)} is missing")
        return value

    def get(self, key: Key[T]) -> T | None:
        """The value of a key, its usual one where it is missing, or None. Raises UsageError for a value not of its
        kind."""
        if key.name not in self.given:
            return key.usual
        try:
            return key.kind.read(self.given[key.name])
        except NotOfKind as wrong:
            got = self.given[key.name]
            part = got[wrong.below[0]] if wrong.below else got
            raise self.refuse(key, wrong.expected or key.kind.expected, part, *wrong.below) from None

    def table(self, section: Section) -> Table:
        """The table of that section, empty if there is none."""
        return Table(self.description, section, self.mapping(section.name), (*self.path, section.name))

    def tables(self, section: Section) -> dict[str, Table]:
        """The tables by name in the table of that section, none if there is none."""
        outer = self.table(section)
        assert section.each is not None, f"{section.name} has no tables by name"
        return {
            name: Table(self.description, section.each, outer.mapping(name), (*outer.path, name))
            for name in outer.given
        }

    def refuse(self, key: Key[Any] | str, expected: str, got: object, *below: str, why: str = "") -> UsageError:
        """The error of a key, or of what is ``below`` it, that has another value than is expected."""
        names = (key if isinstance(key, str) else key.name, *below)
        reason = f" ({why})" if why else ""
        return self.refusal(f"{self._dotted(*names)}: expected {expected}, got {shown(got)}{reason}", *names)

    def refusal(self, words: str, *below: str) -> UsageError:
        """The error of this table, or of a key ``below`` it, in these words."""
        return self.description.refusal((*self.path, *below), words)

    @property
    def label(self) -> str:
        """The name of the table before a message; empty for the root."""
        return f"{'.'.join(self.path)}: " if self.path else ""

    def _dotted(self, *below: str) -> str:
        return ".".join((*self.path, *below))

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The table under a name before its keys are checked, empty if there is none."""
        value = self.given.get(name, {})
        if not isinstance(value, Mapping):
            raise self.refuse(name, "a table", value)
        return value


def shown(value: object) -> str:
    """A wrong value as messages show it, cut off where it is long."""
    words = repr(value)
    return words if len(words) <= MOST_SHOWN else f"{words[:MOST_SHOWN]}..."


# Kinds


def _must(holds: bool) -> None:
    if not holds:
        raise NotOfKind


def _text(given: object) -> str:
    _must(isinstance(given, str) and bool(given))
    return str(given)


def _texts(given: object) -> tuple[str, ...]:
    _must(isinstance(given, list) and all(isinstance(each, str) for each in given))
    return tuple(given)  # type: ignore[arg-type]


def _texts_by_name(given: object) -> dict[str, str]:
    _must(isinstance(given, Mapping))
    for name, value in given.items():  # type: ignore[attr-defined]
        if not isinstance(value, str):
            raise NotOfKind(name, "a text")
    return dict(given)  # type: ignore[call-overload,no-any-return]


def _flag(given: object) -> bool:
    _must(isinstance(given, bool))
    return bool(given)


TEXT: Final = Kind("a text", _text)
TEXTS: Final = Kind("a list of texts", _texts)
TEXTS_BY_NAME: Final = Kind("a table of texts", _texts_by_name)
FLAG: Final = Kind("true or false", _flag)
ANYTHING: Final = Kind("a value", lambda given: given)
"""Of a value that another reader checks."""


def matching(pattern: str, expected: str) -> Kind[str]:
    """Texts that match the pattern from end to end."""

    def read(given: object) -> str:
        _must(re.fullmatch(pattern, _text(given)) is not None)
        return str(given)

    return Kind(expected, read)


def list_of(kind: Kind[T], expected: str, most: int) -> Kind[tuple[T, ...]]:
    """Lists of at most so many values of a kind."""

    def read(given: object) -> tuple[T, ...]:
        _must(isinstance(given, list) and len(given) <= most)
        return tuple(map(kind.read, given))  # type: ignore[call-overload]

    return Kind(expected, read)


def whole(least: int = 1, most: int = A_DAY_MS) -> Kind[int]:
    """Whole numbers between these bounds, both included."""

    def read(given: object) -> int:
        _must(type(given) is int and least <= given <= most)
        return int(given)  # type: ignore[call-overload,no-any-return]

    return Kind(f"a whole number from {least} to {most}", read)


def one_of(words: Collection[T]) -> Kind[T]:
    """One of these words."""

    def read(given: object) -> T:
        _must(isinstance(given, str) and given in words)
        return given  # type: ignore[return-value]

    return Kind(f"one of {', '.join(map(str, words))}", read)


def some_of(words: Collection[str]) -> Kind[tuple[str, ...]]:
    """A list of some of these words."""

    def read(given: object) -> tuple[str, ...]:
        _must(all(each in words for each in _texts(given)))
        return _texts(given)

    return Kind(f"a list of some of {', '.join(words)}", read)
