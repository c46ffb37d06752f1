"""What a node wrote about its role: its log is followed from the start, and the last line that matches decides.

A log says when something was written, not that it still holds. So an answer takes ``SETTLE_S``: it is the role by all
lines that had come when it was asked for, and it is none if a line that decides comes before that time is over. A line
that takes no longer from the node to here than that cannot be overlooked. Nor is there an answer of a node that stands
still, since it wrote its last line before it was stopped, or of one whose software has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Final

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.insides import Output
from splitbrain.nodes.clients.patterns import Pattern
from splitbrain.nodes.clients.ways import Target
from splitbrain.nodes.systems.probes import Log, filled

SETTLE_S: Final = 0.1
MOST_LINE: Final = 4_096  # characters that are searched, and bytes that are kept of an unfinished line


class LogAsker:
    """Asks by following a log. Its answers are JSON: ``leading``, the deciding ``line``, and ``since``, the number of
    that line, which changes with every leadership."""

    cost_ns = 0

    def __init__(self, way: Log, target: Target) -> None:
        self._target = target
        self._path = None if way.path is None else filled(way.path, target.own)
        self._roles = Roles(way)
        self._starts = 0
        self._skip = 0  # bytes of a file that were read before
        self._following: asyncio.Task[None] | None = None

    async def ask(self) -> Answer:
        if self._following is None or self._following.done():
            await self._follow()
        before = self._roles.decided
        await asyncio.sleep(SETTLE_S)
        assert self._following is not None, "it was just begun"
        if self._following.done():
            raise OperationFailed("no answer: the log has ended")
        if await self._target.inside.stands_still(self._target.name):
            raise OutcomeUnknown("no answer: the node stands still, so its log says nothing about now")
        if self._roles.decided != before:
            raise OutcomeUnknown("no answer: a line of the log came meanwhile that decides")
        value: dict[str, Any] = {"leading": self._roles.leading, "line": self._roles.line}
        value["since"] = f"{self._starts}-{before}"
        return Answer(status=None, body=json.dumps(value).encode())

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError, OperationFailed):
                await self._following

    async def _follow(self) -> None:
        """Follow the log of the software that runs now; nothing is known of its role before its first line."""
        inside, name = self._target.inside, self._target.name
        tail = ["tail", "-c", f"+{self._skip + 1}", "-F", str(self._path)]
        process = await (inside.log(name) if self._path is None else inside.start(name, tail))
        self._starts += 1
        self._roles.forget()
        self._following = asyncio.create_task(self._read(process))

    async def _read(self, process: Output) -> None:
        rest = b""
        try:
            while data := await process.read():
                self._skip += len(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._roles.take(line[:MOST_LINE].decode(errors="replace").rstrip("\r"))
                rest = rest[:MOST_LINE]
        finally:
            process.close()


class Roles:
    """The role that lines tell. ``decided`` counts the lines that decided it, and ``line`` is the last of them."""

    def __init__(self, way: Log) -> None:
        self._leading, self._follower = Pattern(way.leading), Pattern(way.follower)
        self.decided = 0
        self.forget()

    def forget(self) -> None:
        self.leading, self.line = False, ""

    def take(self, line: str) -> None:
        """Take in a line. One in which both are found says that it leads no longer."""
        leads = self._leading.search(line) is not None
        follows = self._follower.search(line) is not None
        if leads or follows:
            self.decided += 1
            self.leading, self.line = not follows, line
