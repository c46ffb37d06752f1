"""Fencing, rule by rule: a literal history that breaks it, and a similar one that does not."""

from __future__ import annotations

import pytest

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fencing import check
from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story, both_ways, from_text
from splitbrain.checkers.verdict import Outcome, Verdict

BOUNDS = Bounds(stall_ns=20, slack_ns=5, suspicion_ns=5, members=("n1", "n2", "n3"))


class Book(Story):
    """A story of writes to a ledger."""

    def wrote(self, name: str, a: int, b: int, token: int | None, at: int | None = None) -> Book:
        """An accepted write; a ``name`` such as n1-3 names the writer, ``at`` the position if it was answered."""
        value = None if at is None else {"position": at}
        self.asked("append", name.split("-")[0], a, b, "ok", value, sent={"token": token, "entry": name})
        return self

    def refused_write(self, name: str, a: int, b: int, token: int) -> Book:
        self.asked("append", name.split("-")[0], a, b, "fail", None, sent={"token": token, "entry": name})
        return self

    def unsure_write(self, name: str, a: int, b: int | None, token: int) -> Book:
        self.asked("append", name.split("-")[0], a, b, "info", None, sent={"token": token, "entry": name})
        return self

    def read(self, a: int, b: int, *entries: tuple[str, int]) -> Book:
        self.asked("read-ledger", None, a, b, "ok", [{"entry": name, "token": token} for name, token in entries])
        return self


def rules(verdict: Verdict) -> list[list[str]]:
    return [finding.facts["rules"] for finding in verdict.findings]


def takeover() -> Book:
    """n1 writes under token 1, n2 takes over with token 2, and n1 does not notice: its last write is refused."""
    return Book().wrote("n1-1", 0, 2, 1, 0).wrote("n2-1", 10, 12, 2, 1).refused_write("n1-2", 20, 22, 1)


def test_a_fence_that_holds_is_valid_and_its_stale_writes_are_counted() -> None:
    verdict = check(takeover().read(30, 31, ("n1-1", 1), ("n2-1", 2)).history(), BOUNDS)
    assert verdict.outcome is Outcome.VALID
    counts = ("appends_attempted", "stale_attempted", "stale_accepted", "stale_refused", "tokens")
    assert [verdict.facts[name] for name in counts] == [3, 1, 0, 1, 2]
    assert "1 stale write attempted, 0 accepted and 1 refused" in verdict.words


def test_a_stale_write_accepted_after_a_newer_one_was_acknowledged_breaks_f1_and_f3() -> None:
    story = Book().wrote("n1-1", 0, 2, 1, 0).wrote("n2-1", 10, 12, 2, 1).wrote("n1-2", 20, 22, 1, 2)
    verdict = check(story.read(30, 31, ("n1-1", 1), ("n2-1", 2), ("n1-2", 1)).history(), BOUNDS)
    assert (verdict.outcome, rules(verdict)) == (Outcome.INVALID, [["F1", "F3"]])
    assert "accepted n1-2 of n1 with token 1 after n2-1 of n2 with token 2" in verdict.words
    assert verdict.evidence == (3, 5)
    assert verdict.findings[0].nodes == ("n2", "n1")
    assert (verdict.facts["stale_accepted"], verdict.facts["stale_refused"]) == (1, 0)


def test_without_any_order_of_the_resource_the_acknowledgements_alone_show_it() -> None:
    story = Book().wrote("n1-1", 0, 2, 1).wrote("n2-1", 10, 12, 2).wrote("n1-2", 20, 22, 1)
    assert rules(check(story.history(), BOUNDS)) == [["F3"]]


def test_concurrent_writes_whose_tokens_go_back_in_the_ledger_break_f1_only() -> None:
    """A resource that does not check and write atomically."""
    story = Book().wrote("n2-1", 10, 20, 2, 0).wrote("n1-1", 11, 21, 1, 1)
    verdict = check(story.read(30, 31, ("n2-1", 2), ("n1-1", 1)).history(), BOUNDS)
    assert rules(verdict) == [["F1"]]
    in_order = Book().wrote("n2-1", 10, 20, 2, 1).wrote("n1-1", 11, 21, 1, 0)
    assert check(in_order.read(30, 31, ("n1-1", 1), ("n2-1", 2)).history(), BOUNDS).outcome is Outcome.VALID


def test_acknowledged_positions_show_the_order_of_a_ledger_that_was_never_read() -> None:
    story = Book().wrote("n2-1", 10, 20, 2, 0).wrote("n1-1", 11, 21, 1, 1)
    assert rules(check(story.history(), BOUNDS)) == [["F1"]]


def test_a_stale_write_before_the_newer_token_came_to_the_resource_is_allowed_and_counted() -> None:
    story = Book().refused_write("n2-1", 5, 6, 2).wrote("n1-1", 8, 9, 1, 0).wrote("n2-2", 10, 12, 2, 1)
    verdict = check(story.read(30, 31, ("n1-1", 1), ("n2-2", 2)).history(), BOUNDS)
    assert verdict.outcome is Outcome.VALID
    assert (verdict.facts["stale_attempted"], verdict.facts["stale_accepted"]) == (1, 1)


def test_one_token_of_two_holders_breaks_f2() -> None:
    """Tokens drawn from a counter or clock of each node."""
    story = Book().wrote("n1-1", 0, 2, 7, 0).wrote("n2-1", 10, 12, 7, 1)
    verdict = check(story.read(30, 31, ("n1-1", 7), ("n2-1", 7)).history(), BOUNDS)
    assert rules(verdict) == [["F2"]]
    assert "writes of n1 and n2 with the same token 7" in verdict.words
    same = Book().wrote("n1-1", 0, 2, 7, 0).wrote("n1-2", 10, 12, 7, 1)
    assert check(same.read(30, 31, ("n1-1", 7), ("n1-2", 7)).history(), BOUNDS).outcome is Outcome.VALID


def test_a_reading_may_name_the_holder() -> None:
    story = Book().asked("read-ledger", None, 0, 1, "ok", [{"entry": e, "token": 1, "holder": e} for e in ("a", "b")])
    assert ["F2"] in rules(check(story.history(), BOUNDS))


@pytest.mark.parametrize(
    ("entries", "broken"),
    [
        ([("n1-1", 1), ("n1-2", 1)], False),
        ([("n1-1", 1)], True),
        ([("n1-2", 1), ("n1-1", 1)], True),
        ([("n1-1", 1), ("n1-2", 1), ("n1-2", 1)], True),
        ([("n1-1", 1), ("n1-2", 1), ("n1-3", 1)], True),
        ([("n1-1", 1), ("n1-2", 1), ("n9-1", 1)], True),
        ([("n1-1", 1), ("n1-2", 1), ("n1-4", 1)], False),
    ],
    ids=["intact", "lost", "moved", "doubled", "refused", "invented", "unknown"],
)
def test_an_acknowledged_write_stands_once_at_its_position_and_a_refused_one_never(
    entries: list[tuple[str, int]], broken: bool
) -> None:
    story = Book().wrote("n1-1", 0, 2, 1, 0).wrote("n1-2", 3, 5, 1, 1)
    story.refused_write("n1-3", 6, 7, 1).unsure_write("n1-4", 8, 9, 1)
    verdict = check(story.read(30, 31, *entries).history(), BOUNDS)
    assert (verdict.outcome is Outcome.INVALID) == broken
    assert all(rule == ["F4"] for rule in rules(verdict))


def test_a_reading_owes_nothing_to_writes_that_were_not_acknowledged_before_it_began() -> None:
    story = Book().wrote("n1-1", 0, 2, 1, 0).wrote("n1-2", 3, 32, 1, 1)
    assert check(story.read(30, 40, ("n1-1", 1)).history(), BOUNDS).outcome is Outcome.VALID


def test_an_entry_that_was_read_and_is_gone_later_was_lost() -> None:
    story = Book().wrote("n1-1", 0, 2, 1, 0).read(10, 11, ("n1-1", 1)).read(20, 21)
    assert rules(check(story.history(), BOUNDS)) == [["F4"]]


def forgotten(refusals: int) -> Book:
    """All forgot their terms at 10, and the new leader's token is below what the resource knows."""
    story = Book().wrote("n1-1", 0, 2, 9, 0)
    story.fault("wipe", 8, 10, nodes=["n1", "n2", "n3"])
    for number in range(refusals):
        story.refused_write(f"n2-{number}", 20 + 5 * number, 22 + 5 * number, 1)
    story.read(190, 191, ("n1-1", 9)).until(200)
    return story


def test_a_fence_that_refuses_everybody_for_ever_breaks_f5() -> None:
    verdict = check(forgotten(20).history(), BOUNDS)
    assert rules(verdict) == [["F5"]]
    assert "all 20 writes of n2 were refused for 97 ns" in verdict.words
    assert check(forgotten(5).history(), BOUNDS).outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("late_at", "outcome"), [((), Outcome.INVALID), ((60,), Outcome.INVALID), ((30, 55, 80, 105), Outcome.UNKNOWN)]
)
def test_refusals_on_a_starved_machine_are_judged_where_it_was_not(late_at: tuple[int, ...], outcome: Outcome) -> None:
    story = forgotten(20)
    for at in late_at:
        story.canary(at, 4)
    verdict = check(story.history(), Bounds(stall_ns=15, slack_ns=1, canary_late_ns=3))
    assert verdict.outcome is outcome
    assert ("starved" in verdict.words) == (outcome is Outcome.UNKNOWN)


def test_refusing_a_stale_leader_during_a_fault_or_while_others_write_is_valid() -> None:
    cut_off = Book().wrote("n2-1", 0, 2, 2, 0)
    for at in range(20, 120, 5):
        cut_off.refused_write(f"n1-{at}", at, at + 2, 1)
    cut_off.read(190, 191, ("n2-1", 2)).cut(5, 6, both_ways(["n1"], ["n2", "n3"]))
    assert check(cut_off.history(), BOUNDS).outcome is Outcome.VALID
    busy = Book().read(190, 191, *((f"n2-{at}", 2) for at in range(0, 120, 10)))
    for place, at in enumerate(range(0, 120, 10)):
        busy.wrote(f"n2-{at}", at, at + 2, 2, place).refused_write(f"n1-{at}", at + 4, at + 5, 1)
    assert check(busy.history(), BOUNDS).outcome is Outcome.VALID


def test_where_nothing_was_written_or_read_or_had_a_token_nothing_is_known() -> None:
    assert check(Book().read(0, 1).history(), BOUNDS).outcome is Outcome.UNKNOWN
    assert check(Book().wrote("n1-1", 0, 1, None, 0).read(2, 3).history(), BOUNDS).outcome is not Outcome.VALID
    never_read = check(takeover().history(), BOUNDS)
    assert (never_read.outcome, "never read" in never_read.words) == (Outcome.UNKNOWN, True)


def test_a_malformed_value_is_named_by_its_line() -> None:
    verdict = check(
        from_text('{"index": 0, "time": 0, "process": 1, "type": "invoke", "f": "append", "value": {"entry": 3}}')
    )
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.words == "line 1 of the history: expected the entry of an append to be a string, got 3"


def test_a_history_without_a_ledger_is_not_judged_by_it_and_one_with_a_ledger_is() -> None:
    names = [each.name for each in judge(Story().led("n1", 0, 1, term=1).history()).properties]
    assert "fencing" not in names
    stale = takeover().wrote("n1-3", 25, 26, 1, 2).history()
    assert judge(stale)["fencing"].outcome is Outcome.INVALID
    assert judge(stale, {"fencing": "known-weakness"})["fencing"].observed == "violated"
