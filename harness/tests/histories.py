"""Small literal histories for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from splitbrain.names import MS

Line = dict[str, Any]


def history_of(lines: Iterable[Line]) -> str:
    """The lines as a history file holds them, numbered."""
    return "".join(json.dumps({"index": index, **line}) + "\n" for index, line in enumerate(lines))


def observation(process: int, node: str, at_ms: int, until_ms: int, **claim: Any) -> list[Line]:
    """One observation's two lines."""
    value = {"leading": False, "leader": None, "term": None, "reign": None, **claim}
    common = {"process": process, "f": "observe", "node": node}
    return [
        {"time": at_ms * MS, "type": "invoke", "value": None, **common},
        {"time": until_ms * MS, "type": "ok", "value": value, **common},
    ]


def leads(process: int, node: str, at_ms: int, until_ms: int, term: int) -> list[Line]:
    claim = {"leading": True, "leader": node, "term": term, "reign": f"{node}-{term}"}
    return observation(process, node, at_ms, until_ms, **claim)


def two_leaders() -> list[Line]:
    """n1 leads before and after n2 was seen leading in a later term: two leaders at one instant, proven."""
    return [
        *leads(1, "n1", 0, 1, term=1),
        *leads(2, "n2", 10, 11, term=2),
        *leads(1, "n1", 20, 21, term=1),
        *leads(2, "n2", 30, 31, term=2),
    ]


def clean_history() -> list[Line]:
    """n1 leads, n2 follows, nothing goes wrong and nothing is tried."""
    lines: list[Line] = []
    for tick in range(20):
        lines += leads(1, "n1", 20 * tick, 20 * tick + 1, term=1)
        lines += observation(2, "n2", 20 * tick + 2, 20 * tick + 3, leader="n1", term=1)
    return lines


def partition(a: str, b: str, at_ms: int) -> list[Line]:
    """The two lines of a cut between two nodes, never healed."""
    value = {"id": 0, "nodes": [a, b], "links": [[a, b], [b, a]]}
    common = {"time": at_ms * MS, "process": "nemesis", "type": "info", "f": "partition", "node": None}
    return [{**common, "value": {**value, "phase": phase}} for phase in ("begin", "done")]
