"""Foreign formats: the same operations in EDN, in Jepsen's text log and in plain JSON lines are the same history."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.edn import DEEPEST, EdnError, read_forms
from splitbrain.checkers.formats import FormatError, foreign, foreign_entries
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.linearizability import check
from splitbrain.checkers.recording import HistoryEntry

EDN = """
; a register, as one vector
[{:process 0, :type :invoke, :f :write, :value 1, :time 10}
 #jepsen.history.Op{:process 0, :type :ok, :f :write, :value 1, :time 20, :index 7}
 {:process :nemesis, :type :info, :f :start-partition, :value [:isolated {"n1" #{"n2" "n3"}}], :time 25}
 {:process 1, :type :invoke, :f :cas, :value [1 2], :time 24}
 {:process 1, :type :info, :f :cas, :value [1 2], :error [:timeout "read"], :time 40}
 {:process 2, :type :invoke, :f :read, :value nil, :time 50} #_{:ignored true}
 {:process 2, :type :ok, :f :read, :value 2, :time 60}]
"""
LINES = """{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :cas, :value [1 2]}
{:process 1, :type :info, :f :cas, :value [1 2], :error :timeout}
{:process 2, :type :invoke, :f :read, :value nil}
{:process 2, :type :ok, :f :read, :value 2}
"""
LOG = """0	:invoke	:write	1
0	:ok	:write	1
:nemesis	:info	:start	nil
1	:invoke	:cas	[1 2]
INFO  jepsen.util - 1	:info	:cas	[1 2]	:timed-out
2	:invoke	:read	nil
2	:ok	:read	2
"""
JSON = """{"process": 0, "type": "invoke", "f": "write", "value": 1}
{"process": 0, "type": "ok", "f": "write", "value": 1, "time": 20}
{"process": 1, "type": "invoke", "f": "cas", "value": [1, 2]}
{"process": 1, "type": "info", "f": "cas", "value": [1, 2], "error": "timeout"}

{"process": 2, "type": "invoke", "f": "read", "value": null}
{"process": 2, "type": "ok", "f": "read", "value": 2}
"""


def read(folder: Path, text: str) -> History:
    (folder / "history").write_text(text)
    return History.read(folder / "history")


@pytest.mark.parametrize("text", [EDN, LINES, LOG, JSON], ids=["vector", "lines", "log", "json"])
def test_every_format_gives_the_same_operations(tmp_path: Path, text: str) -> None:
    history = read(tmp_path, text)
    cas = history.operations("cas")
    assert (cas.asked, cas.outcome.tolist(), cas.process) == (([1, 2],), [2], (1,))
    assert history.operations("read").answered == (2,)
    assert check(history).words == "3 operations on 1 register: linearizable (model cas-register)"
    assert not history.nodes and not history.faults


def test_times_are_kept_where_they_do_not_decrease_and_jepsens_nemesis_is_a_note(tmp_path: Path) -> None:
    history = read(tmp_path, EDN)
    assert history.operations("cas").invoke.tolist() == [25]
    assert history.operations("read").complete.tolist() == [60]
    assert [(note.f, note.value) for note in history.notes] == [
        ("start-partition", [":isolated", {"n1": ["n2", "n3"]}])
    ]


def test_reads_of_a_key_make_a_history_of_many_registers(tmp_path: Path) -> None:
    text = """{:process 0, :type :invoke, :f :write, :value [0 1]}
{:process 0, :type :ok, :f :write, :value [0 1]}
{:process 0, :type :invoke, :f :cas, :value [0 [1 3]]}
{:process 0, :type :ok, :f :cas, :value [0 [1 3]]}
{:process 1, :type :invoke, :f :read, :value [5 nil]}
{:process 1, :type :ok, :f :read, :value [5 nil]}
{:process 1, :type :invoke, :f :read, :value [0 nil]}
{:process 1, :type :ok, :f :read, :value [0 VALUE]}
"""
    right, wrong = (check(read(tmp_path, text.replace("VALUE", value))) for value in ("3", "1"))
    assert right.words == "4 operations on 2 registers: linearizable (model cas-register)"
    assert wrong.outcome.word == "invalid" and wrong.findings[0].facts["key"] == 0


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("{:process 0, :type :invoke, :f :read}\n{:process 0, :type", 2, "expected }, got the end of the file"),
        ("[{:process 0, :type :invoke, :f :read}", 1, "expected ], got the end of the file"),
        ("{:process 0, :type :invoke, :f :read}\n3", 2, "expected a map with :process"),
        ("{:process 0, :type :invoke, :f :read}\n{:process 0, :type :done, :f :read}", 2, "'done'"),
        ("{:process 0, :f :read}", 1, "missing required field `type`"),
        ('{:process 0, :type :invoke, :f "read', 1, "expected EDN"),
        ("{:process 0, :type :invoke, :f}", 1, "expected a map of pairs, got 5 forms"),
        ("{:time " + "9" * 5000 + "}", 1, "got one of 5000 digits"),
        ("0\t:invoke\t:read\tnil\nsomething else\n", 2, "separated by tabs, got 'something else'"),
        ("0\t:invoke\t:read\t{:a\n", 1, "expected"),
        ('{"process": 0, "type": "invoke", "f": "read"}\n{"process"', 2, "expected one JSON object"),
        ("{:process 0, :type :invoke, :f :read, :value [[] nil]}", 1, "a number, a string or a keyword as key, got []"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    with pytest.raises(HistoryError) as refused:
        read(tmp_path, text)
    assert refused.value.line == line
    assert problem in refused.value.problem


def forms(text: str) -> list[Any]:
    return [form for _, form in read_forms(text)]


def test_edn_becomes_json_types() -> None:
    assert forms(r'nil true false 12 -3N 1.5 2e3 1/2 :a b/c "x\"\n\u0041" \c \newline') == [
        None, True, False, 12, -3, 1.5, 2000.0, "1/2", ":a", "b/c", 'x"\nA', "c", "newline",
    ]  # fmt: skip
    assert forms('{:a {"b" [1, (2)]} 3 #{2 1}}') == [{"a": {"b": [1, [2]]}, "3": [1, 2]}]
    assert forms('#inst "2020" #_ [1 #_2] #foo/bar{:a #_1 2} ##NaN ; end') == ["2020", {"a": 2}, "##NaN"]


def test_nesting_is_limited() -> None:
    assert forms("{:a " + "[" * (DEEPEST - 1) + "]" * (DEEPEST - 1) + "}")
    with pytest.raises(EdnError, match="expected at most 100 levels of nesting"):
        forms("{:a " + "[" * 100_000)


PIECES = ["#{", "#_", "##", ":invoke", ":ok", ":f", ":type", ":process", ":read", "nil", "0", "1.", "N", "[nil nil]"]


@settings(max_examples=300)
@given(st.text() | st.lists(st.sampled_from([*'[](){}#:;\\"\t\n _', *PIECES])).map("".join))
def test_any_text_is_a_history_or_refused_with_a_line(text: str) -> None:
    for given_text in (text, f"{{:process {text}}}", f"0\t:invoke\t:read\t{text}"):
        if not foreign(given_text.encode()):
            continue
        try:
            entries = foreign_entries(given_text.encode())
        except FormatError as refused:
            assert refused.line >= 1
            continue
        with suppress(HistoryError):
            assert History.from_entries(entries).lines == len(entries)


def test_a_history_of_this_project_is_not_foreign(tmp_path: Path) -> None:
    line = {"index": 0, "time": 5, "process": 0, "type": "invoke", "f": "read", "value": None}
    assert History.from_entries([HistoryEntry(**line)]).lines == 1  # type: ignore[arg-type]
    with pytest.raises(HistoryError, match="expected index 0, got 3"):
        read(tmp_path, '{"index": 3, "time": 5, "process": 0, "type": "invoke", "f": "read"}\n')
