"""Recording: the lines of a history, checked one by one and packed into columns.

Observations, confirmations and canary samples are packed into bytes as they come, so that two million lines do not
become two million objects. Other operations keep their values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct as Packing
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.fault import FaultHalf, Malformed, read_nemesis_line
from splitbrain.checkers.operations import FAIL, INFO, NONE, OK
from splitbrain.names import CONFIRMED, FOLLOWED, RAISED, REIGNED

Kind = Literal["invoke", "ok", "fail", "info"]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
PROBES = ("observe", "confirm")
MOST_REASONS = 1_000
OUTCOMES = {"ok": OK, "fail": FAIL, "info": INFO}
NODE_EVENTS = frozenset({"led", FOLLOWED, REIGNED, CONFIRMED, RAISED})
MOST_NODES = 1_000  # checkers compare every two of them


class HistoryEntry(msgspec.Struct, gc=False):
    """One line of a history. ``time`` is ns since the start of the history; unknown keys are ignored."""

    index: Count
    time: Count
    process: int | str
    type: Kind
    f: str
    node: str | None = None
    value: Any = None
    error: Any = None


_ROW = Packing("=hqqbqq")
_OBSERVATION = Packing("=hqqbqq?hqqqh")
_SAMPLE = Packing("=qq")
_NO_CLAIM = (False, NONE, NONE, NONE, NONE, NONE)

ROW = np.dtype(
    [
        ("node", "i2"),
        ("invoke", "i8"),
        ("complete", "i8"),
        ("outcome", "i1"),
        ("invoke_index", "i8"),
        ("complete_index", "i8"),
    ]
)
OBSERVATION = np.dtype(
    [
        *ROW.descr,
        ("leading", "?"),
        ("leader", "i2"),
        ("term", "i8"),
        ("leader_term", "i8"),
        ("reign", "i8"),
        ("vote", "i2"),
    ]
)
SAMPLE = np.dtype([("time", "i8"), ("late", "i8")])


@dataclass(slots=True)
class Table:
    """The packed rows of one ``f``, in the order of completion.

    ``values`` holds process, invoked value and answer of each row; it stays empty for observe and confirm.
    """

    observed: bool = False  # rows of observe, which hold claims too
    rows: bytearray = field(default_factory=bytearray)
    values: list[tuple[int | str, Any, Any]] = field(default_factory=list)

    def sorted(self, layout: np.dtype[Any]) -> tuple[NDArray[Any], list[tuple[int | str, Any, Any]]]:
        """The rows and values in the order of their invoke lines; ``layout`` is ROW or OBSERVATION."""
        rows = np.frombuffer(self.rows, dtype=layout)
        order = np.argsort(rows["invoke_index"], kind="stable")
        return rows[order], [self.values[at] for at in order] if self.values else []


class Recording:
    """Checks entries in order and packs them into tables.

    Raises Malformed for an entry that is wrong or out of place.
    """

    def __init__(self) -> None:
        self.count = 0
        self.end = 0
        self.truncated = False
        self.node_codes: dict[str, int] = {}
        self.reign_codes: dict[str, int] = {}
        self.tables: dict[str, Table] = {"observe": Table(observed=True), "confirm": Table()}
        self.canary = bytearray()
        self.nemesis: list[FaultHalf] = []
        self.node_events: list[HistoryEntry] = []
        self.notes: list[HistoryEntry] = []
        self.failures: Counter[tuple[str, str, str]] = Counter()  # probes by f, node and reason
        self._open: dict[int | str, HistoryEntry] = {}

    def take(self, entry: HistoryEntry) -> None:
        """Add the next line. Runs once per line, and so favours speed over brevity."""
        index = self.count
        if entry.index != index:
            raise Malformed(f"index {index}", entry.index, index)
        if entry.time < self.end:
            raise Malformed(f"a time of at least {self.end}, as in the line before", entry.time, index)
        if entry.type == "invoke":
            self._invoke(entry)
        else:
            invoked = self._open.pop(entry.process, None)
            if invoked is None:
                self._event(entry)
            else:
                self._complete(invoked, entry)
        self.count = index + 1
        self.end = entry.time

    def finish(self) -> None:
        """Close the recording: operations still pending never completed."""
        for invoked in self._open.values():
            self._append(invoked, NONE, INFO, NONE, None)
        self._open.clear()

    def _invoke(self, entry: HistoryEntry) -> None:
        if entry.process in self._open:
            before = self._open[entry.process]
            expected = f"a completion of {before.f}, invoked by process {entry.process!r} in line {before.index + 1}"
            raise Malformed(expected, f"invoke of {entry.f}", entry.index)
        if entry.process == "nemesis":
            raise Malformed('type "info" for the nemesis', entry.type, entry.index)
        if entry.node is None and entry.f == "observe":
            raise Malformed("the name of the observed node", entry.node, entry.index)
        self._open[entry.process] = entry

    def _complete(self, invoked: HistoryEntry, entry: HistoryEntry) -> None:
        if entry.f != invoked.f:
            expected = f"a completion of {invoked.f}, invoked by process {entry.process!r} in line {invoked.index + 1}"
            raise Malformed(expected, entry.f, entry.index)
        if entry.node != invoked.node and entry.node is not None:
            if invoked.node is not None:
                expected = f"node {invoked.node!r}, as in the invoke of line {invoked.index + 1}"
                raise Malformed(expected, entry.node, entry.index)
            invoked.node = entry.node
        if entry.f == "canary":
            self._event(entry)
        else:
            self._append(invoked, entry.time, OUTCOMES[entry.type], entry.index, entry)

    def _append(
        self, invoked: HistoryEntry, complete: int, outcome: int, index: int, completed: HistoryEntry | None
    ) -> None:
        node, f = self._code(invoked.node), invoked.f
        if completed is not None and outcome != OK and f in PROBES:
            self._failed(f, invoked.node, completed.error)
        try:
            table = self.tables[f]
        except KeyError:
            table = self.tables[f] = Table()
        row = (node, invoked.time, complete, outcome, invoked.index, index)
        if f == "observe":
            claim = self._claim(completed) if completed is not None and outcome == OK else _NO_CLAIM
            table.rows += _OBSERVATION.pack(*row, *claim)
        else:
            table.rows += _ROW.pack(*row)
            if f != "confirm":
                answered = completed.value if completed is not None else None
                table.values.append((invoked.process, invoked.value, answered))

    def _failed(self, f: str, node: str | None, error: object) -> None:
        if error is None:
            return
        reason = (f, str(node), str(error))
        if reason not in self.failures and len(self.failures) >= MOST_REASONS:
            reason = (f, str(node), "another reason")
        self.failures[reason] += 1

    def _claim(self, entry: HistoryEntry) -> tuple[bool, int, int, int, int, int]:
        """The claim of an observation: leading, and leader, term, leader_term, reign and vote as numbers (-1: null)."""
        value = entry.value
        if type(value) is not dict or type(value.get("leading")) is not bool:
            _claim_malformed(entry, "leading to be true or false", value)
        leader, reign, vote = value.get("leader"), value.get("reign"), value.get("vote")
        if leader is not None and type(leader) is not str:
            _claim_malformed(entry, "leader to be a node's name or null", leader)
        if vote is not None and type(vote) is not str:
            _claim_malformed(entry, "vote to be a node's name or null", vote)
        term = leader_term = _term(entry, "term", value.get("term"))
        if "leader_term" in value and not value["leading"]:
            leader_term = _term(entry, "leader_term", value["leader_term"])
        if reign is None:
            code = NONE
        elif type(reign) is str or type(reign) is int:
            code = self.reign_codes.setdefault(str(reign), len(self.reign_codes))
        else:
            _claim_malformed(entry, "reign to be a string or null", reign)
        return value["leading"], self._code(leader), term, leader_term, code, self._code(vote)

    def _event(self, entry: HistoryEntry) -> None:
        """Add a line that completes no operation: a fault, a canary sample, a node event or a note."""
        if entry.f == "canary":
            late = entry.value.get("late") if isinstance(entry.value, Mapping) else None
            if type(late) is not int or not abs(late) < 2**63:
                raise Malformed('a canary value with "late" in ns', entry.value, entry.index)
            self.canary += _SAMPLE.pack(entry.time, late)
            return
        if entry.type != "info" or isinstance(entry.process, int):
            expected = f"an invoke of process {entry.process!r} before its completion"
            raise Malformed(expected, f"{entry.type} of {entry.f}", entry.index)
        if entry.process == "nemesis":
            self.nemesis.append(read_nemesis_line(entry))
        elif entry.f in NODE_EVENTS:
            self._code(str(entry.process))
            self.node_events.append(entry)
        else:
            self.notes.append(entry)
        self._code(entry.node)

    def _code(self, node: str | None) -> int:
        if node is None:
            return NONE
        try:
            return self.node_codes[node]
        except KeyError:
            code = self.node_codes[node] = len(self.node_codes)
            if code >= MOST_NODES:
                raise Malformed(f"at most {MOST_NODES} node names", node, self.count) from None
            return code


class UncheckedRecording(Recording):
    """A recording by a trusted writer during a run: observe and confirm are packed unchecked, the rest is checked."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[int | str, tuple[Table, int, int, int]] = {}  # pending, by process: table, node, time, index

    def invoke(self, time: int, process: int | str, f: str, node: str | None, value: Any = None) -> None:
        """Add an invocation."""
        if f == "observe" or f == "confirm":
            self._asked[process] = (self.tables[f], self._code(node), time, self.count)
            self.count += 1
            self.end = time
        else:
            self.take(HistoryEntry(self.count, time, process, "invoke", f, node, value))

    def ok(self, time: int, process: int | str, f: str, node: str | None, value: Any) -> None:
        """Add a completion with ok."""
        if process not in self._asked:
            self.take(HistoryEntry(self.count, time, process, "ok", f, node, value))
            return
        table, code, asked, index = self._asked.pop(process)
        if f == "confirm":
            table.rows += _ROW.pack(code, asked, time, OK, index, self.count)
        else:
            leader, term, reign = value["leader"], value["term"], value["reign"]
            term = NONE if term is None else term
            table.rows += _OBSERVATION.pack(
                code,
                asked,
                time,
                OK,
                index,
                self.count,
                value["leading"],
                self._code(leader),
                term,
                term,
                NONE if reign is None else self.reign_codes.setdefault(reign, len(self.reign_codes)),
                self._code(value.get("vote")),
            )
        self.count += 1
        self.end = time

    def other(
        self, time: int, process: int | str, type: Kind, f: str, node: str | None, value: Any, error: Any
    ) -> None:
        """Add any other line: a failed or indeterminate operation, a fault, a note."""
        asked = self._asked.pop(process, None)
        if asked is None:
            self.take(HistoryEntry(self.count, time, process, type, f, node, value, error))
        else:
            _pack_unanswered(*asked, time, OUTCOMES[type], self.count)
            self._failed(f, node, error)
            self.count += 1
            self.end = time

    def finish(self) -> None:
        """Close the recording: operations still pending never completed."""
        super().finish()
        for asked in self._asked.values():
            _pack_unanswered(*asked, NONE, INFO, NONE)
        self._asked.clear()


def _pack_unanswered(
    table: Table, node: int, asked: int, index: int, complete: int, outcome: int, complete_index: int
) -> None:
    row = (node, asked, complete, outcome, index, complete_index)
    table.rows += _OBSERVATION.pack(*row, *_NO_CLAIM) if table.observed else _ROW.pack(*row)


def _term(entry: HistoryEntry, key: str, term: object) -> int:
    if term is None:
        return NONE
    if type(term) is not int or not 0 <= term < 2**63:
        _claim_malformed(entry, f"{key} to be an integer from 0 to 2**63 - 1, or null", term)
    return term


def _claim_malformed(entry: HistoryEntry, expected: str, got: object) -> NoReturn:
    raise Malformed(f"{expected} in an observe that is ok", got, entry.index)
