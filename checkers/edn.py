"""EDN: reads Clojure's data notation, as Jepsen writes it, into JSON types (https://github.com/edn-format/edn).

A keyword that is a key of a map becomes its name, any other keeps its colon, so that ``:a`` and ``"a"`` differ. A
symbol and a ratio become strings, a set becomes a sorted list. A tagged element (``#inst "..."``,
``#jepsen.history.Op{...}``) becomes its value without the tag. Nesting is limited to ``DEEPEST`` levels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

DEEPEST = 100
_TOKEN = re.compile(
    r"""(?P<space>[\s,]+|;[^\n]*)
    |(?P<string>\#?"(?:[^"\\]|\\.)*")
    |(?P<open>\#\{|[(\[{])
    |(?P<close>[)\]}])
    |(?P<discard>\#_)
    |(?P<tag>\#[:\w][\w.*+!?<>=/:'-]*)
    |(?P<character>\\(?:[a-z]+\d*|u[0-9A-Fa-f]{4}|\S))
    |(?P<number>[+-]?\d+(?:N(?![\w.])|(?:\.\d*)?(?:[eE][+-]?\d+)?M?)(?![\w/]))
    |(?P<atom>(?:\#\#)?[^\s,;"(){}\[\]\\#]+)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}", "#{": "}"}
_CONSTANTS = {"nil": None, "true": True, "false": False}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class EdnError(ValueError):
    """Text that is not EDN: the line (from 1), what was expected and what was found."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_forms(text: str) -> Iterator[tuple[int, Any]]:
    """Each form at the top level with the line (from 1) on which it begins. A vector of maps counts as its maps.

    Raises EdnError.
    """
    return _Reader(text).forms()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def forms(self) -> Iterator[tuple[int, Any]]:
        """The forms at the top level."""
        inside = ""
        while (token := self._next()) is not None:
            kind, word = token
            line = self._line
            if kind == "open" and word in "[(" and not inside:
                inside = _CLOSING[word]
            elif kind == "close" and word == inside:
                inside = ""
            elif kind == "discard":
                self._form(self._some("a form"), 0)
            else:
                yield line, self._form(token, 0)
        if inside:
            raise EdnError(self._line, f"expected {inside}, got the end of the file")

    def _next(self) -> tuple[str, str] | None:
        """The next token that is no space; None at the end."""
        while self._at < len(self._text):
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                raise EdnError(self._line, f"expected EDN, got {self._text[self._at : self._at + 40]!r}")
            self._at = found.end()
            self._line += found[0].count("\n")
            if found.lastgroup != "space":
                return str(found.lastgroup), found[0]
        return None

    def _some(self, expected: str) -> tuple[str, str]:
        token = self._next()
        if token is None:
            raise EdnError(self._line, f"expected {expected}, got the end of the file")
        return token

    def _form(self, token: tuple[str, str], depth: int) -> Any:
        kind, word = token
        if depth > DEEPEST:
            raise EdnError(self._line, f"expected at most {DEEPEST} levels of nesting, got more")
        match kind:
            case "open" if word == "{":
                return self._map(depth)
            case "open":
                items = self._items(_CLOSING[word], depth)
                return sorted(items, key=_canonical) if word == "#{" else items
            case "tag":
                return self._form(self._some("a value after its tag"), depth + 1)
            case "close":
                raise EdnError(self._line, f"expected a form, got {word}")
        return self._scalar(kind, word)

    def _items(self, closing: str, depth: int) -> list[Any]:
        items = []
        while (token := self._some(closing)) != ("close", closing):
            if token[0] == "discard":
                self._form(self._some("a form"), depth + 1)
            else:
                items.append(self._form(token, depth + 1))
        return items

    def _map(self, depth: int) -> dict[str, Any]:
        items = self._items("}", depth)
        if len(items) % 2:
            raise EdnError(self._line, f"expected a map of pairs, got {len(items)} forms")
        return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}

    def _scalar(self, kind: str, word: str) -> Any:
        match kind:
            case "string":
                body = word[word.index('"') + 1 : -1]
                return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", _unescaped, body, flags=re.DOTALL)
            case "number":
                return self._number(word.rstrip("NM"))
            case "character":
                return word[1:]
        return _CONSTANTS.get(word, word)

    def _number(self, digits: str) -> int | float:
        try:
            return int(digits)
        except ValueError:
            if re.fullmatch(r"[+-]?\d+", digits):
                raise EdnError(self._line, f"expected a number, got one of {len(digits)} digits") from None
            return float(digits)


def _unescaped(escape: re.Match[str]) -> str:
    letter = escape[1]
    return _character(int(letter[1:], 16)) if len(letter) == 5 else _ESCAPES.get(letter, letter)


def _character(code: int) -> str:
    """The character of that number; half of a surrogate pair is none."""
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def _key(key: object) -> str:
    return key.removeprefix(":") if isinstance(key, str) else _canonical(key)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)
