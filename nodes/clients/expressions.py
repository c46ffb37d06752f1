"""Expressions that read a fact from a node's answer: ``raft.state == leader and raft.leader == {name}``.

No ``eval``: a small language of its own, read by recursive descent, with a value for every text and nothing else in it.

====================== =================================================================================================
``raft.peers[0].name`` a path; a key with dots or spaces in quotes: ``"raft.state"``, ``tags."my key"``
``.``                  the whole value
``status``             compared with a number: the status of the answer (HTTP, or of the end of a command)
``== != < <= > >=``    a path before it; after it a text with or without quotes, a number, true, false or null,
                       or another path, which then begins with a dot: ``leader == .header.member_id``
``in``                 ``role in [leader, primary]``, or ``{name} in leaders``
``~ /regex/``          found in one line of a text (``clients.patterns``); where a value is read, its first group
``and or not ( )``     ``and`` binds more than ``or``, and ``not`` more than ``and``
``{name} {address}``   of the node that is asked, also within a text; ``{index}`` counts nodes from 1
====================== =================================================================================================

Texts are compared without regard to case. A value that is missing fails ``==``, ``in`` and ``~``. Under ``!=``, an
order or a ``not`` it would be taken for an answer that nothing gave, so there the answer is refused as unusable.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from splitbrain.nodes.clients.answers import WrongAnswer, shown
from splitbrain.nodes.clients.patterns import Pattern, PatternError
from splitbrain.nodes.systems.probes import HOLES, HTTP_STATUSES, filled, unknown_hole

MOST_CHARACTERS: Final = 2_000
MOST_DEPTH: Final = 20
MOST_SEARCHED: Final = 65_536
"""Of a text, the characters in which a regular expression is searched."""
ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)


class ExpressionError(ValueError):
    """An expression that cannot be read; the message says what was expected and where, counted from 1."""

    def __init__(self, words: str, at: int) -> None:
        super().__init__(f"at character {at + 1}: {words}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What an expression is evaluated on: the value of an answer, its status, and the placeholders of the node."""

    value: Any
    status: int | None = None
    own: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Path:
    """The value at a path; a key of digits is the place in a list too."""

    keys: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the answer."""

    text: str = "status"


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, perhaps with placeholders, that may be the digits of a number; None for null."""

    value: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Values:
    """A list of literals."""

    values: tuple[Literal, ...]
    text: str


Operand = Path | Status | Literal | Values


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison of two operands, or of an operand with a list; ``sign`` is ``==``, ``!=``, ``in`` or an order."""

    left: Operand
    sign: str
    right: Operand


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A regular expression that is found in a text."""

    left: Operand
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Not:
    test: Tree


@dataclass(frozen=True, slots=True)
class All:
    tests: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of the tests."""

    tests: tuple[Tree, ...]


Tree = Operand | Compared | Found | Not | All | Some


class Expression:
    """An expression, read once and evaluated on many answers. Raises ExpressionError if it cannot be read.

    ``statuses`` are the numbers that ``status`` may be compared with; with none, ``status`` is a key like any other.
    """

    def __init__(self, text: str, statuses: Collection[int] = HTTP_STATUSES) -> None:
        self.text = text
        self._tree = _Reader(text, statuses).read()

    def holds(self, asked: Asked) -> bool:
        """The truth of it. Raises WrongAnswer if the answer does not decide it."""
        return _true(self._tree, asked, strict=False)

    def value(self, asked: Asked) -> Any:
        """The value: at its path, or the first group of its regular expression; None if there is none."""
        match self._tree:
            case Path() | Literal() as operand:
                return _value(operand, asked)
            case Found(left, pattern):
                groups = _searched(pattern, _value(left, asked), left.text)
                return None if groups is None else groups[min(1, pattern.groups)]
            case other:
                return _true(other, asked, strict=False)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths into the answer that it reads."""
        return tuple(each for each in _operands(self._tree) if isinstance(each, Path))

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses that it tests for."""
        return frozenset(_statuses(self._tree))


def at(value: Any, keys: Sequence[str]) -> Any:
    """The value at these keys; None if there is none."""
    for key in keys:
        match value:
            case dict():
                value = value.get(key)
            case list() if re.fullmatch("[0-9]{1,9}", key, re.ASCII) and int(key) < len(value):
                value = value[int(key)]
            case _:
                return None
    return value


# Evaluation


def _value(operand: Operand, asked: Asked) -> Any:
    match operand:
        case Path(keys):
            return at(asked.value, keys)
        case Status():
            return asked.status
        case Literal(text):
            return None if text is None else filled(text, asked.own)
        case Values(values):
            return [_value(each, asked) for each in values]


def _true(tree: Tree, asked: Asked, *, strict: bool) -> bool:
    match tree:
        case All(tests):
            return all(_true(test, asked, strict=strict) for test in tests)
        case Some(tests):
            return any(_true(test, asked, strict=strict) for test in tests)
        case Not(test):
            return not _true(test, asked, strict=True)
        case Compared():
            return _compared(tree, asked, strict=strict)
        case Found(left, pattern):
            value = _value(left, asked)
            _present(value, left.text, strict)
            return _searched(pattern, value, left.text) is not None
        case operand:
            found = _value(operand, asked)
            if type(found) is not bool:
                kind = "the text " if isinstance(found, str) else ""
                raise WrongAnswer(f"{operand.text}: expected true or false, got {kind}{shown(found)}")
            return found


def _compared(test: Compared, asked: Asked, *, strict: bool) -> bool:
    left, right = _value(test.left, asked), _value(test.right, asked)
    if None in (_fixed(test.left), _fixed(test.right)):
        return (left is None and right is None) is (test.sign == "==")
    for value, operand in ((left, test.left), (right, test.right)):
        _present(value, operand.text, strict or test.sign not in ("==", "in"))
    if left is None or right is None:
        return False
    if test.sign == "in":
        return _is_in(_scalar(left, test.left.text), right, test.right.text)
    if test.sign in ORDERS:
        return ORDERS[test.sign](_number(left, test.left.text), _number(right, test.right.text))
    same = _same(_scalar(left, test.left.text), _scalar(right, test.right.text))
    return same is (test.sign == "==")


def _fixed(operand: Operand) -> Any:
    """The value of a literal; something that is not None for everything else."""
    return operand.value if isinstance(operand, Literal) else ...


def _present(value: Any, text: str, strict: bool) -> None:
    if value is None and strict:
        raise WrongAnswer(f"{text}: expected a value, got nothing")


def _is_in(value: Any, members: Any, text: str) -> bool:
    if not isinstance(members, list):
        raise WrongAnswer(f"{text}: expected a list, got {shown(members)}")
    return any(each is not None and _same(value, each) for each in members if not isinstance(each, dict | list))


def _same(left: Any, right: Any) -> bool:
    """Equal as numbers where one is a number and the other its digits, else as texts."""
    if int in (type(left), type(right)) or float in (type(left), type(right)):
        numbers = _numeric(left), _numeric(right)
        if None not in numbers:
            return numbers[0] == numbers[1]
    return str(left).lower() == str(right).lower()


def _numeric(value: Any) -> float | None:
    """The number that a value is, or of which it has the digits. Integers stay exact."""
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value) if "." in value else int(value)
    return None


def _scalar(value: Any, text: str) -> Any:
    if isinstance(value, dict | list):
        raise WrongAnswer(f"{text}: expected a text, a number, true or false, got {shown(value)}")
    return value


def _number(value: Any, text: str) -> float:
    number = _numeric(value)
    if number is None:
        raise WrongAnswer(f"{text}: expected a number, got {shown(value)}")
    return number


def _searched(pattern: Pattern, value: Any, text: str) -> tuple[str | None, ...] | None:
    """The groups of the first line in which it is found."""
    if value is None:
        return None
    words = str(_scalar(value, text))[:MOST_SEARCHED]
    return next((groups for line in words.splitlines() if (groups := pattern.search(line)) is not None), None)


def _operands(tree: Tree) -> list[Operand]:
    match tree:
        case All(tests) | Some(tests):
            return [each for test in tests for each in _operands(test)]
        case Not(test):
            return _operands(test)
        case Compared(left, _, right):
            return [left, right]
        case Found(left, _):
            return [left]
        case operand:
            return [operand]


def _statuses(tree: Tree) -> list[int]:
    match tree:
        case All(tests) | Some(tests):
            return [each for test in tests for each in _statuses(test)]
        case Not(test):
            return _statuses(test)
        case Compared(Status(), _, Literal(str(status))):
            return [int(status)]
        case Compared(Status(), _, Values(values)):
            return [int(str(each.value)) for each in values]
        case _:
            return []


# Reading

BARE: Final = r"""[^\s=!<>~(),\[\]"'{}.]+"""
QUOTED: Final = r"""(?:"[^"]*"|'[^']*')"""
ROOT: Final = r"\.(?=[\s=!<>~)]|$)"
PATH: Final = re.compile(
    rf"{ROOT}|(?:\.?(?:{BARE}|{QUOTED})|\[[0-9]{{1,9}}\])(?:\.(?:{BARE}|{QUOTED})|\[[0-9]{{1,9}}\])*"
)
KEY: Final = re.compile(rf"({BARE})|({QUOTED})|\[([0-9]+)\]")
WORD: Final = re.compile(r"""(?:\{[a-z_]*\}|[^\s=!<>~(),\[\]"'{}])+""")
TEXT: Final = re.compile(QUOTED)
REGEX: Final = re.compile(r"/((?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[])+)/")
SIGN: Final = re.compile(r"==|!=|<=|>=|<|>|in(?![^\s\[{.])")
OPERATORS: Final = ("and", "or", "not", "in")


class _Reader:
    """Reads an expression by recursive descent, without tokens: what is next depends on what may come."""

    def __init__(self, text: str, statuses: Collection[int]) -> None:
        if len(text) > MOST_CHARACTERS:
            raise ExpressionError(f"expected at most {MOST_CHARACTERS:,} characters", MOST_CHARACTERS)
        self._text = text
        self._statuses = statuses
        self._at = 0
        self._depth = 0

    def read(self) -> Tree:
        tree = self._either()
        if self._at < len(self._text):
            raise self._refusal("an operator or the end")
        return tree

    def _either(self) -> Tree:
        tests = [self._both()]
        while self._word("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else Some(tuple(tests))

    def _both(self) -> Tree:
        tests = [self._one()]
        while self._word("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else All(tuple(tests))

    def _one(self) -> Tree:
        begin = self._at
        if self._word("not"):
            return Not(self._inside(begin, self._one))
        if self._sign("("):
            tree = self._inside(begin, self._either)
            if not self._sign(")"):
                raise self._refusal("an operator or )")
            return tree
        return self._test()

    def _inside(self, begin: int, read: Callable[[], Tree]) -> Tree:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise ExpressionError(f"expected at most {MOST_DEPTH} of not and ( within one another", begin)
        tree = read()
        self._depth -= 1
        return tree

    def _test(self) -> Tree:
        left = self._filled() or self._path()
        if self._sign("~"):
            return Found(left, self._pattern())
        sign = self._matched(SIGN)
        if sign is None:
            return left
        if sign == "in":
            return self._of_status(Compared(left, sign, self._list() if self._next() == "[" else self._path()))
        if sign in ORDERS and self._word("null"):
            raise ExpressionError("expected a number, got null", self._at)
        is_path = isinstance(left, Literal) or re.match(r"\.([^.\s]|$)", self._text[self._at :])
        return self._of_status(Compared(left, sign, self._path() if is_path else self._literal()))

    def _of_status(self, test: Compared) -> Compared:
        """The comparison, of the answer's status where it is one with numbers that this may be."""
        values = test.right.values if isinstance(test.right, Values) else (test.right,)
        is_status = isinstance(test.left, Path) and test.left.text == "status" and all(map(self._is_status, values))
        return Compared(Status(), test.sign, test.right) if is_status else test

    def _is_status(self, operand: Operand) -> bool:
        value = operand.value if isinstance(operand, Literal) else None
        return value is not None and bool(re.fullmatch("[0-9]{1,3}", value, re.ASCII)) and int(value) in self._statuses

    def _pattern(self) -> Pattern:
        begin = self._at
        found = REGEX.match(self._text, begin)
        if found is None:
            raise self._refusal("a regular expression such as /leader/")
        self._go_to(found.end())
        inside = found[1].replace(r"\/", "/")
        try:
            return Pattern(inside)
        except PatternError as wrong:
            raise ExpressionError(f"in the regular expression: {wrong}", begin + 1 + wrong.at) from wrong

    def _path(self) -> Path:
        begin = self._at
        found = PATH.match(self._text, begin)
        if found is None or found[0] in OPERATORS:
            quoted = "; a key of that name is written in quotes" if found else ""
            raise self._refusal(f"a path{quoted}")
        self._go_to(found.end())
        keys = (key[1] or key[3] or key[2][1:-1] for key in KEY.finditer(found[0]))
        return Path(tuple(keys), found[0])

    def _filled(self) -> Literal | None:
        """A text with a placeholder, in front of an operator."""
        found = WORD.match(self._text, self._at)
        return self._literal() if found is not None and "{" in found[0] else None

    def _literal(self) -> Literal:
        """A text: in quotes, or all words up to the next operator."""
        begin = self._at
        if (quoted := self._matched(TEXT)) is not None:
            return Literal(self._with_known_holes(quoted[1:-1], begin + 1), quoted)
        end = begin
        while (found := WORD.match(self._text, self._at)) is not None and (end == begin or found[0] not in OPERATORS):
            end = found.end()
            self._go_to(end)
        words = self._text[begin:end]
        if not words:
            raise self._refusal("a value")
        return Literal(None if words == "null" else self._with_known_holes(words, begin), words)

    def _with_known_holes(self, words: str, begin: int) -> str:
        if (hole := unknown_hole(words)) is not None:
            known = ", ".join(f"{{{name}}}" for name in HOLES)
            raise ExpressionError(f"unknown placeholder {hole}: expected {known}", begin + words.index(hole))
        return words

    def _list(self) -> Values:
        begin = self._at
        self._sign("[")
        values = [self._literal()]
        while self._sign(","):
            values.append(self._literal())
        if not self._sign("]"):
            raise self._refusal(", or ]")
        return Values(tuple(values), self._text[begin : self._at].strip())

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _sign(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._go_to(self._at + len(sign))
        return True

    def _word(self, word: str) -> bool:
        found = WORD.match(self._text, self._at)
        return found is not None and found[0] == word and self._sign(word)

    def _matched(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._go_to(found.end())
        return found[0]

    def _go_to(self, place: int) -> None:
        """Go on there, after the spaces."""
        self._at = len(self._text) - len(self._text[place:].lstrip())

    def _refusal(self, expected: str) -> ExpressionError:
        rest = self._text[self._at :]
        got = repr(rest[:20]) if rest else "the end"
        return ExpressionError(f"expected {expected}, got {got}", self._at)
