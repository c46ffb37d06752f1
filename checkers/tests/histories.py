"""A builder of test histories: observations and faults by time, from which the lines follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from splitbrain.checkers.history import History

Line = dict[str, Any]
NEMESIS: Line = {"process": "nemesis", "type": "info", "node": None}


@dataclass
class Story:
    """Collects events in any order. Every operation has a separate client, so windows may overlap freely.

    Times are ns. At equal times lines keep the order of the calls, but no completion comes before its invocation.
    """

    lines: list[tuple[int, Line]] = field(default_factory=list)
    clients: int = 0
    faults: int = 0

    def asked(
        self,
        f: str,
        node: str | None,
        a: int,
        b: int | None,
        outcome: str,
        value: Any = None,
        *,
        sent: Any = None,
        process: int | None = None,
        error: str | None = None,
    ) -> Story:
        """An operation in [a, b]; with b None it never completes. ``sent`` is the value of its invocation, ``process``
        the client, a new one by default."""
        line = {"process": self.clients if process is None else process, "f": f, "node": node}
        self.clients += 1
        self.lines.append((a, {**line, "type": "invoke", "value": sent}))
        if b is not None:
            self.lines.append((b, {**line, "type": outcome, "value": value, "error": error}))
        return self

    def saw(
        self,
        node: str,
        a: int,
        b: int,
        leading: bool = False,
        leader: str | None = None,
        term: int | None = None,
        reign: str | None = None,
        vote: str | None = None,
        **more: Any,
    ) -> Story:
        claim = {"leading": leading, "leader": node if leading else leader, "term": term, "reign": reign}
        if vote is not None:
            claim["vote"] = vote
        claim |= more
        return self.asked("observe", node, a, b, "ok", claim)

    def led(self, node: str, a: int, b: int, term: int | None = None, reign: str | None = None) -> Story:
        return self.saw(node, a, b, leading=True, term=term, reign=reign)

    def confirmed(self, node: str, a: int, b: int) -> Story:
        return self.asked("confirm", node, a, b, "ok")

    def refused(self, node: str, a: int, b: int) -> Story:
        return self.asked("confirm", node, a, b, "fail")

    def fault(self, f: str, begin: int, done: int | None, *, id: int | None = None, **value: Any) -> Story:
        """A fault from its begin line to its done line; ``effect`` holds the values of the latter only."""
        effect = value.pop("effect", {})
        value["id"] = self.faults if id is None else id
        self.faults = value["id"] + 1
        self.lines.append((begin, {**NEMESIS, "f": f, "value": {**value, "phase": "begin"}}))
        if done is not None:
            self.lines.append((done, {**NEMESIS, "f": f, "value": {**value, "phase": "done", **effect}}))
        return self

    def cut(self, begin: int, done: int | None, links: Iterable[tuple[str, str]], **value: Any) -> Story:
        return self.fault("partition", begin, done, links=[list(link) for link in links], **value)

    def incident(self, time: int, f: str, node: str, **facts: Any) -> Story:
        """A line of the watcher."""
        line = {"process": "watcher", "type": "info", "f": f, "node": node, "value": facts}
        self.lines.append((time, line))
        return self

    def witnessed(self, time: int) -> Story:
        """The run was seen from inside the nodes."""
        line = {"process": "simulation", "type": "info", "f": "witnessed", "node": None, "value": None}
        self.lines.append((time, line))
        return self

    def inside(self, time: int, f: str, node: str, **facts: Any) -> Story:
        """Something seen inside a node."""
        self.lines.append((time, {"process": node, "type": "info", "f": f, "node": None, "value": facts}))
        return self

    def canary(self, time: int, late: int) -> Story:
        line = {"process": "canary", "type": "info", "f": "canary", "node": None, "value": {"late": late}}
        self.lines.append((time, line))
        return self

    def until(self, time: int) -> Story:
        """The history goes on at least until then."""
        return self.canary(time, 0)

    def history(self) -> History:
        ordered = sorted(self.lines, key=lambda line: line[0])
        return History.from_entries({"index": at, "time": time, **line} for at, (time, line) in enumerate(ordered))


def both_ways(ones: Iterable[str], others: Iterable[str]) -> list[tuple[str, str]]:
    """Every link between the two sides, in both directions."""
    far = list(others)
    return [link for a in ones for b in far for link in ((a, b), (b, a))]


def from_text(text: str) -> History:
    """A history as literal JSON lines."""
    return History.from_lines(text.strip().encode().splitlines(keepends=True))
