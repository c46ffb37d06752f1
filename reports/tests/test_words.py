from __future__ import annotations

from typing import Any

import pytest

from splitbrain.reports import words

BROKEN = {
    "verdict": "invalid",
    "properties": {
        "stall": {"verdict": "unknown", "words": "no confirmation was requested"},
        "exclusivity": {"verdict": "invalid", "words": "n1 and n2 both led"},
    },
}


def test_the_headline_is_the_sentence_of_the_judge() -> None:
    assert words.headline({"verdict": "valid", "words": "two leaders once"}, {}) == "Two leaders once."


def test_verdicts_before_version_0_2_have_a_headline_all_the_same() -> None:
    assert words.headline(BROKEN, {"system": "bully"}) == "Violated: exclusivity."
    undecided = {"coverage": {"verdict": "unknown", "words": "no fault was injected"}}
    assert words.headline({"properties": undecided}, {}) == "No fault was injected."
    assert words.headline({}, {}) == "Undecided: the verdict."
    said = words.headline({"verdict": "valid"}, {"system": "raft"})
    assert said == "Every guarantee that raft gives under these faults held."


@pytest.mark.parametrize(
    ("row", "observed"),
    [
        ({"verdict": "valid", "observed": "violated"}, "violated"),
        ({"verdict": "valid", "weakness": "shown", "findings": [{}]}, "violated"),
        ({"verdict": "valid", "findings": []}, "held"),
        ({"verdict": "unknown"}, "undecided"),
        ({"verdict": "not judged"}, "not judged"),
    ],
)
def test_what_was_observed_is_read_from_old_verdicts_too(row: dict[str, Any], observed: str) -> None:
    assert words.observed(row) == observed


@pytest.mark.parametrize("verdicts", [{}, {"verdict": None}, {"verdict": "VALID"}, {"verdict": ["valid"]}])
def test_whatever_is_no_known_verdict_is_unknown_and_never_a_pass(verdicts: dict[str, Any]) -> None:
    assert words.verdict_of(verdicts) == "unknown"
    assert words.verdict_of({"verdict": "valid"}) == "valid"


def test_known_weaknesses_that_were_not_reproduced_are_listed() -> None:
    weak = {"promised": "known-weakness"}
    judged = {"availability": weak | {"observed": "violated"}, "convergence": weak | {"observed": "held"}}
    assert words.not_reproduced({"properties": {"stall": {"guarantees": judged}}}) == ["convergence"]
    assert words.not_reproduced({}) == []


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ("guaranteed", "guaranteed"),
        ("known-weakness", "known weakness"),
        ({"availability": "guaranteed", "convergence": "guaranteed"}, "guaranteed"),
        (
            {"availability": "known-weakness", "convergence": "guaranteed"},
            "availability: known weakness; convergence: guaranteed",
        ),
        ({"A": "!", "L": "+"}, "availability: known weakness; convergence: guaranteed"),  # before 0.2
        ("?", "not promised"),
        (None, "needed for a pass"),
    ],
)
def test_a_promise_is_said_in_words(promise: object, said: str) -> None:
    assert words.promise({"promised": promise}) == words.promise({"promise": promise}) == said


def test_the_title_names_system_and_nemesis_and_survives_their_lack() -> None:
    assert words.title({"system": "raft", "nemesis": ["kill", "partition"]}) == "raft under kill, partition"
    assert words.title({"system": "raft", "nemesis": "kill"}) == "raft under kill"
    assert words.title({"system": "raft", "nemesis": ["none"]}) == "raft"
    assert words.title({}) == "a run"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        ([], "none"),
        ({"a": [1, 2]}, "a: 1, 2"),
        ("x" * 900, "x" * 399 + "…"),
    ],
)
def test_any_value_is_said_on_one_short_line(value: object, said: str) -> None:
    assert words.plain(value) == said
