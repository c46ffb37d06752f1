"""Histories of a few lines, written as operations with the times of invocation and completion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from splitbrain.checkers.history import History

Lines = list[tuple[int, dict[str, Any]]]


def observe(node: str, invoked: int, completed: int, **value: Any) -> Lines:
    """An observation of `node` in [invoked, completed] ns; without any value it failed."""
    said = {"leading": False, "leader": None, "term": None, "reign": None} | value if value else None
    return operation("observe", node, invoked, completed, said)


def confirm(node: str, invoked: int, completed: int, worked: bool = True) -> Lines:
    return operation("confirm", node, invoked, completed, {} if worked else None)


def operation(f: str, node: str, invoked: int, completed: int, value: Mapping[str, Any] | None) -> Lines:
    entry = {"f": f, "node": node}
    if value is None:
        return [(invoked, entry | {"type": "invoke"}), (completed, entry | {"type": "fail", "error": "refused"})]
    return [(invoked, entry | {"type": "invoke"}), (completed, entry | {"type": "ok", "value": value})]


def fault(f: str, begin: int, done: int | None, id: int, nodes: Iterable[str] = (), **value: Any) -> Lines:
    """The two lines of a fault; further keywords stand in both."""
    entry = {"process": "nemesis", "type": "info", "f": f, "node": None}
    said = {"id": id, "nodes": list(nodes), **value}
    lines = [(begin, entry | {"value": said | {"phase": "begin"}})]
    return lines if done is None else [*lines, (done, entry | {"value": said | {"phase": "done"}})]


def until(end: int) -> Lines:
    """A canary sample at `end`, so that the history lasts until then."""
    return [(end, {"process": "canary", "type": "info", "f": "canary", "node": None, "value": {"late": 0}})]


def history(*parts: Lines) -> History:
    """The history of these operations, in the order of their times; at one time invocations come first."""
    # Each part is a separate client, unless it names its process.
    every = [(time, {"process": client, **entry}) for client, part in enumerate(parts) for time, entry in part]
    every.sort(key=lambda line: (line[0], line[1]["type"] != "invoke"))
    return History.from_entries({"index": n, "time": time, **entry} for n, (time, entry) in enumerate(every))
