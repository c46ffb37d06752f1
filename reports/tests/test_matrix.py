from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from splitbrain import reports
from splitbrain.reports.matrix import grid, junit, summary, table


def result(status: str, fault_class: str = "leader-isolated", **changes: Any) -> dict[str, Any]:
    return {
        "system": "raft",
        "fault_class": fault_class,
        "runtime": "sim",
        "nemesis": ["isolated-leader"],
        "schedule": None,
        "status": status,
        "promised": {
            "term-safety": "guaranteed",
            "exclusivity": "known-weakness",
            "fencing": "guaranteed",
            "availability": "guaranteed",
            "convergence": "guaranteed",
            "stability": "undefined",
        },
        "observed": {
            "term-safety": "violated",
            "exclusivity": "held",
            "availability": "undecided",
        },
        "words": "term-safety guaranteed, and broken",
        "run": "raft-isolated-leader/20260101T000000Z-1",
        "command": "splitbrain replay it",
        "seconds": 2.5,
        "runs": 5,
        **changes,
    }


def test_each_guarantee_shows_what_was_promised_and_what_was_seen() -> None:
    ((_, (place,)),) = grid([result("broken promise")], "sim").rows
    assert place is not None
    shown = {each.guarantee: (each.promised, each.observed, each.kind) for each in place.marks}
    assert shown["term-safety"] == ("+", "x", "wrong")
    assert shown["exclusivity"] == ("!", "·", "hidden")
    assert shown["fencing"] == ("+", " ", "calm")  # nothing tested it
    assert shown["availability"] == ("+", "u", "calm")
    assert shown["stability"] == ("-", " ", "calm")  # undefined, so nothing was observed


def test_a_targeted_schedule_is_shown_by_its_name() -> None:
    targeted = result("as expected", nemesis=["replay"], schedule="leader-late")
    ((_, (place,)),) = grid([targeted], "sim").rows
    assert place is not None
    assert "leader-late" in place.title
    assert list(table([targeted, result("as expected")])["nemesis"]) == ["leader-late", "isolated-leader"]


def test_columns_are_in_the_order_of_the_classes_and_those_of_servers_come_last() -> None:
    results = [
        result("as expected", each) for each in ("server-crash", "clock-strobe", "pause", "leader-mute", "leader-deaf")
    ]
    assert grid(results, "sim").fault_classes == ("pause", "leader-deaf", "leader-mute", "clock-strobe", "server-crash")


def test_a_broken_promise_is_a_failure_a_failed_run_an_error_and_what_was_not_run_skipped() -> None:
    statuses = ("broken promise", "failed", "not run", "cannot", "not shown", "as expected")
    suite = ElementTree.fromstring(junit([result(status) for status in statuses]))
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["6", "1", "1", "2"]
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.text == "splitbrain replay it"


def test_the_summary_names_every_contradiction_with_its_command_and_nothing_else() -> None:
    text = summary({"results": [result("broken promise"), result("as expected", words="calm")], "command": "again"})
    assert "1 broken promise, 1 as expected" in text
    assert "- raft leader-isolated (sim): term-safety guaranteed, and broken: `splitbrain replay it`" in text
    assert "calm" not in text


def test_the_table_has_a_row_a_result() -> None:
    frame = table([result("broken promise"), result("not run", run=None, command=None)])
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["exclusivity promised"]) == ["known-weakness"] * 2
    assert list(frame["stability promised"]) == ["undefined"] * 2
    assert list(frame["term-safety observed"]) == ["violated"] * 2
    assert list(frame["fencing observed"]) == [None, None]


def test_hostile_words_stay_words_and_every_place_links_its_run(tmp_path: Path) -> None:
    reports.matrix({"results": [result("failed", words="<script>alert(1)</script>")], "command": None}, tmp_path)
    page = (tmp_path / "matrix.html").read_text()
    assert "<script>alert" not in page
    assert 'href="raft-isolated-leader/20260101T000000Z-1/report.html"' in page


def test_a_matrix_of_nothing_says_so(tmp_path: Path) -> None:
    reports.matrix({"results": [], "command": None}, tmp_path)
    assert "Nothing was run" in (tmp_path / "matrix.html").read_text()


def test_the_page_shows_promise_and_observation_of_each_guarantee(tmp_path: Path) -> None:
    reports.matrix({"results": [result("broken promise")], "command": "splitbrain matrix raft"}, tmp_path)
    text = (tmp_path / "matrix.html").read_text()
    assert re.search(r'<span title="term-safety: [^"]+">\+</span>', text)
    assert re.search(r'<span class="wrong" title="term-safety: [^"]+">x</span>', text)
