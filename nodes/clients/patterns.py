"""Regular expressions that take linear time: an untrusted text cannot make a search slow.

A program of simple instructions is searched by backtracking that enters each pair of an instruction and a position
once, so a search takes at most as many steps as their product (Cox, "Regular Expression Matching: the Virtual Machine
Approach", 2009; the bit-state matcher of RE2). It finds what Python's ``re`` finds, which a test compares. Lookaround
and back references, which no such program has, are refused, as is everything that is not listed here, and an endless
repetition of something that may be empty:

``.  [a-z]  [^...]  \\d \\w \\s \\D \\W \\S \\b  ^ $  ( )  (?: )  |  * + ? {m} {m,} {m,n}``, each with ``?`` for the
shortest, and ``(?i)`` at the beginning. Classes are those of ASCII.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

MOST_INSTRUCTIONS: Final = 500
MOST_DEPTH: Final = 20
MOST_COUNT: Final = 100
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r"}

Test = Callable[[str], bool]


class PatternError(ValueError):
    """A pattern that cannot be read; ``at`` is the place in it, counted from 0."""

    def __init__(self, words: str, at: int) -> None:
        super().__init__(words)
        self.at = at


@dataclass(frozen=True, slots=True)
class One:
    """One character that passes the test."""

    test: Test


@dataclass(frozen=True, slots=True)
class Place:
    """A place between characters: the beginning, the end, or the edge of a word."""

    kind: Literal["^", "$", "b"]


@dataclass(frozen=True, slots=True)
class Fork:
    """Go on at ``first``, and if that fails at ``then``."""

    first: int
    then: int


@dataclass(frozen=True, slots=True)
class Save:
    """Keep the position in that slot: two slots for each group."""

    slot: int


Instruction = One | Place | Fork | Save


@dataclass(slots=True)
class _Piece:
    """A part of a pattern: its instructions, with targets of forks relative to its beginning."""

    code: list[Instruction] = field(default_factory=list)

    def then(self, other: _Piece) -> _Piece:
        return _Piece([*self.code, *_moved(other.code, len(self.code))])


def _moved(code: Sequence[Instruction], by: int) -> list[Instruction]:
    return [Fork(each.first + by, each.then + by) if isinstance(each, Fork) else each for each in code]


def _goto(target: int) -> Fork:
    return Fork(target, target)


class Pattern:
    """A regular expression. Raises PatternError if it cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        reader = _Reader(text)
        self._code: tuple[Instruction, ...] = tuple(reader.read().code)
        self.groups = reader.groups
        self._needed = reader.needed()

    def search(self, text: str) -> tuple[str | None, ...] | None:
        """The leftmost match and its groups, as ``re.Match`` has them; None if there is none."""
        if self._needed not in text:
            return None
        entered: set[tuple[int, int]] = set()
        for start in range(len(text) + 1):
            slots = self._match(text, start, entered)
            if slots is not None:
                return tuple(_between(text, slots, group) for group in range(self.groups + 1))
        return None

    def _match(self, text: str, start: int, entered: set[tuple[int, int]]) -> dict[int, int] | None:
        """The slots of a match that begins at ``start``; ``entered`` are the states that are known to fail."""
        waiting: list[tuple[int, int, dict[int, int]]] = [(0, start, {0: start})]
        while waiting:
            pc, at, slots = waiting.pop()
            while (pc, at) not in entered:
                entered.add((pc, at))
                if pc == len(self._code):
                    return {**slots, 1: at}
                match self._code[pc]:
                    case One(test):
                        if at == len(text) or not test(text[at]):
                            break
                        pc, at = pc + 1, at + 1
                    case Place(kind):
                        if not _is_place(kind, text, at):
                            break
                        pc += 1
                    case Save(slot):
                        pc, slots = pc + 1, {**slots, slot: at}
                    case Fork(first, then):
                        waiting.append((then, at, slots))
                        pc = first
        return None


def _between(text: str, slots: dict[int, int], group: int) -> str | None:
    begin, end = slots.get(2 * group), slots.get(2 * group + 1)
    return None if begin is None or end is None else text[begin:end]


def _is_place(kind: str, text: str, at: int) -> bool:
    match kind:
        case "^":
            return at == 0
        case "$":
            return at == len(text)
        case _:
            before, after = at > 0 and _word(text[at - 1]), at < len(text) and _word(text[at])
            return before != after


WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
DIGITS: Final = frozenset(string.digits)
SPACE: Final = frozenset(" \t\n\r\f\v")


def _word(char: str) -> bool:
    return char in WORD


CLASSES: Final[dict[str, Test]] = {
    "d": lambda char: char in DIGITS,
    "w": _word,
    "s": lambda char: char in SPACE,
    "D": lambda char: char not in DIGITS,
    "W": lambda char: char not in WORD,
    "S": lambda char: char not in SPACE,
}


class _Reader:
    """Reads a pattern by recursive descent, and writes its program."""

    def __init__(self, text: str) -> None:
        self._any_case = text.startswith("(?i)")
        self._text = text
        self._at = 4 if self._any_case else 0
        self._depth = 0
        self.groups = 0
        self._literals: list[str] = [""]  # runs of characters that every match has, where no part is optional

    def read(self) -> _Piece:
        piece = self._either()
        if self._at < len(self._text):
            raise PatternError("expected the end, got ')'", self._at)
        return piece

    def needed(self) -> str:
        """The longest text that every match contains; empty if none is known."""
        return "" if self._any_case else max(self._literals, key=len)

    def _either(self) -> _Piece:
        begin, kept = self._at, list(self._literals)
        piece = self._sequence()
        while self._taken("|"):
            other = self._sequence()
            first = _Piece([Fork(1, len(piece.code) + 2)])
            over = _Piece([*piece.code])
            piece = first.then(over)
            piece.code.append(_goto(len(piece.code) + 1 + len(other.code)))
            piece = piece.then(other)
            self._check(piece, begin)
            self._literals = [*kept, ""]
        return piece

    def _sequence(self) -> _Piece:
        piece = _Piece()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            begin = self._at
            piece = piece.then(self._repeated())
            self._check(piece, begin)
        return piece

    def _repeated(self) -> _Piece:
        begin, kept = self._at, list(self._literals)
        atom = self._atom()
        counts = self._counts()
        if counts is None:
            return atom
        least, most = counts
        if most is None and _may_be_empty(atom.code):
            raise PatternError("expected something to repeat that is never empty", begin)
        self._literals = [*kept, ""]
        lazy = self._taken("?")
        self._check(_Piece(atom.code * max(1, least, most or 0)), begin)
        if self._next() in ("*", "+", "?", "{"):
            raise PatternError("expected something to repeat", self._at)
        return _repeat(atom, least, most, lazy)

    def _counts(self) -> tuple[int, int | None] | None:
        """The least and the greatest number of times; None if nothing says so."""
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._taken(sign):
                return counts
        begin = self._at
        if not self._taken("{"):
            return None
        least = self._number()
        most: int | None = least
        if self._taken(","):
            most = self._number() if self._next() != "}" else None
        if not self._taken("}") or (most is not None and most < least):
            raise PatternError("expected {m}, {m,} or {m,n}; a brace that is meant is written \\{", begin)
        return least, most

    def _number(self) -> int:
        begin = self._at
        while self._next() in DIGITS:
            self._at += 1
        digits = self._text[begin : self._at]
        if not digits or len(digits) > 3 or int(digits) > MOST_COUNT:
            raise PatternError(f"expected a count from 0 to {MOST_COUNT}", begin)
        return int(digits)

    def _atom(self) -> _Piece:
        begin = self._at
        char = self._take("a character")
        match char:
            case "(":
                return self._group(begin)
            case "[":
                self._literals.append("")
                return _Piece([One(self._folded(self._class(begin)))])
            case ".":
                self._literals.append("")
                return _Piece([One(lambda char: char != "\n")])
            case "^" | "$":
                return _Piece([Place(char)])
            case "*" | "+" | "?" | "{":
                raise PatternError("expected something to repeat", begin)
            case "\\":
                return self._escape()
        return self._literal(char)

    def _literal(self, char: str) -> _Piece:
        self._literals[-1] += char
        return _Piece([One(self._folded(char.__eq__))])

    def _folded(self, test: Test) -> Test:
        if not self._any_case:
            return test
        return lambda char: test(char.lower()) or test(char.upper())

    def _escape(self) -> _Piece:
        begin = self._at
        char = self._take("a character after \\")
        if char == "b":
            return _Piece([Place("b")])
        if char in CLASSES:
            self._literals.append("")
            return _Piece([One(CLASSES[char])])
        return self._literal(_plain(char, begin))

    def _group(self, begin: int) -> _Piece:
        if self._depth == MOST_DEPTH:
            raise PatternError(f"expected at most {MOST_DEPTH} groups within one another", begin)
        slot = None
        if self._next() == "?":
            if not self._text.startswith("?:", self._at):
                raise PatternError("expected ( or (?:, got another kind of group", begin)
            self._at += 2
        else:
            self.groups += 1
            slot = 2 * self.groups
        self._depth += 1
        inner = self._either()
        self._depth -= 1
        if not self._taken(")"):
            raise PatternError("expected ) for this (", begin)
        return inner if slot is None else _Piece([Save(slot)]).then(inner).then(_Piece([Save(slot + 1)]))

    def _class(self, begin: int) -> Test:
        negated = self._taken("^")
        tests: list[Test] = []
        while self._next() != "]" or not tests:
            if self._at == len(self._text):
                raise PatternError("expected ] for this [", begin)
            tests.append(self._member())
        self._at += 1
        return lambda char: any(test(char) for test in tests) is not negated

    def _member(self) -> Test:
        """One character, range or class between brackets."""
        begin = self._at
        low = self._take("a character")
        if low == "\\":
            escaped = self._take("a character after \\")
            if escaped in CLASSES:
                return CLASSES[escaped]
            low = _plain(escaped, self._at - 1)
        if self._next() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return low.__eq__
        self._at += 1
        high = self._take("the end of a range")
        if high == "\\":
            high = _plain(self._take("a character after \\"), self._at - 1)
        if high < low:
            raise PatternError("expected a range that ascends", begin)
        return lambda char: low <= char <= high

    def _next(self) -> str:
        """The next character; empty at the end."""
        return self._text[self._at : self._at + 1]

    def _taken(self, char: str) -> bool:
        if self._next() != char:
            return False
        self._at += 1
        return True

    def _take(self, expected: str) -> str:
        if self._at == len(self._text):
            raise PatternError(f"expected {expected}, got the end", self._at)
        self._at += 1
        return self._text[self._at - 1]

    def _check(self, piece: _Piece, begin: int) -> None:
        if len(piece.code) > MOST_INSTRUCTIONS:
            raise PatternError(f"expected a pattern of at most {MOST_INSTRUCTIONS} instructions, got more", begin)


def _plain(char: str, at: int) -> str:
    """The character that an escape stands for: any sign itself, and the usual letters."""
    if char in ESCAPED:
        return ESCAPED[char]
    if char in WORD:
        raise PatternError(f"unknown escape \\{char}", at)
    return char


def _repeat(atom: _Piece, least: int, most: int | None, lazy: bool) -> _Piece:
    piece = _Piece()
    for _ in range(least):
        piece = piece.then(atom)
    if most is None:
        size = len(atom.code)
        loop = _Piece([_fork(1, size + 2, lazy)]).then(atom)
        loop.code.append(_goto(0))
        return piece.then(loop)
    optional = most - least
    for left in range(optional, 0, -1):
        piece = piece.then(_Piece([_fork(1, left * (len(atom.code) + 1), lazy)])).then(atom)
    return piece


def _may_be_empty(code: Sequence[Instruction]) -> bool:
    """True if a way leads to the end that takes no character."""
    seen: set[int] = set()
    waiting = [0]
    while waiting:
        pc = waiting.pop()
        if pc in seen or (pc < len(code) and isinstance(code[pc], One)):
            continue
        if pc == len(code):
            return True
        seen.add(pc)
        each = code[pc]
        waiting += (each.first, each.then) if isinstance(each, Fork) else (pc + 1,)
    return False


def _fork(inside: int, after: int, lazy: bool) -> Fork:
    return Fork(after, inside) if lazy else Fork(inside, after)
