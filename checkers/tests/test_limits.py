"""Histories that other people wrote: each is refused with a clear message, or judged in time linear in its length."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fault import Fault, pair_faults, read_nemesis_line
from splitbrain.checkers.fault_periods import periods_by_fault
from splitbrain.checkers.files import read_whole
from splitbrain.checkers.history import History, HistoryEntry, HistoryError
from splitbrain.checkers.judge import judge
from splitbrain.checkers.reading import MOST_LINE
from splitbrain.checkers.recording import MOST_NODES
from splitbrain.checkers.verdict import Outcome

MANY = 4_000


def nemesis_line(index: int, f: str, **value: Any) -> HistoryEntry:
    return HistoryEntry(index, index, "nemesis", "info", f, None, value)


def observed(names: int) -> Iterator[dict[str, Any]]:
    for at in range(names):
        entry = {"process": 0, "f": "observe", "node": f"n{at}"}
        yield {"index": 2 * at, "time": 2 * at, "type": "invoke", **entry}
        yield {"index": 2 * at + 1, "time": 2 * at + 1, "type": "ok", "value": {"leading": False}, **entry}


def test_a_device_and_a_fifo_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, kind in (("/dev/full", "a character device"), (tmp_path / "fifo", "a FIFO")):
        with pytest.raises(OSError, match=f"expected a regular file, got {kind}"):
            History.read(path)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "record"
    file.write_bytes(b"x" * (2 << 20))
    assert len(read_whole(file, 2 << 20)) == 2 << 20
    with pytest.raises(OSError, match="expected at most 1 MiB, got more"):
        read_whole(file, 1 << 20)


def test_a_line_of_more_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    line = {"index": 0, "time": 0, "process": "x", "type": "info", "f": "note", "value": "x" * (MOST_LINE - 200)}
    file.write_text(json.dumps(line) + "\n")
    assert History.read(file).lines == 1
    file.write_text(json.dumps(line) + "\n" + json.dumps({**line, "index": 1, "value": "x" * MOST_LINE}) + "\n")
    with pytest.raises(HistoryError, match=f"line 2: expected a line of at most {MOST_LINE} bytes"):
        History.read(file)


def test_nesting_that_no_decoder_follows_is_refused() -> None:
    deep = (
        b'{"index":0,"time":0,"process":"x","type":"info","f":"note","value":'
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}\n"
    )
    with pytest.raises(HistoryError, match="line 1: expected one JSON object"):
        History.from_lines([deep])


def test_a_message_about_a_long_value_is_short() -> None:
    with pytest.raises(HistoryError) as refused:
        History.from_entries(
            [
                {
                    "index": 0,
                    "time": 0,
                    "process": "nemesis",
                    "type": "info",
                    "f": "kill",
                    "value": {"id": ["x" * 10_000]},
                }
            ]
        )
    assert len(str(refused.value)) < 500


def test_more_names_than_a_cluster_has_are_refused() -> None:
    assert len(History.from_entries(observed(MOST_NODES)).nodes) == MOST_NODES
    with pytest.raises(HistoryError, match=f"expected at most {MOST_NODES} node names, got 'n{MOST_NODES}'"):
        History.from_entries(observed(MOST_NODES + 1))


def test_a_cluster_that_is_too_large_to_compare_is_unknown() -> None:
    faults = (nemesis_line(2 * MOST_NODES + at, "kill", id=at, nodes=["n1"]) for at in range(50))
    history = History.from_entries([*observed(MOST_NODES), *faults])
    stall = judge(history)["stall"]
    assert (stall.outcome, stall.words) == (
        Outcome.UNKNOWN,
        "1000 nodes with 50 changes of their health are too many to compare",
    )


def test_more_servers_than_can_be_enumerated_are_unknown() -> None:
    bounds = Bounds(servers=tuple(f"s{at}" for at in range(25)), elects="servers")
    stall = judge(History.from_entries(observed(3)), bounds=bounds)["stall"]
    assert (stall.outcome, stall.words) == (Outcome.UNKNOWN, "expected at most 15 servers, got 25")


def test_a_done_belongs_to_the_oldest_open_begin_of_its_id() -> None:
    lines = [
        nemesis_line(0, "kill", phase="begin", id=1),
        nemesis_line(1, "kill", phase="begin"),
        nemesis_line(2, "kill", phase="begin", id=1),
        nemesis_line(3, "kill", phase="done", id=1),
        nemesis_line(4, "kill", phase="done", id=1),
        nemesis_line(5, "kill", phase="done"),
    ]
    assert [fault.done_index for fault in pair_faults(map(read_nemesis_line, lines))] == [3, 4, 5]


class Counted(tuple[Fault, ...]):
    """Faults that count how often one of them is looked at."""

    looks = 0

    def __getitem__(self, at: Any) -> Any:
        Counted.looks += 1
        return super().__getitem__(at)


def test_the_repairs_of_many_faults_are_found_without_a_search_through_all() -> None:
    kills = [Fault(id=at, f="kill", begin=at, begin_index=at, done=at, nodes=("n1",)) for at in range(MANY)]
    useless = [Fault(id=at, f="resume", begin=at, begin_index=at, nodes=("n1",)) for at in range(MANY, 2 * MANY)]
    periods = [*chain.from_iterable(periods_by_fault(Counted((*kills, *useless)), 2 * MANY))]
    assert len(periods) == MANY
    assert Counted.looks <= 10 * MANY


class Id(int):
    """An id that counts how often it is compared."""

    compared = 0

    def __hash__(self) -> int:
        return int(self)

    def __eq__(self, other: object) -> bool:
        Id.compared += 1
        return super().__eq__(other)


def test_many_open_faults_are_paired_without_a_search_through_all() -> None:
    begun = [nemesis_line(at, "kill", phase="begin", id=Id(at)) for at in range(MANY)]
    done = [nemesis_line(MANY + at, "kill", phase="done", id=Id(MANY - 1 - at)) for at in range(MANY)]
    assert all(fault.done_index is not None for fault in pair_faults(map(read_nemesis_line, [*begun, *done])))
    assert Id.compared <= 10 * MANY
