"""Reading a history: every line is understood or named in an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.history import History, HistoryEntry, HistoryError, UncheckedRecording
from splitbrain.checkers.recording import Kind
from splitbrain.checkers.tests.histories import Story, from_text

INVOKE = {"index": 0, "time": 10, "process": 1, "type": "invoke", "f": "observe", "node": "n1", "value": None}
CLAIM = {"leading": True, "leader": "n1", "term": 3, "reign": "b-1"}
ANSWER = {"index": 1, "time": 20, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": CLAIM}


def lines(*entries: Mapping[str, Any]) -> list[bytes]:
    return [json.dumps(entry).encode() + b"\n" for entry in entries]


def test_an_observation_becomes_one_row_with_its_window_and_its_lines() -> None:
    seen = History.from_lines(lines(INVOKE, ANSWER)).observations
    assert (len(seen), seen.invoke[0], seen.complete[0], seen.outcome[0]) == (1, 10, 20, 0)
    assert (seen.invoke_index[0], seen.complete_index[0]) == (0, 1)
    assert (seen.leading[0], seen.leader[0], seen.term[0], seen.reign_names) == (True, 0, 3, ("b-1",))


def test_null_and_absent_claims_are_both_unknown() -> None:
    history = from_text(
        """
{"index": 0, "time": 1, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 1, "time": 2, "process": 2, "type": "invoke", "f": "observe", "node": "n2", "extra": [1]}
{"index": 2, "time": 3, "process": 1, "type": "ok", "f": "observe", "node": null, "value": {"leading": false}}
{"index": 3, "time": 3, "process": 2, "type": "ok", "f": "observe", "node": "n2",
 "value": {"leading": false, "leader": null, "term": null, "reign": null, "more": 1}}
""".replace(",\n ", ", ")
    )
    seen = history.observations
    assert seen.leader.tolist() == seen.term.tolist() == seen.reign.tolist() == [-1, -1]
    assert history.nodes == ("n1", "n2")


def test_rows_stand_in_the_order_of_their_invokes_and_open_ones_never_completed() -> None:
    story = Story().saw("n1", 1, 9, term=1).saw("n2", 2, 3, term=2).asked("observe", "n3", 4, None, "ok")
    seen = story.history().observations
    assert seen.invoke.tolist() == [1, 2, 4]
    assert seen.complete.tolist() == [9, 3, -1]
    assert seen.outcome.tolist() == [0, 0, 2]
    assert seen.complete_index.tolist() == [4, 2, -1]


def test_nodes_sort_by_their_numbers_wherever_they_are_named() -> None:
    story = Story().saw("n10", 1, 2, leader="n2").cut(3, 4, [("n1", "n20")], nodes=["n3"])
    assert story.history().nodes == ("n1", "n2", "n3", "n10", "n20")


def test_names_of_mixed_form_sort_without_an_error() -> None:
    story = Story().saw("7", 1, 2).saw("a7", 3, 4).saw("", 5, 6).saw("a", 7, 8)
    assert story.history().nodes == ("", "7", "a", "a7")


def test_a_fault_pairs_its_two_lines_by_id() -> None:
    story = Story()
    stated = {"shape": "one-way", "class": "partial-partition", "effect": {"verified": True}}
    story.cut(1, 5, [("n1", "n2")], id=7, **stated)
    story.fault("pause", 2, None, id=8, nodes=["n3"]).fault("kill", 3, 4, id=9, effect={"skipped": "no leader"})
    cut, pause, kill = story.history().faults
    assert (cut.id, cut.begin, cut.done, cut.links, cut.verified) == (7, 1, 5, (("n1", "n2"),), True)
    assert (cut.fault_class, cut.shape, cut.in_effect) == ("partial-partition", "one-way", True)
    assert (pause.done, pause.in_effect, pause.nodes, pause.verified) == (None, False, ("n3",), None)
    assert (kill.skipped, kill.in_effect) == ("no leader", False)


def test_faults_without_ids_or_phases_pair_in_order() -> None:
    nemesis = {"process": "nemesis", "type": "info", "f": "kill", "node": "n1"}
    history = History.from_entries({"index": at, "time": at, **nemesis, "value": "n1"} for at in range(4))
    assert [(fault.begin, fault.done, fault.nodes) for fault in history.faults] == [(0, 1, ("n1",)), (2, 3, ("n1",))]


def test_the_canary_and_node_events_are_kept_apart_from_operations() -> None:
    event = {"process": "n3", "type": "info", "f": "led", "node": "n3", "value": {"term": 7, "at": 4}}
    other = {"process": "x", "type": "info", "f": "weather", "node": None, "value": "rain"}
    drawn = Story().canary(5, 3)
    drawn.lines += [(6, event), (7, other)]
    history = drawn.history()
    assert (history.canary.time.tolist(), history.canary.late.tolist(), history.end) == ([5], [3], 7)
    assert [(e.node, e.f, e.time, e.value) for e in history.node_events] == [("n3", "led", 6, event["value"])]
    assert [note.f for note in history.notes] == ["weather"]


def test_a_canary_may_also_be_an_operation() -> None:
    entries = [
        {"index": 0, "time": 1, "process": "canary", "type": "invoke", "f": "canary"},
        {"index": 1, "time": 9, "process": "canary", "type": "ok", "f": "canary", "value": {"late": 2}},
    ]
    assert History.from_entries(entries).canary.late.tolist() == [2]


def test_unknown_operations_keep_the_values_of_invocation_and_answer() -> None:
    story = Story()
    story.lines += [
        (1, {"process": 1, "type": "invoke", "f": "append", "node": "n2", "value": {"token": 7}}),
        (2, {"process": 1, "type": "ok", "f": "append", "node": "n2", "value": {"position": 41}}),
    ]
    appended = story.history().operations("append")
    assert (appended.asked, appended.answered) == (({"token": 7},), ({"position": 41},))
    assert len(story.history().operations("nothing")) == 0


def test_entries_that_are_structs_read_like_dicts() -> None:
    structs = [msgspec.convert(entry, HistoryEntry) for entry in (INVOKE, ANSWER)]
    assert len(History.from_entries(structs).observations) == 1


@pytest.mark.parametrize(
    ("entries", "number", "words"),
    [
        ([{**INVOKE, "index": 1}], 1, "expected index 0, got 1"),
        ([INVOKE, {**ANSWER, "time": 9}], 2, "a time of at least 10, as in the line before, got 9"),
        ([{**INVOKE, "time": -1}], 1, "`int` >= 0"),
        ([{**INVOKE, "time": 1.5}], 1, "expected `int`, got `float`"),
        ([{**INVOKE, "time": 2**70}], 1, "2**70 is no time"),
        ([{**INVOKE, "type": "maybe"}], 1, "'maybe'"),
        ([{**INVOKE, "process": None}], 1, "expected `int | str`, got `null`"),
        ([{key: INVOKE[key] for key in INVOKE if key != "f"}], 1, "missing required field `f`"),
        (
            [INVOKE, {**INVOKE, "index": 1}],
            2,
            "a completion of observe, invoked by process 1 in line 1, got 'invoke of observe'",
        ),
        ([{**ANSWER, "index": 0}], 1, "an invoke of process 1 before its completion, got 'ok of observe'"),
        ([INVOKE, {**ANSWER, "f": "confirm"}], 2, "a completion of observe, invoked by process 1 in line 1"),
        ([INVOKE, {**ANSWER, "node": "n2"}], 2, "node 'n1', as in the invoke of line 1, got 'n2'"),
        ([{**INVOKE, "node": None}], 1, "the name of the observed node"),
        ([INVOKE, {**ANSWER, "value": None}], 2, "leading to be true or false"),
        ([INVOKE, {**ANSWER, "value": {"leading": 1}}], 2, "leading to be true or false"),
        ([INVOKE, {**ANSWER, "value": {**CLAIM, "term": "7"}}], 2, "term to be an integer"),
        ([INVOKE, {**ANSWER, "value": {**CLAIM, "term": -4}}], 2, "term to be an integer"),
        ([INVOKE, {**ANSWER, "value": {**CLAIM, "term": True}}], 2, "term to be an integer"),
        ([INVOKE, {**ANSWER, "value": {**CLAIM, "leader": 3}}], 2, "leader to be a node's name or null"),
        ([INVOKE, {**ANSWER, "value": {**CLAIM, "reign": [1]}}], 2, "reign to be a string or null"),
        ([{**INVOKE, "process": "nemesis", "f": "kill"}], 1, 'type "info" for the nemesis'),
        ([{**INVOKE, "process": "nemesis", "type": "info", "value": {"phase": "done", "id": 3}}], 1, "a begin of"),
        ([{**INVOKE, "process": "nemesis", "type": "info", "value": {"phase": "middle"}}], 1, '"begin" or "done"'),
        ([{**INVOKE, "process": "nemesis", "type": "info", "value": {"links": [["a"]]}}], 1, "pairs of names"),
        ([{**INVOKE, "process": "nemesis", "type": "info", "value": {"nodes": "n1"}}], 1, "a list of names"),
        ([{**INVOKE, "process": "canary", "type": "info", "f": "canary", "value": {}}], 1, '"late" in ns'),
    ],
)
def test_a_malformed_line_is_named_with_what_was_expected(
    entries: list[Mapping[str, Any]], number: int, words: str
) -> None:
    with pytest.raises(HistoryError) as caught:
        History.from_lines(lines(*entries), "runs/history.jsonl")
    assert str(caught.value).startswith(f"runs/history.jsonl, line {number}: ")
    assert caught.value.line == number
    if words != "2**70 is no time":
        assert words in str(caught.value)


def test_an_entry_in_memory_is_checked_like_a_line() -> None:
    with pytest.raises(HistoryError, match=r"memory, line 1: expected `int`, got `str`"):
        History.from_entries([{**INVOKE, "time": "soon"}], "memory")


def test_the_number_of_a_bad_line_is_right_beyond_the_first_batch() -> None:
    good = [{**INVOKE, "index": at, "process": at} for at in range(3000)]
    with pytest.raises(HistoryError) as caught:
        History.from_lines([*lines(*good), b"{\n"])
    assert caught.value.line == 3001


def test_an_empty_line_is_no_json_object() -> None:
    with pytest.raises(HistoryError, match=r"line 2: expected one JSON object"):
        History.from_lines([*lines(INVOKE), b"\n", *lines(ANSWER)])


def test_a_last_line_that_was_cut_off_is_dropped_and_reported() -> None:
    history = History.from_lines([*lines(INVOKE, ANSWER), b'{"index": 2, "ti'])
    assert (history.truncated, history.lines, len(history.observations)) == (True, 2, 1)


@pytest.mark.parametrize(
    "cut",
    [
        [b'{"index": 2, "ti\n'],  # complete, because it ends in a newline
        [b'{"index": 2, "ti', *lines(ANSWER)],  # not the last
        [b'{"index": 2, "time": 30}'],  # JSON, but no line of a history
    ],
)
def test_no_other_broken_line_is_let_go(cut: list[bytes]) -> None:
    with pytest.raises(HistoryError, match="line 3"):
        History.from_lines([*lines(INVOKE, ANSWER), *cut])


def test_a_history_cut_at_any_byte_still_reads() -> None:
    complete = b"".join(lines(INVOKE, ANSWER))
    for size in range(len(complete)):
        history = History.from_lines(complete[:size].splitlines(keepends=True))
        assert history.lines == complete[:size].count(b"\n") + (size in (len(lines(INVOKE)[0]) - 1, len(complete) - 1))


def test_an_empty_history_is_a_history() -> None:
    history = History.from_lines([])
    assert (history.lines, history.end, history.nodes, len(history.observations)) == (0, 0, (), 0)
    assert len(history.to_dataframe()) == 0


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"index": 0, "f": "\xff\xfe"}\n')
    with pytest.raises(HistoryError, match=r"history\.jsonl, line 1"):
        History.read(path)


def test_a_deeply_nested_line_is_named() -> None:
    with pytest.raises(HistoryError, match="line 1"):
        History.from_lines([b'{"index": 0, "value": ' + b"[" * 100_000 + b"\n"])


def test_the_frame_holds_names_and_missing_values() -> None:
    story = Story().led("n1", 1, 2, term=3, reign="b").saw("n2", 3, 4).asked("observe", "n1", 5, None, "ok")
    frame = story.history().to_dataframe()
    assert frame["node"].tolist() == ["n1", "n2", "n1"]
    assert frame["leader"].isna().tolist() == [False, True, True]
    assert frame["term"].isna().tolist() == [False, True, True]
    assert frame["complete"].isna().tolist() == [False, False, True]
    assert frame["outcome"].tolist() == ["ok", "ok", "info"]


@given(st.binary(max_size=200))
def test_reading_any_bytes_gives_a_history_or_a_history_error(noise: bytes) -> None:
    try:
        History.from_lines(noise.splitlines(keepends=True))
    except HistoryError as problem:
        assert problem.line >= 1


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 9), st.booleans(), st.integers(0, 3)),
        max_size=12,
    )
)
def test_columns_hold_exactly_the_recorded_observations(
    drawn: list[tuple[int, int, int, bool, int]],
) -> None:
    story = Story()
    for node, start, length, leading, term in drawn:
        story.saw(f"n{node}", start, start + length, leading=leading, term=term)
    history = story.history()
    seen = history.observations
    rows = zip(seen.node, seen.invoke, seen.complete, seen.leading, seen.term, strict=True)
    back = [(history.nodes[n], int(a), int(b), bool(led), int(term)) for n, a, b, led, term in rows]
    assert sorted(back) == sorted((f"n{n}", a, a + w, led, term) for n, a, w, led, term in drawn)
    assert np.all(np.diff(seen.invoke_index) > 0)


def test_an_unchecked_recording_equals_the_reading_of_its_lines() -> None:
    claim = {"leading": True, "leader": "n10", "term": 3, "reign": "a-1"}
    no_leader = {"leading": False, "leader": None, "term": None, "reign": None}
    lines: list[tuple[int, int | str, Kind, str, str | None, Any, Any]] = [
        (1, 0, "invoke", "observe", "n10", None, None),
        (2, 1, "invoke", "confirm", "n2", None, None),
        (3, 2, "invoke", "append", "n2", {"token": 1}, None),
        (3, 0, "ok", "observe", "n10", claim, None),
        (4, "nemesis", "info", "kill", None, {"id": 0, "phase": "begin", "nodes": ["n1"]}, None),
        (5, 1, "ok", "confirm", "n2", {"term": 3, "reign": "a-1"}, None),
        (6, 0, "invoke", "observe", "n10", None, None),
        (6, 2, "ok", "append", "n2", {"position": 0}, None),
        (7, 1, "invoke", "confirm", "n2", None, None),
        (8, 0, "fail", "observe", "n10", None, "refused"),
        (9, 1, "info", "confirm", "n2", None, "no answer"),
        (9, 0, "invoke", "observe", "n10", None, None),
        (10, 0, "ok", "observe", "n10", no_leader, None),
        (11, 3, "invoke", "observe", "n2", None, None),
        (12, 4, "invoke", "confirm", "n2", None, None),
    ]
    columns = UncheckedRecording()
    for time, process, kind, f, node, value, error in lines:
        if kind == "invoke":
            columns.invoke(time, process, f, node, value)
        elif kind == "ok":
            columns.ok(time, process, f, node, value)
        else:
            columns.other(time, process, kind, f, node, value, error)
    packed = History.from_recording(columns, "memory")
    read = History.from_entries([HistoryEntry(at, *line) for at, line in enumerate(lines)], "memory")
    assert (packed.lines, packed.end, packed.nodes, packed.faults) == (read.lines, read.end, read.nodes, read.faults)
    assert packed.to_dataframe().equals(read.to_dataframe())
    for f in ("confirm", "append"):
        assert repr(packed.operations(f)) == repr(read.operations(f))
