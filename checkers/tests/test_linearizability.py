"""Linearizability, against a model that tries every order, and on histories with known verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.history import History
from splitbrain.checkers.judge import judge
from splitbrain.checkers.linearizability import check, registers
from splitbrain.checkers.linearization import RegisterOperation
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "data" / "etcd-2014.jsonl").read_text().splitlines()]


class Register(Story):
    """A story of one register, or of several with keys."""

    def read(self, a: int, b: int, value: Any) -> Register:
        self.asked("read", None, a, b, "ok", value)
        return self

    def wrote(self, a: int, b: int | None, value: Any, outcome: str = "ok") -> Register:
        self.asked("write", None, a, b, outcome, value, sent=value)
        return self

    def swap(self, a: int, b: int | None, old: Any, new: Any, swapped: bool | None = True, how: str = "ok") -> Register:
        sent = {"from": old, "to": new}
        self.asked("cas", None, a, b, how, None if swapped is None else {**sent, "swapped": swapped}, sent=sent)
        return self

    def verdict(self) -> str:
        return check(self.history()).outcome.word


@st.composite
def stories(draw: st.DrawFn) -> Register:
    story = Register()
    value = st.integers(0, 2)
    for _ in range(draw(st.integers(0, 5))):
        a = draw(st.integers(0, 20))
        b = a + draw(st.integers(1, 12))
        how = draw(st.sampled_from(["ok", "ok", "ok", "info", "fail"]))
        match draw(st.sampled_from(["read", "write", "cas"])):
            case "read":
                story.read(a, b, draw(value | st.none()))
            case "write":
                story.wrote(a, b, draw(value), how)
            case _:
                story.swap(
                    a, b, draw(value | st.none()), draw(value), draw(st.booleans()) if how == "ok" else None, how
                )
    return story


def fits(order: tuple[RegisterOperation, ...]) -> bool:
    """True if the operations can take effect in that order, none before one answered before its invocation."""
    if any(b.returns is not None and b.returns < a.invoked for i, a in enumerate(order) for b in order[i + 1 :]):
        return False
    value: bytes | None = b"null"
    for operation in order:
        value = None if value is None else operation.after(value)
    return value is not None


def orders(operations: list[RegisterOperation]) -> Iterator[tuple[RegisterOperation, ...]]:
    """Every order of the answered ones with any of the others."""
    unknown = [operation for operation in operations if operation.returns is None]
    for chosen in range(1 << len(unknown)):
        took_place = [
            operation for operation in operations if operation not in unknown or chosen >> unknown.index(operation) & 1
        ]
        yield from permutations(took_place)


@settings(deadline=None, max_examples=300)
@given(stories())
def test_a_register_is_linearizable_iff_some_order_of_its_operations_fits(story: Register) -> None:
    history = story.history()
    operations = registers(history).get(None, [])
    expected = any(fits(order) for order in orders(operations))
    assert (check(history).outcome is not Outcome.INVALID) == expected


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["name"]))
def test_a_recorded_history_has_the_verdict_that_is_known(recorded: dict[str, Any]) -> None:
    lines = [
        {"index": at, "time": at, "process": process, "type": kind, "f": f, "value": value}
        for at, (process, kind, f, value) in enumerate(recorded["lines"])
    ]
    assert check(History.from_entries(lines)).outcome.word == recorded["verdict"]


def test_a_read_of_an_overwritten_value_is_found_with_its_lines() -> None:
    verdict = check(Register().wrote(0, 1, 1).wrote(2, 3, 2).read(4, 5, 1).history())
    assert verdict.outcome is Outcome.INVALID
    assert "a read of 1, answered at 0.000 s, fits no order: the register can only have held 2" in verdict.words
    assert verdict.evidence == (1, 3, 5)
    assert Register().wrote(0, 1, 1).wrote(2, 5, 2).read(4, 6, 1).verdict() == "valid"


def test_a_write_of_unknown_fate_may_have_happened_or_may_happen_later_or_never() -> None:
    """Taken for a write that failed, it would make a sound register look broken."""
    unsure = Register().wrote(0, 1, 1).wrote(2, 3, 2, "info")
    assert unsure.read(4, 5, 1).read(6, 7, 2).verdict() == "valid"
    assert Register().wrote(0, 1, 1).wrote(2, 3, 2, "fail").read(4, 5, 1).read(6, 7, 2).verdict() == "invalid"
    assert Register().wrote(0, 1, 1).wrote(2, 3, 2, "info").read(4, 5, 2).read(6, 7, 1).verdict() == "invalid"
    assert Register().wrote(0, 1, 1).wrote(2, None, 2).read(4, 5, 2).verdict() == "valid"


def test_a_swap_that_found_something_else_constrains_the_order_too() -> None:
    assert Register().wrote(0, 1, 1).swap(2, 3, 1, 2, False).verdict() == "invalid"
    assert Register().wrote(0, 1, 1).swap(2, 3, 3, 2, False).verdict() == "valid"
    assert Register().wrote(0, 1, 1).swap(2, 3, 1, 2, None).read(4, 5, 2).verdict() == "valid"


def test_registers_are_judged_key_by_key() -> None:
    story = Story().asked("write", None, 0, 1, "ok", sent={"key": "a", "value": 1})
    story.asked("read", None, 2, 3, "ok", {"key": "b", "value": None}, sent={"key": "b"})
    assert check(story.history()).outcome is Outcome.VALID
    story.asked("read", None, 4, 5, "ok", {"key": "a", "value": 2}, sent={"key": "a"})
    verdict = check(story.history())
    assert (verdict.outcome, verdict.findings[0].facts["key"]) == (Outcome.INVALID, "a")
    assert len(verdict.findings) == 1


def test_a_search_that_takes_too_long_is_unknown_and_hides_no_violation_of_another_register() -> None:
    story = Register()
    for at in range(12):
        story.wrote(at, 200 + at, at)
    story.read(300, 301, 99)
    history = story.history()
    assert check(history, budget=1_000).outcome is Outcome.UNKNOWN
    broken = story.asked("read", None, 0, 1, "ok", {"value": 7}, sent={"key": "other"}).history()
    assert check(broken, budget=1_000).outcome is Outcome.INVALID


def test_many_operations_of_unknown_fate_that_do_the_same_are_as_good_as_one() -> None:
    story = Register()
    for at in range(60):
        story.wrote(at, at + 1, at % 3, "info")
    for at in range(100, 160, 2):
        story.read(at, at + 1, at % 3)
    verdict = check(story.history())
    assert verdict.outcome is Outcome.VALID
    assert verdict.facts["configurations"] < 5_000


def test_nothing_answered_is_unknown_and_a_malformed_value_is_named_by_its_line() -> None:
    assert Register().wrote(0, 1, 1, "fail").wrote(0, 1, 2, "info").verdict() == "unknown"
    wrong = check(Story().asked("cas", None, 0, 1, "ok", sent=3).history())
    assert wrong.words == "line 1 of the history: expected the value of a cas to be an object, got 3"


def test_only_histories_with_registers_are_judged_by_it() -> None:
    assert judge(Register().wrote(0, 1, 1).read(2, 3, 4).history())["linearizability"].outcome is Outcome.INVALID
    assert "linearizability" not in [each.name for each in judge(Story().led("n1", 0, 1).history()).properties]
