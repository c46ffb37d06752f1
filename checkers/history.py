"""History: the recorded operations, faults and events of one run, on one clock.

A History is immutable. It is checked line by line as it is read (``checkers.reading``), and every checker is a function
of it. The order of the lines really held: an invocation is written before anything is sent, a completion after the
answer has come (Jepsen's rule for its journal).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.fault import Fault, Malformed, pair_faults
from splitbrain.checkers.fault_periods import FaultPeriod, certain_ns, periods_by_fault
from splitbrain.checkers.files import MIB, lines_of, open_regular, read_rest
from splitbrain.checkers.formats import foreign
from splitbrain.checkers.leaderships import Leaderships, leaderships
from splitbrain.checkers.operations import Ints, Mask, Observations, Operations
from splitbrain.checkers.reading import MOST_LINE, HistoryError, record_entries, record_foreign, record_lines
from splitbrain.checkers.recording import OBSERVATION, ROW, SAMPLE, HistoryEntry, Recording, Table, UncheckedRecording
from splitbrain.names import Model

if TYPE_CHECKING:
    import pandas as pd

HEAD = 1 << 16  # bytes of a file that show its format
MOST_FOREIGN = 64 * MIB  # some half a million operations, which are all in memory at once

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
    """The controller's lateness at waking up: one entry per sample, both columns in ns."""

    time: Ints
    late: Ints


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeEvent:
    """An event that a node reported, such as ``led`` or ``followed``.

    ``index`` is the history line, ``time`` is ns since the start, ``value`` is unchecked.
    """

    index: int
    time: int
    node: str
    f: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class History:
    """One recorded run.

    ``source`` names the history in errors, ``lines`` is the number of lines, ``end`` the time of the last (ns).
    ``truncated``: the last line was cut off and dropped. ``nodes`` are all names seen (nodes asked, leaders named,
    targets of faults) in natural order, n2 before n10. ``observations`` are the observe operations, ``others`` all
    others by their ``f``. ``failures`` counts the observations and confirmations that failed, by f, node and reason.
    ``notes`` are info lines that no checker knows. ``model`` names the object that the clients
    operate on; None: the operations show it.
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
    failures: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    model: Model | None = None

    @classmethod
    def read(cls, path: Path | str) -> History:
        """Read a file of JSON lines, or one in a foreign format (``checkers.formats``).

        Raises HistoryError for a malformed line, OSError if the file cannot be read or is no regular file.
        """
        with open_regular(Path(path)) as file:
            beginning = file.read(HEAD)
            file.seek(0)
            if not foreign(beginning):
                return cls.from_lines(lines_of(file, MOST_LINE), str(path))
            return _history(record_foreign(read_rest(file, MOST_FOREIGN), str(path)), str(path))

    @classmethod
    def from_lines(cls, lines: Iterable[bytes], source: str = "history.jsonl") -> History:
        """Read JSON lines. Raises HistoryError, naming the history by ``source``."""
        return _history(record_lines(lines, source), source)

    @classmethod
    def from_entries(
        cls, entries: Iterable[HistoryEntry | Mapping[str, Any]], source: str = "history.jsonl"
    ) -> History:
        """Build a history from entries in memory. Raises HistoryError, naming the history by ``source``."""
        return _history(record_entries(entries, source), source)

    @classmethod
    def from_recording(cls, recording: UncheckedRecording, source: str) -> History:
        """Build a history from a finished recording, to which nothing may be added afterwards."""
        recording.finish()
        return _history(recording, source)

    def operations(self, f: str) -> Operations:
        """All invocations of ``f``, in the order of their lines; no rows if there are none."""
        if f == "observe":
            return self.observations
        known = self.others.get(f)
        return known if known is not None else _operations(f, Table(), np.empty(0, np.int16))

    @cached_property
    def code(self) -> Mapping[str, int]:
        """The index of each node in ``nodes``, by its name."""
        return {name: code for code, name in enumerate(self.nodes)}

    @cached_property
    def periods_by_fault(self) -> tuple[tuple[FaultPeriod, ...], ...]:
        """For each of the faults, when it affected its targets; every checker that excuses anything needs it."""
        return tuple(periods_by_fault(self.faults, self.end))

    @property
    def fault_periods(self) -> Iterator[FaultPeriod]:
        """The periods of all faults."""
        return chain.from_iterable(self.periods_by_fault)

    @cached_property
    def certain_ns(self) -> tuple[int, ...]:
        """The longest time (ns) for which each of the faults was certainly active on any of its targets."""
        return tuple(map(certain_ns, self.periods_by_fault))

    @cached_property
    def leaderships(self) -> Leaderships:
        """The reigns that the observations show, by the keys that nodes give them."""
        return leaderships(self.observations)

    def to_dataframe(self) -> pd.DataFrame:
        """The observations as a data frame: names in place of indexes, missing values in place of -1."""
        import pandas as pd  # imported here: it takes half a second, and only reports need it

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
    """A sort key for natural order, n2 before n10."""
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
        failures=dict(recording.failures),
        others={f: _operations(f, table, recode) for f, table in recording.tables.items() if f != "observe"},
    )


def _nodes(recording: Recording, faults: Iterable[Fault]) -> tuple[tuple[str, ...], NDArray[np.int16]]:
    """All names in natural order, and the index there of each name that the recording numbered."""
    seen = set(recording.node_codes)
    for fault in faults:
        seen.update(fault.nodes, *fault.links)
    nodes = tuple(sorted(seen, key=natural))
    place = {name: code for code, name in enumerate(nodes)}
    # The last entry serves number -1, which is no node.
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
        leader_term=np.ascontiguousarray(rows["leader_term"]),
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
