from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from splitbrain.checkers.judge import PROPERTIES
from splitbrain.reports.properties import MAX_FINDINGS, MAX_LINE, PropertyRow, lines_of, meanings, property_rows
from splitbrain.reports.tests.literal import history, observe
from splitbrain.reports.words import SYMBOLS

RUN = history(observe("n1", 0, 5, leading=True, term=1), observe("n2", 1, 6, leading=True, term=1))


def stored(directory: Path) -> Path:
    path = directory / "history.jsonl"
    path.write_text("".join(json.dumps({"index": n, "text": f"line {n}"}) + "\n" for n in range(4)))
    return path


def rows(path: Path, **properties: Any) -> list[PropertyRow]:
    return property_rows({"properties": properties}, RUN, path)


def test_the_worst_property_comes_first() -> None:
    found = rows(Path("none"), a={"verdict": "valid"}, b={"verdict": "unknown"}, c={"verdict": "invalid"})
    assert [row.name for row in found] == ["c", "b", "a"]


def test_a_property_that_was_not_judged_comes_last_without_a_tick() -> None:
    not_judged = {"verdict": "not judged", "observed": "not judged", "promised": "undefined"}
    found = rows(Path("none"), a=not_judged, b={"verdict": "valid", "observed": "held", "promised": None})
    assert [(row.name, row.verdict, row.observed, row.promised) for row in found] == [
        ("b", "valid", "held", "needed for a pass"),
        ("a", "not judged", "not judged", "undefined"),
    ]
    assert "not judged" not in SYMBOLS


def test_evidence_is_shown_verbatim_after_the_question_that_it_answers(tmp_path: Path) -> None:
    (row,) = rows(stored(tmp_path), exclusivity={"verdict": "invalid", "evidence": [2, 3]})
    assert [line.text for line in row.evidence] == [
        '        0  {"index": 0, "text": "line 0"}',
        '        1  {"index": 1, "text": "line 1"}',
        '→       2  {"index": 2, "text": "line 2"}',
        '→       3  {"index": 3, "text": "line 3"}',
    ]


def test_evidence_whose_history_is_gone_is_still_numbered_and_said_to_be_missing(tmp_path: Path) -> None:
    (row,) = rows(tmp_path / "history.jsonl", exclusivity={"verdict": "invalid", "evidence": [2]})
    assert [line.text for line in row.evidence] == ["2"]
    assert row.evidence_note == "Not found in history.jsonl beside this page: lines 0, 2."


def test_a_line_that_is_too_long_is_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("x" * 9000 + "\n")
    assert lines_of(path, {0})[0] == "x" * MAX_LINE + "… (cut here)"


def test_of_too_many_findings_some_are_listed_and_all_are_counted() -> None:
    (row,) = rows(Path("none"), stall={"findings": [{"words": str(n), "start": n, "end": n} for n in range(70)]})
    assert (len(row.findings), row.findings_total) == (MAX_FINDINGS, 70)


def test_figures_are_in_units_for_people_and_tables_of_figures_are_left_to_their_places() -> None:
    facts = {"longest_overlap_ns": 1_500_000, "unavailable": [0, 2_000_000_000], "faults": [{"id": 1}], "reigns": 3}
    (row,) = rows(Path("none"), exclusivity={"facts": facts})
    assert row.facts == (("longest overlap, ms", "1.5"), ("unavailable", "0.000 s to 2.000 s"), ("reigns", "3"))


def test_a_property_of_an_unknown_name_is_listed_and_admitted_to_be_unknown() -> None:
    found = {row.name: row.meaning for row in meanings({"properties": {"novelty": {}}})}
    assert found["novelty"] == "No description is at hand for this property."
    assert "term-safety" in found


def test_every_property_that_is_judged_has_a_description() -> None:
    found = {row.name: row.meaning for row in meanings({})}
    assert found == {tested.name: tested.help for tested in PROPERTIES} and all(found.values())
