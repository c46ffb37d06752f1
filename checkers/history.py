"""A history: what was asked, what was answered and what was hurt, on one clock, ready to be judged.

The promise: a History is a value. It is read once, checked line by line (see ``checkers.reading``), and never
changed; every checker is a function of it. The order of lines is an order that really held, because an invoke is
written before anything is sent and a completion after the answer has come (Jepsen's rule for its journal).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.fault import Fault, Malformed, pair_faults
from splitbrain.checkers.leaderships import Leaderships, leaderships
from splitbrain.checkers.operations import Ints, Mask, Observations, Operations
from splitbrain.checkers.reading import HistoryError, record_entries, record_lines
from splitbrain.checkers.recording import OBSERVATION, ROW, SAMPLE, HistoryEntry, Recording, Table, UncheckedRecording

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Canary",
    "Fault",
    "History",
    "HistoryEntry",
    "HistoryError",
    "NodeEvent",
    "Observations",
    "Operations",
    "UncheckedRecording",
]


class Canary(NamedTuple):
    """How late the controller itself woke up: one entry a sample, both columns in ns."""

    time: Ints
    late: Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeEvent:
    """What a node reported of itself, such as ``led`` or ``followed``; ``value`` is as it was written."""

    index: int
    time: int
    node: str
    f: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class History:
    """One run, as it was recorded.

    ``nodes`` are all the names seen (of nodes asked, leaders named, and nodes and links hurt), n2 before n10.
    ``end`` is the time of the last line. ``truncated`` says that the last line was cut off and left out.
    ``notes`` are lines that concern no operation and that no checker here knows.
    """

    source: str
    lines: int
    end: int
    truncated: bool
    nodes: tuple[str, ...]
    observations: Observations
    faults: tuple[Fault, ...]
    canary: Canary
    node_events: tuple[NodeEvent, ...]
    notes: tuple[HistoryEntry, ...]
    others: Mapping[str, Operations]

    @classmethod
    def read(cls, path: Path | str) -> History:
        """The history in a file of JSON lines. Raises HistoryError, or OSError if there is no such file."""
        with Path(path).open("rb") as file:
            return cls.from_lines(file, str(path))

    @classmethod
    def from_lines(cls, lines: Iterable[bytes], source: str = "history.jsonl") -> History:
        """The history that the lines hold; ``source`` is how errors name it."""
        return _history(record_lines(lines, source), source)

    @classmethod
    def from_entries(
        cls, entries: Iterable[HistoryEntry | Mapping[str, Any]], source: str = "history.jsonl"
    ) -> History:
        """The history of entries that are in memory already."""
        return _history(record_entries(entries, source), source)

    @classmethod
    def from_recording(cls, columns: UncheckedRecording, source: str) -> History:
        """The history of what was packed as it happened; nothing may be added to the columns any more."""
        columns.finish()
        return _history(columns, source)

    def operations(self, f: str) -> Operations:
        """All invocations of ``f``; no rows if there were none."""
        if f == "observe":
            return self.observations
        known = self.others.get(f)
        return known if known is not None else _operations(f, Table(), np.empty(0, np.int16))

    @cached_property
    def code(self) -> Mapping[str, int]:
        """The place of each node in ``nodes``."""
        return {name: code for code, name in enumerate(self.nodes)}

    @cached_property
    def leaderships(self) -> Leaderships:
        """The reigns that the observations show, as the nodes' own keys tell them apart."""
        return leaderships(self.observations)

    def to_dataframe(self) -> pd.DataFrame:
        """The observations as a table for reports: names in place of codes, missing values where null."""
        import pandas as pd  # half a second to import, and only reports need it

        seen = self.observations
        names = np.array([*self.nodes, None], dtype=object)
        reigns = np.array([*seen.reign_names, None], dtype=object)
        return pd.DataFrame(
            {
                "node": names[seen.node],
                "invoke": seen.invoke,
                "complete": _nullable(pd, seen.complete, seen.complete >= 0),
                "outcome": np.array(["ok", "fail", "info"], dtype=object)[seen.outcome],
                "leading": seen.leading,
                "leader": names[seen.leader],
                "term": _nullable(pd, seen.term, seen.term >= 0),
                "reign": reigns[seen.reign],
                "invoke_index": seen.invoke_index,
                "complete_index": _nullable(pd, seen.complete_index, seen.complete_index >= 0),
            }
        )


def natural(name: str) -> tuple[str, str]:
    """A key that sorts n2 before n10."""
    return re.sub(r"[0-9]+", lambda number: number[0].zfill(20), name), name


def _history(recording: Recording, source: str) -> History:
    try:
        faults = pair_faults(recording.nemesis)
    except Malformed as problem:
        raise HistoryError(source, problem.index + 1, str(problem)) from problem
    nodes, recode = _nodes(recording, faults)
    return History(
        source=source,
        lines=recording.count,
        end=recording.end,
        truncated=recording.truncated,
        nodes=nodes,
        observations=_observations(recording, recode),
        faults=faults,
        canary=_canary(recording),
        node_events=_node_events(recording),
        notes=tuple(recording.notes),
        others={f: _operations(f, table, recode) for f, table in recording.tables.items() if f != "observe"},
    )


def _nodes(recording: Recording, faults: Iterable[Fault]) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """All names in order, and from the reader's codes to places in it."""
    seen = set(recording.node_codes)
    for fault in faults:
        seen.update(fault.nodes, *fault.links)
    nodes = tuple(sorted(seen, key=natural))
    place = {name: code for code, name in enumerate(nodes)}
    # The last entry serves code -1, which is no node.
    return nodes, np.array([*(place[name] for name in recording.node_codes), -1], dtype=np.int16)


def _operations(f: str, table: Table, recode: NDArray[np.int16]) -> Operations:
    rows, values = table.sorted(ROW)
    return Operations(
        **_shared(f, rows, recode),
        process=tuple(process for process, _, _ in values),
        asked=tuple(asked for _, asked, _ in values),
        answered=tuple(answered for _, _, answered in values),
    )


def _observations(recording: Recording, recode: NDArray[np.int16]) -> Observations:
    rows, _ = recording.tables["observe"].sorted(OBSERVATION)
    return Observations(
        **_shared("observe", rows, recode),
        leading=np.ascontiguousarray(rows["leading"]),
        leader=recode[rows["leader"]],
        term=np.ascontiguousarray(rows["term"]),
        reign=np.ascontiguousarray(rows["reign"]),
        vote=recode[rows["vote"]],
        reign_names=tuple(recording.reign_codes),
    )


def _shared(f: str, rows: NDArray[Any], recode: NDArray[np.int16]) -> dict[str, Any]:
    return {
        "f": f,
        "node": recode[rows["node"]] if len(rows) else np.empty(0, np.int16),
        **{name: np.ascontiguousarray(rows[name]) for name in ROW.names or () if name != "node"},
    }


def _canary(recording: Recording) -> Canary:
    samples = np.frombuffer(bytes(recording.canary), dtype=SAMPLE)
    return Canary(np.ascontiguousarray(samples["time"]), np.ascontiguousarray(samples["late"]))


def _node_events(recording: Recording) -> tuple[NodeEvent, ...]:
    return tuple(
        NodeEvent(index=event.index, time=event.time, node=str(event.process), f=event.f, value=event.value)
        for event in recording.node_events
    )


def _nullable(pd: Any, values: Ints, known: Mask) -> Any:
    return pd.arrays.IntegerArray(values.copy(), ~known)
