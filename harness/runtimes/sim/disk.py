"""The disk of a simulated host: the state that a node finds when it starts again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Literal

from splitbrain.nodes.protocol import Json

Durable = Literal["kept", "torn", "old", "lost"]
"""The content of a disk after its node has ended.

``kept``: a write under way had just reached it. ``torn``: it had not. ``old``: the content is that of the last copy.
``lost``: it is empty.
"""


class Disk:
    """Holds one state at a time. ``write_ns`` draws the time that a write takes.

    A ``lying`` disk reports a write as durable at once, though it is so only when the disk has done it.
    """

    def __init__(self, write_ns: Callable[[], int], *, lying: bool = False) -> None:
        self.content: bytes | None = None
        self.copy: bytes | None = None
        self.lying = lying
        self.extra_ns = 0
        self.fails = False
        self.writing: bytes | None = None  # reported durable, or about to be, and not yet so
        self._write_ns = write_ns

    def state(self) -> Mapping[str, Json] | None:
        """The state that was last durable; None on an empty disk."""
        return None if self.content is None else json.loads(self.content)

    def begin(self, state: Mapping[str, Json]) -> bytes:
        """Begin to write a state; the bytes that ``finish`` makes durable."""
        self.writing = written = json.dumps(dict(state)).encode()
        return written

    def duration(self) -> int:
        """The time of the next write, ns."""
        return self._write_ns() + self.extra_ns

    def finish(self) -> None:
        """Make the write under way durable, if there is one."""
        if self.writing is not None:
            self.content, self.writing = self.writing, None

    def end(self, durable: Durable) -> None:
        """The node has ended: decide the content of the disk."""
        match durable:
            case "lost":
                self.content = None
            case "old":
                self.content = self.copy
            case "kept":
                self.finish()
            case "torn":
                pass
        self.writing = None

    def set_flushes(self, extra_ns: int, fails: bool) -> None:
        """Make each write take that much longer from now on, or fail; of a failure the node dies."""
        self.extra_ns = extra_ns
        self.fails = fails

    def keep_copy(self) -> None:
        """Copy the durable content; a write under way is not part of it."""
        self.copy = self.content

    def wipe(self) -> None:
        """Empty the disk; a running node goes on with the state in its memory."""
        self.content = self.writing = None
