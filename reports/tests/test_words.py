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


def test_an_invalid_run_says_first_what_was_broken() -> None:
    said = words.headline(BROKEN, {"system": "bully"})
    assert said == "bully violated a guarantee: exclusivity. N1 and n2 both led."


def test_an_unknown_run_says_that_it_is_no_pass() -> None:
    said = words.headline({"verdict": "unknown", "properties": {"coverage": {"verdict": "unknown"}}}, {})
    assert said == "Inconclusive: coverage could not be decided."
    assert words.headline(
        {"properties": {"coverage": {"verdict": "unknown", "words": "no fault was injected"}}}, {}
    ) == ("Inconclusive: no fault was injected.")
    assert words.headline({}, {}) == "Inconclusive: the verdict could not be decided."


def test_a_valid_run_says_how_much_was_promised() -> None:
    judged = {
        "a": {"verdict": "valid", "promise": {"term-safety": "guaranteed"}},
        "b": {"verdict": "valid", "promise": "not-promised"},
    }
    said = words.headline({"verdict": "valid", "properties": judged}, {"system": "raft"})
    assert said == "Every guarantee that raft gives under these faults held (1 judged as guaranteed)."


@pytest.mark.parametrize("verdicts", [{}, {"verdict": None}, {"verdict": "VALID"}, {"verdict": ["valid"]}])
def test_whatever_is_no_known_verdict_is_unknown_and_never_a_pass(verdicts: dict[str, Any]) -> None:
    assert words.verdict_of(verdicts) == "unknown"
    assert words.verdict_of({"verdict": "valid"}) == "valid"


def test_known_weaknesses_are_listed_by_outcome() -> None:
    shown, hidden = words.weaknesses(
        {
            "properties": {
                "a": {"weakness": "shown"},
                "b": {"weakness": "not shown"},
                "c": {},
                "d": {"weakness": "shown"},
            }
        }
    )
    assert shown.startswith("Known weakness reproduced: a and d.")
    assert hidden.startswith("Known weakness not reproduced in this run: b.")
    assert words.weaknesses({}) == []


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
    assert words.promise({"promise": promise}) == said


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
