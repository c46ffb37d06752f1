"""RESP version 2, the protocol of Redis and Sentinel, without I/O: bytes in, replies out.

Source: redis.io, "Redis serialization protocol specification". A reply is returned as soon as its last byte has
arrived, however the bytes were split; replies are in the order of the commands. Malformed bytes raise ``RespError``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

END: Final = b"\r\n"
MOST_DEPTH: Final = 16  # of arrays within one another


class RespError(ValueError):
    """Bytes that are not a reply."""


class ErrorReply(str):
    """The refusal of a command, beginning with the kind of error, such as ``READONLY`` or ``LOADING``."""

    __slots__ = ()


Reply: TypeAlias = "str | int | ErrorReply | list[Reply] | None"
Command: TypeAlias = Sequence[str | int]


def encode(*commands: Command) -> bytes:
    """The bytes of the commands, to be sent in one write."""
    parts: list[bytes] = []
    for command in commands:
        parts.append(b"*%d\r\n" % len(command))
        for word in command:
            data = str(word).encode()
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class ReplyParser:
    """Parses replies from a byte stream, incrementally."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> list[Reply]:
        """The replies completed by these bytes, in order."""
        self._bytes += data
        found: list[Reply] = []
        at = 0
        while (parsed := _parse(self._bytes, at)) is not None:
            reply, at = parsed
            found.append(reply)
        self._bytes = self._bytes[at:]
        return found


def _parse(data: bytes, at: int, depth: int = 0) -> tuple[Reply, int] | None:
    """The reply that begins at ``at`` and the position after it; None if it is incomplete."""
    end = data.find(END, at)
    if end < 0:
        return None
    kind, text, after = data[at : at + 1], data[at + 1 : end].decode(errors="replace"), end + len(END)
    match kind:
        case b"+":
            return text, after
        case b"-":
            return ErrorReply(text), after
        case b":":
            return _number(text), after
        case b"$":
            return _bulk(data, _number(text), after)
        case b"*":
            return _array(data, _number(text), after, depth + 1)
    raise RespError(f"expected a reply, got {data[at : at + 40]!r}")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RespError(f"expected a number, got {text!r}") from None


def _bulk(data: bytes, length: int, at: int) -> tuple[Reply, int] | None:
    if length < 0:
        return None, at
    after = at + length + len(END)
    if len(data) < after:
        return None
    return data[at : at + length].decode(errors="replace"), after


def _array(data: bytes, length: int, at: int, depth: int) -> tuple[Reply, int] | None:
    if length < 0:
        return None, at
    if depth > MOST_DEPTH:
        raise RespError(f"expected at most {MOST_DEPTH} arrays within one another")
    items: list[Reply] = []
    for _ in range(length):
        parsed = _parse(data, at, depth)
        if parsed is None:
            return None
        item, at = parsed
        items.append(item)
    return items, at
