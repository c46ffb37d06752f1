"""Reading the answers of nodes: strict, bounded in size, depth and digits, and with a reason in words for a refusal.

A node under test may answer anything. What is read here the reader of histories accepts too: one decoder serves both,
which refuses invalid UTF-8, lone surrogates, numbers beyond a float, and nesting that is too deep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from splitbrain.nodes.clients.base import OperationFailed, SystemClient

MOST_BYTES: Final = 2**20
"""The longest body of an answer."""
MOST_TEXT: Final = 1_000
"""The longest text of a claim, in characters."""
MOST_TERM: Final = 2**63 - 1
SHOWN: Final = 60
MOST_WORDS: Final = 500


class WrongAnswer(OperationFailed):
    """An answer that came and cannot be used; the message says what was expected and what came."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer that has arrived completely: its status, None where a protocol has none, its content type and body.

    ``counts`` is what the status is called in messages.
    """

    status: int | None
    kind: str = ""
    body: bytes
    counts: str = "status"

    def json(self) -> Any:
        """The JSON of the body. Raises WrongAnswer."""
        return json_in(self.body, self.kind)

    @property
    def refusal(self) -> str:
        """The status, and the beginning of the body, for messages."""
        words = [] if self.status is None else [f"{self.counts} {self.status}"]
        return ": ".join([*words, excerpt(self.body)] if self.body else words) or "an empty answer"


def check_size(came: bytes | bytearray) -> None:
    """Raises WrongAnswer for more bytes than an answer may have."""
    if len(came) > MOST_BYTES:
        raise WrongAnswer(f"expected an answer of at most {MOST_BYTES:,} bytes, got more")


def json_in(body: bytes, kind: str = "") -> Any:
    """The JSON of a body, of the content type ``kind``. Raises WrongAnswer."""
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise WrongAnswer("JSON that is nested too deep") from None
    except ValueError as wrong:
        if not body.strip():
            raise WrongAnswer("expected JSON, got an empty body") from None
        if "html" in kind or body.lstrip().startswith(b"<"):
            raise WrongAnswer(f"expected JSON, got a page: {excerpt(body)}") from None
        raise WrongAnswer(f"expected JSON ({_reason(wrong)}), got {excerpt(body)}") from None


def _reason(wrong: ValueError) -> str:
    if isinstance(wrong, UnicodeDecodeError):
        return "in UTF-8"
    return str(wrong).removeprefix("JSON is malformed: ").lower()


def excerpt(body: bytes) -> str:
    """The beginning of a body, in quotes and printable."""
    return shown(body[: 4 * SHOWN].decode("utf-8", "replace"))


def shown(value: object) -> str:
    """A value of JSON in a few words: containers by their kind, and texts cut short."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return f"{value[:SHOWN]!r}…" if len(value) > SHOWN else repr(value)
        case _:
            return repr(value)[:SHOWN]


def printable(words: str) -> str:
    """Words that a history and a terminal can hold: at most ``MOST_WORDS`` characters, control characters escaped."""
    escaped = (each if each.isprintable() else ascii(each)[1:-1] for each in words[:MOST_WORDS])
    return "".join(escaped)[:MOST_WORDS]


def whole(value: object, place: str) -> int | None:
    """A term, as an integer or as its digits; None for null. Raises WrongAnswer for anything that is not exactly one.

    Fractions are refused, not rounded: 1.9 and 1 may be two leaderships.
    """
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value, re.ASCII) else value
    if type(number) is not int or not 0 <= number <= MOST_TERM:
        raise WrongAnswer(f"{place}: expected an integer from 0 to 2**63 - 1, got {shown(value)}")
    return number


def text(value: object, place: str) -> str | None:
    """A key or a name, given as a text or a number; None for null. Raises WrongAnswer."""
    if value is None:
        return None
    words = value if isinstance(value, str) else str(value) if type(value) in (int, float) else None
    if words is None:
        raise WrongAnswer(f"{place}: expected a text or a number, got {shown(value)}")
    if len(words) > MOST_TEXT or not _encodable(words):
        raise WrongAnswer(f"{place}: expected at most {MOST_TEXT:,} characters of Unicode, got {shown(words)}")
    return words


def _encodable(words: str) -> bool:
    return words == words.encode("utf-8", "ignore").decode()


def recordable(claim: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claim, if a history can hold it. Raises WrongAnswer."""
    leading = claim["leading"]
    if type(leading) is not bool:
        raise WrongAnswer(f"leading: expected true or false, got {shown(leading)}")
    terms = {key: whole(claim[key], key) for key in ("term", "leader_term") if key in claim}
    texts = {key: text(claim[key], key) for key in ("leader", "reign", "vote") if key in claim}
    return {**claim, **terms, **texts}


async def observed(client: SystemClient, node: str) -> Mapping[str, Any]:
    """The claim of a node, such that a history can hold it. Raises OperationFailed or OutcomeUnknown."""
    return recordable(await client.observe(node))
