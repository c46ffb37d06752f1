"""Dataclasses as lines of JSON, and back.

Decoding checks every field against its annotation. Numbers, text, None, literals, optional values, tuples, mappings by
text and dataclasses of these are supported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
Decoder = Callable[[Any], Any]
SCALARS = (int, str, bool, NoneType)
MOST_SHOWN = 80  # characters of a wrong value


class Malformed(ValueError):
    """A message that is not as its class declares it."""

    def __init__(self, expected: str, got: object, where: str = "") -> None:
        super().__init__(f"{where or 'message'}: expected {expected}, got {repr(got)[:MOST_SHOWN]}")
        self._expected, self._got, self._where = expected, got, where

    def inside(self, place: object) -> Malformed:
        """The same error as seen from the value that holds the wrong one at ``place``."""
        return Malformed(self._expected, self._got, f"{place}.{self._where}" if self._where else str(place))


def encode(message: object) -> bytes:
    """Encode a dataclass as one line."""
    return json.dumps(message, default=vars).encode() + b"\n"


def decode_line(kind: type[T], line: bytes) -> T:
    """Decode one line as a ``kind``. Raises Malformed."""
    try:
        value = json.loads(line)
    except ValueError:
        raise Malformed("a line of JSON", line) from None
    return decode(kind, value)


def decode(kind: type[T], value: Any) -> T:
    """Build a ``kind`` from parsed JSON. Raises Malformed."""
    annotation: Any = kind
    decoded: T = decoder(annotation)(value)
    return decoded


@cache
def decoder(kind: Any) -> Decoder:
    """Return the function that decodes values of that annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: value
    if kind is float:
        return _number
    if kind in SCALARS:
        return _scalar(kind)
    if origin is Literal:
        return _literal(arguments)
    if origin is UnionType and arguments[1:] == (NoneType,):
        return _optional(decoder(arguments[0]))
    if origin is tuple and arguments[1:] == (...,):
        return _list(decoder(arguments[0]))
    if origin is tuple and arguments[0] in SCALARS and len(set(arguments)) == 1:
        return _alike(arguments[0], len(arguments))
    if origin is tuple:
        return _fixed(tuple(map(decoder, arguments)))
    if origin is Mapping and arguments[0] is str:
        return _mapping(decoder(arguments[1]))
    assert is_dataclass(kind), f"messages have no fields of type {kind}"
    return _dataclass(kind)


def _scalar(kind: type) -> Decoder:
    def decoded(value: Any) -> Any:
        if type(value) is not kind:  # a bool is no int here
            raise Malformed(kind.__name__, value)
        return value

    return decoded


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise Malformed("float", value)
    return float(value)


def _literal(allowed: tuple[Any, ...]) -> Decoder:
    def decoded(value: Any) -> Any:
        if value not in allowed:
            raise Malformed(" or ".join(map(repr, allowed)), value)
        return value

    return decoded


def _optional(some: Decoder) -> Decoder:
    return lambda value: None if value is None else some(value)


def _list(item: Decoder) -> Decoder:
    def decoded(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise Malformed("a list", value)
        return tuple([_at(at, item, each) for at, each in enumerate(value)])  # faster than a generator

    return decoded


def _fixed(items: tuple[Decoder, ...]) -> Decoder:
    def decoded(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(items):
            raise Malformed(f"a list of {len(items)}", value)
        return tuple(item(each) for item, each in zip(items, value, strict=True))

    return decoded


def _alike(kind: type, size: int) -> Decoder:
    """Decode ``size`` scalars of one type; fast, as probes come by the thousand."""

    def decoded(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != size or set(map(type, value)) != {kind}:
            raise Malformed(f"a list of {size} {kind.__name__}", value)
        return tuple(value)

    return decoded


def _mapping(item: Decoder) -> Decoder:
    def decoded(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Malformed("an object", value)
        return {key: _at(key, item, each) for key, each in value.items()}

    return decoded


def _dataclass(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    items = {field.name: decoder(hints[field.name]) for field in fields(kind)}

    def decoded(value: Any) -> Any:
        if type(value) is not dict or value.keys() != items.keys():
            raise Malformed(f"an object with the fields {', '.join(items) or 'none'}", value)
        return kind(**{name: _at(name, item, value[name]) for name, item in items.items()})

    return decoded


def _at(place: object, item: Decoder, value: Any) -> Any:
    try:
        return item(value)
    except Malformed as wrong:
        raise wrong.inside(place) from None
