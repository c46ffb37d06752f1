"""Linearizability, against a model that tries every order, and on histories with known verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise, permutations
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.history import History
from splitbrain.checkers.judge import judge
from splitbrain.checkers.linearizability import check, model_of, registers, sets
from splitbrain.checkers.register import RegisterOperation
from splitbrain.checkers.set_order import SetOperation
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome

RECORDED = [json.loads(line) for line in (Path(__file__).parent / "data" / "etcd-2014.jsonl").read_text().splitlines()]


Op = TypeVar("Op", RegisterOperation, SetOperation)


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
        how = draw(st.sampled_from(["ok", "ok", "info", "fail"]))
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


def orders(operations: list[Op]) -> Iterator[tuple[Op, ...]]:
    """Every order of the answered ones with any of the others."""
    unknown = [operation for operation in operations if operation.returns is None]
    for chosen in range(1 << len(unknown)):
        took_place = [
            operation for operation in operations if operation not in unknown or chosen >> unknown.index(operation) & 1
        ]
        yield from permutations(took_place)


@settings(max_examples=150)
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


def swaps_at_once(count: int, values: int, wrong: int = 0, seed: int = 1) -> Register:
    """Swaps that are all under way at once, along a random walk, and a read of its end, or of another value."""
    rng = Random(seed)
    walk = [rng.randrange(values) for _ in range(count + 1)]
    story = Register().wrote(0, 1, walk[0])
    for at, (old, new) in enumerate(rng.sample([*pairwise(walk)], count)):
        story.swap(4 + at, 200 + at, old, new)
    return story.read(400, 401, (walk[-1] + wrong) % values)


@pytest.mark.parametrize("count", [16, 24, 28])
def test_a_read_that_no_order_of_many_swaps_leads_to_is_refuted_by_counting(count: int) -> None:
    for seed in range(4):
        assert check(swaps_at_once(count, 5, seed=seed).history()).outcome is Outcome.VALID
        found = check(swaps_at_once(count, 5, wrong=1, seed=seed).history())
        assert (found.outcome, found.facts["steps"]) == (Outcome.INVALID, 0)


def test_more_swaps_than_their_values_came_about_are_refuted_by_counting() -> None:
    story = Register().wrote(0, 1, 0)
    for at in range(12):
        story.swap(4 + at, 200 + at, 0, 1)
    assert check(story.history()).words == (
        "a cas from 0 to 1, answered at 0.000 s, fits no order: operations up to then need the register to be 0 more "
        "often than others can have set it (model cas-register)"
    )


def crashing_clients(count: int, crashes: int, seed: int) -> Register:
    """A register with five values and five clients at a time; some operations are never answered, and may take effect
    at any later time."""
    rng = Random(seed)
    story, value, crashed = Register(), None, set(rng.sample(range(count), crashes))
    waiting: list[tuple[Any, Any]] = []
    for at in range(count):
        if waiting and rng.random() < 0.05:
            old, new = waiting.pop(rng.randrange(len(waiting)))
            value = new if old in ("any", value) else value
        start, end, new = 10 * at, 10 * at + rng.choice([5, 15, 25]), rng.randrange(5)
        match rng.choice(["read", "write", "cas"]):
            case _ if at in crashed:
                old = rng.choice(["any", rng.randrange(5)])
                waiting.append((old, new))
                story.wrote(start, None, new) if old == "any" else story.swap(start, None, old, new)
            case "read":
                story.read(start, end, value)
            case "write":
                story.wrote(start, end, new)
                value = new
            case _:
                old = rng.randrange(5)
                story.swap(start, end, old, new, swapped=value == old)
                value = new if value == old else value
    return story


def test_a_long_history_with_many_operations_of_unknown_fate_is_decided() -> None:
    story = crashing_clients(1_500, 50, seed=1)
    found = check(story.history())
    assert (found.outcome, found.facts["register_operations_of_unknown_fate"]) == (Outcome.VALID, 50)
    assert found.facts["steps"] < 100_000


def test_a_search_that_takes_too_long_is_unknown_and_hides_no_violation_of_another_register() -> None:
    story = crashing_clients(200, 20, seed=1)
    assert check(story.history(), budget=-19_900).outcome is Outcome.UNKNOWN
    broken = story.asked("read", None, 9_000, 9_001, "ok", {"value": 7}, sent={"key": "other"}).history()
    assert check(broken, budget=-19_900).outcome is Outcome.INVALID


def test_many_operations_of_unknown_fate_that_do_the_same_are_as_good_as_one() -> None:
    story = Register()
    for at in range(60):
        story.wrote(at, at + 1, at % 3, "info")
    for at in range(100, 160, 2):
        story.read(at, at + 1, at % 3)
    verdict = check(story.history())
    assert verdict.outcome is Outcome.VALID
    assert verdict.facts["steps"] < 5_000


def open_writes(count: int) -> Register:
    """Writes that all time out, and a read of each value, in order."""
    story = Register()
    for value in range(count):
        story.wrote(value, 100, value, "info")
    for value in range(count):
        story.read(200 + 2 * value, 201 + 2 * value, value)
    return story


@pytest.mark.parametrize(("again", "verdict"), [(17, "valid"), (0, "invalid")])
def test_writes_of_unknown_fate_are_decided_without_trying_every_set_of_them(again: int, verdict: str) -> None:
    """18 * 2^18 values and sets of writes that took effect; the last value read was overwritten, or not."""
    found = check(open_writes(18).read(300, 301, again).history())
    assert found.outcome.word == verdict
    assert found.facts["steps"] < 10_000


def test_concurrent_writes_are_decided_without_trying_every_order_of_them() -> None:
    story = Register()
    for value in range(60):
        story.wrote(value, 500 + value, value).read(100 + 2 * value, 101 + 2 * value, value)
    found = check(story.history())
    assert (found.outcome, found.facts["steps"] < 200_000) == (Outcome.VALID, True)
    found = check(story.read(300, 301, 30).history())
    assert (found.outcome, found.facts["steps"] < 200_000) == (Outcome.INVALID, True)


def test_a_read_of_a_value_that_was_never_written_needs_no_search() -> None:
    found = check(open_writes(40).read(300, 301, 99).history())
    assert found.words == (
        "a read of 99, answered at 0.000 s, fits no order: nothing that began before had set the register to 99 "
        "(model register)"
    )
    assert (found.outcome, found.facts["steps"]) == (Outcome.INVALID, 0)
    assert Register().read(0, 1, 3).wrote(2, 3, 3).verdict() == "invalid", "written only afterwards"


def test_a_long_history_of_one_client_is_not_too_long() -> None:
    story = Register()
    for at in range(0, 4_000, 4):
        story.wrote(at, at + 1, at).read(at + 2, at + 3, at)
    assert check(story.history(), budget=10).outcome is Outcome.VALID


class Lock(Story):
    """A story of one lock."""

    def acquire(self, a: int, b: int | None, how: str = "ok") -> Lock:
        self.asked("acquire", None, a, b, how)
        return self

    def release(self, a: int, b: int | None, how: str = "ok", value: Any = None) -> Lock:
        self.asked("release", None, a, b, how, value)
        return self

    def verdict(self) -> str:
        return check(self.history(), "mutex").outcome.word


def test_a_mutex_is_acquired_when_free_and_released_when_held() -> None:
    assert Lock().acquire(0, 1).release(2, 3).acquire(4, 5).verdict() == "valid"
    assert Lock().acquire(0, 1).release(2, 9).acquire(4, 5).verdict() == "valid"
    assert Lock().acquire(0, 1).acquire(2, 3).verdict() == "invalid"
    assert Lock().acquire(0, 1).release(2, None).acquire(4, 5).verdict() == "valid"
    assert Lock().acquire(0, 1).release(2, 3, "fail").acquire(4, 5).verdict() == "invalid"
    assert Lock().acquire(0, 1).release(2, 3, "ok", {"held": False}).acquire(4, 5).verdict() == "invalid"
    words = check(Lock().acquire(0, 1).acquire(2, 3).history(), "mutex").words
    assert words == ("an acquire, answered at 0.000 s, fits no order: the mutex can only have been held (model mutex)")
    assert "had set the mutex to held" in check(Lock().release(0, 1).history(), "mutex").words


class Elements(Story):
    """A story of one set."""

    def add(self, a: int, b: int | None, element: int, how: str = "ok") -> Elements:
        self.asked("add", None, a, b, how, sent=element)
        return self

    def read(self, a: int, b: int, elements: Iterable[int]) -> Elements:
        self.asked("read", None, a, b, "ok", sorted(elements))
        return self

    def words(self) -> str:
        return check(self.history()).words


def test_the_elements_that_reads_of_a_set_show_must_fit_one_order() -> None:
    assert Elements().add(0, 1, 1).read(2, 3, [1]).words() == "2 operations on 1 set: linearizable (model set)"
    assert "does not contain 1, added before it began" in Elements().add(0, 1, 1).read(2, 3, []).words()
    assert "contains 2, never added" in Elements().add(0, 1, 1).add(0, 1, 2, "fail").read(2, 3, [1, 2]).words()
    assert "whose addition began after it" in Elements().read(0, 1, [1]).add(2, 3, 1).words()
    assert "contains all of the other" in Elements().add(0, 9, 1).add(0, 9, 2).read(0, 9, [1]).read(0, 9, [2]).words()
    assert "contains less" in Elements().add(0, 9, 1).read(1, 2, [1]).read(3, 4, []).words()
    skipped = Elements().add(0, 1, 1).add(2, 9, 2).read(3, 4, [2])
    assert skipped.words() == "the set read at 0.000 s contains 2 and not 1, which was added before (model set)"
    assert check(skipped.history()).evidence == (0, 1, 2, 4, 5), "the additions from beginning to end, and the read"


@st.composite
def set_stories(draw: st.DrawFn) -> Elements:
    story = Elements()
    for _ in range(draw(st.integers(0, 6))):
        a = draw(st.integers(0, 20))
        b = a + draw(st.integers(1, 12))
        if draw(st.booleans()):
            story.add(a, b, draw(st.integers(0, 2)), draw(st.sampled_from(["ok", "ok", "info"])))
        else:
            story.read(a, b, draw(st.sets(st.integers(0, 2))))
    return story


def grows(order: tuple[SetOperation, ...]) -> bool:
    """True if the operations can take effect in that order, none before one answered before its invocation."""
    if any(b.returns is not None and b.returns < a.invoked for i, a in enumerate(order) for b in order[i + 1 :]):
        return False
    elements: frozenset[bytes] = frozenset()
    for operation in order:
        if not operation.adds and operation.elements != elements:
            return False
        elements |= operation.elements
    return True


@settings(max_examples=150)
@given(set_stories())
def test_a_set_is_linearizable_iff_some_order_of_its_operations_fits(story: Elements) -> None:
    history = story.history()
    expected = any(grows(order) for order in orders(sets(history).get(None, [])))
    assert (check(history, "set").outcome is not Outcome.INVALID) == expected


def test_the_operations_show_the_model_and_the_verdict_names_it() -> None:
    assert model_of(Register().wrote(0, 1, 1).history()) == "register"
    assert model_of(Register().wrote(0, 1, 1).swap(2, 3, 1, 2).history()) == "cas-register"
    assert model_of(Elements().add(0, 1, 1).read(2, 3, [1]).history()) == "set"
    assert model_of(Lock().acquire(0, 1).history()) is None, "locks with leases are judged by mutual-exclusion"
    swapped = Register().wrote(0, 1, 1).swap(2, 3, 1, 2).history()
    assert "expected no cas in a history of a register (--model cas-register)" in check(swapped, "register").words
    assert check(swapped, "mutex").words.startswith("no acquire or release was answered")


def test_a_cas_may_be_given_as_a_pair() -> None:
    story = Story().asked("write", None, 0, 1, "ok", sent=1).asked("cas", None, 2, 3, "ok", [1, 2], sent=[1, 2])
    assert check(story.asked("read", None, 4, 5, "ok", 2).history()).outcome is Outcome.VALID
    assert check(story.asked("read", None, 6, 7, "ok", 1).history()).outcome is Outcome.INVALID


def test_nothing_answered_is_unknown_and_a_malformed_value_is_named_by_its_line() -> None:
    assert Register().wrote(0, 1, 1, "fail").wrote(0, 1, 2, "info").verdict() == "unknown"
    wrong = check(Story().asked("cas", None, 0, 1, "ok", sent=3).history())
    assert wrong.words == "line 1 of the history: expected the value of a cas to be an object, got 3"


def test_only_histories_with_registers_are_judged_by_it() -> None:
    assert judge(Register().wrote(0, 1, 1).read(2, 3, 4).history())["linearizability"].outcome is Outcome.INVALID
    assert "linearizability" not in [each.name for each in judge(Story().led("n1", 0, 1).history()).properties]
