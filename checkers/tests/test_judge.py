"""The judge: findings weighed against promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from splitbrain.checkers import judge as judging
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import ALL_PROMISED, Property, hold, judge
from splitbrain.checkers.tests.histories import Story, both_ways, from_text
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.names import Promises

BOUNDS = Bounds(stall_ns=40, slack_ns=10, suspicion_ns=20)
NODES = ["n1", "n2", "n3"]


def run(dual: bool = False) -> History:
    """n1 leads in term 1, is cut off at 100, and n2 leads in term 2; with ``dual`` n1 does not notice."""
    story = Story()
    for at in range(0, 400, 4):
        first, second = at < 100 or (dual and at < 200), at >= 120
        story.saw("n1", at, at + 1, leading=first, leader=None if at < 200 else "n2", term=1 if at < 200 else 2)
        story.saw("n2", at, at + 1, leading=second, leader="n2" if second else "n1", term=2 if second else 1)
        story.saw("n3", at, at + 1, leader="n2" if second else "n1", term=2 if second else 1)
        story.confirmed("n1" if at < 100 else "n2", at + 1, at + 2) if at < 100 or second else None
    return story.cut(100, 102, both_ways(["n1"], ["n2", "n3"])).fault("heal", 180, 182).history()


def promised(**changed: Any) -> Promises:
    return {guarantee: changed.get(guarantee, promise) for guarantee, promise in ALL_PROMISED.items()}


def test_a_run_that_keeps_every_promise_is_valid() -> None:
    judgement = judge(run(), bounds=BOUNDS)
    assert judgement.outcome is Outcome.VALID
    assert [each.name for each in judgement.properties] == [
        "term-safety",
        "agreement",
        "term-monotonicity",
        "election-quorum",
        "exclusivity",
        "stall",
        "stability",
        "coverage",
    ]


def test_two_leaders_at_once_break_the_promise_that_there_are_none() -> None:
    judgement = judge(run(dual=True), bounds=BOUNDS)
    assert judgement.outcome is Outcome.INVALID
    assert judgement["exclusivity"].outcome is Outcome.INVALID
    assert judgement["term-safety"].outcome is Outcome.VALID


@pytest.mark.parametrize(
    ("promise", "dual", "strict", "outcome", "weakness"),
    [
        ("guaranteed", True, False, Outcome.INVALID, None),
        ("guaranteed", False, True, Outcome.VALID, None),
        ("known-weakness", True, False, Outcome.VALID, "shown"),
        ("known-weakness", True, True, Outcome.VALID, "shown"),
        ("known-weakness", False, False, Outcome.VALID, "not shown"),
        ("known-weakness", False, True, Outcome.INVALID, "not shown"),
        ("not-promised", True, True, Outcome.VALID, None),
        ("undefined", True, True, Outcome.VALID, None),
    ],
)
def test_the_promise_decides_what_a_finding_means(
    promise: str, dual: bool, strict: bool, outcome: Outcome, weakness: str | None
) -> None:
    judged = judge(run(dual), promised(exclusivity=promise), BOUNDS, strict)["exclusivity"]
    assert (judged.outcome, judged.weakness) == (outcome, weakness)
    assert judged.as_json()["class"] == ("proven" if dual else "excluded")


def raw(outcome: Outcome, *guarantees: Any, **facts: Any) -> Verdict:
    findings = tuple(Finding(guarantee=guarantee, words="", evidence=(), start=0, end=1) for guarantee in guarantees)
    return Verdict(property="stall", outcome=outcome, words="so it is", findings=findings, facts=facts)


@pytest.mark.parametrize(
    ("promise", "strict", "outcome"),
    [
        ("guaranteed", False, Outcome.UNKNOWN),
        ("known-weakness", True, Outcome.UNKNOWN),
        ("not-promised", False, Outcome.VALID),
        ("undefined", False, Outcome.VALID),
    ],
)
def test_an_unknown_verdict_is_no_pass_where_something_is_promised(
    promise: Any, strict: bool, outcome: Outcome
) -> None:
    assert hold(raw(Outcome.UNKNOWN), {"availability": promise}, strict).outcome is outcome


def test_a_property_of_two_guarantees_is_held_to_each() -> None:
    found = raw(Outcome.INVALID, "availability")
    assert hold(found, {"availability": "guaranteed", "convergence": "guaranteed"}).outcome is Outcome.INVALID
    assert hold(found, {"availability": "not-promised", "convergence": "guaranteed"}).outcome is Outcome.VALID
    assert hold(found, {"availability": "known-weakness", "convergence": "guaranteed"}).weakness == "shown"
    assert hold(found, {"availability": "not-promised", "convergence": "known-weakness"}).weakness == "not shown"
    assert (
        hold(found, {"availability": "not-promised", "convergence": "known-weakness"}, strict=True).outcome
        is Outcome.INVALID
    )


def test_a_doubt_about_one_guarantee_stays_beside_a_permitted_finding_of_the_other() -> None:
    found = raw(Outcome.INVALID, "availability", undecided={"convergence": 1})
    assert hold(found, {"availability": "not-promised", "convergence": "guaranteed"}).outcome is Outcome.UNKNOWN
    assert hold(found, {"availability": "not-promised", "convergence": "not-promised"}).outcome is Outcome.VALID
    assert hold(found, {"availability": "guaranteed", "convergence": "guaranteed"}).outcome is Outcome.INVALID


def test_the_words_note_the_bearing_of_the_promise() -> None:
    def words(promise: Any, *broken: str, strict: bool = False) -> str:
        outcome = Outcome.INVALID if broken else Outcome.VALID
        return hold(raw(outcome, *broken), {"availability": promise}, strict).words

    assert words("guaranteed", "availability") == "so it is"
    assert "availability: known weakness, reproduced" in words("known-weakness", "availability")
    assert "known weakness, not reproduced, and --strict requires it" in words("known-weakness", strict=True)
    assert "not promised under these faults" in words("not-promised", "availability")
    assert "undefined" in words("undefined", "availability")


def test_a_guarantee_without_a_promise_is_promised() -> None:
    assert judge(run(dual=True), {}, BOUNDS).outcome is Outcome.INVALID


def test_a_checker_that_fails_is_unknown_and_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(history: History, bounds: Bounds) -> Verdict:
        raise AssertionError("a bug of ours")

    broken = Property(name="broken", help="", guarantees=("term-safety",), check=fails)
    monkeypatch.setattr(judging, "PROPERTIES", (broken, *judging.PROPERTIES))
    judgement = judge(run(dual=True), bounds=BOUNDS)
    assert judgement["broken"].outcome is Outcome.UNKNOWN
    assert "AssertionError: a bug of ours" in judgement["broken"].words
    assert judgement["exclusivity"].outcome is Outcome.INVALID
    assert judgement.outcome is Outcome.INVALID
    monkeypatch.setattr(judging, "PROPERTIES", (broken, *judging.PROPERTIES[1:]))
    assert judge(run(), bounds=BOUNDS).outcome is Outcome.UNKNOWN


def test_the_judgement_is_plain_json_of_the_documented_form() -> None:
    judged = judge(run(dual=True), promised(exclusivity="known-weakness", availability="not-promised"), BOUNDS).as_json(
        "store/raft-partition/7"
    )
    assert json.loads(json.dumps(judged)) == judged
    assert (judged["verdict"], judged["run"]) == ("valid", "store/raft-partition/7")
    exclusivity, stall = judged["properties"]["exclusivity"], judged["properties"]["stall"]
    assert (exclusivity["verdict"], exclusivity["class"], exclusivity["promise"]) == (
        "valid",
        "proven",
        "known-weakness",
    )
    assert exclusivity["weakness"] == "shown"
    assert exclusivity["evidence"] == exclusivity["findings"][0]["evidence"]
    assert 2 <= len(exclusivity["evidence"]) <= 4
    assert stall["promise"] == {"availability": "not-promised", "convergence": "guaranteed"}
    assert "class" not in stall
    assert "weakness" not in stall
    assert judged["properties"]["coverage"]["promise"] is None


def test_every_evidence_is_a_line_of_the_history() -> None:
    history = run(dual=True)
    for judged in judge(history, bounds=BOUNDS).properties:
        for finding in judged.found.findings:
            assert set(judged.found.evidence) <= {line for each in judged.found.findings for line in each.evidence}
            assert all(0 <= line < history.lines for line in finding.evidence)
            assert finding.start <= finding.end


def test_of_a_history_of_nothing_nothing_is_judged_and_the_outcome_is_unknown() -> None:
    judgement = judge(History.from_lines([]))
    assert (judgement.outcome, judgement.properties) == (Outcome.UNKNOWN, ())
    json.dumps(judgement.as_json())


def test_a_history_of_nothing_from_known_nodes_is_unknown_in_everything() -> None:
    judgement = judge(History.from_lines([]), bounds=Bounds(members=("n1", "n2", "n3")))
    assert {each.outcome for each in judgement.properties} == {Outcome.UNKNOWN}
    assert {"exclusivity", "stall", "coverage"} <= {each.name for each in judgement.properties}


A_LOCK = """
{"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "acquire", "value": null}
{"index": 1, "time": 1000000, "process": 0, "type": "ok", "f": "acquire", "value": null}
{"index": 2, "time": 6000000000, "process": 0, "type": "invoke", "f": "release", "value": null}
{"index": 3, "time": 6001000000, "process": 0, "type": "ok", "f": "release", "value": null}
"""


def test_what_a_history_does_not_speak_of_is_not_judged() -> None:
    judgement = judge(from_text(A_LOCK))
    assert [(each.name, each.outcome) for each in judgement.properties] == [("mutual-exclusion", Outcome.VALID)]
    assert judgement.outcome is Outcome.VALID
    assert judgement.not_judged["stall"] == "the history has no operation observe or confirm"
    stall = judgement.as_json()["properties"]["stall"]
    assert (stall["verdict"], stall["promise"], stall["words"]) == ("not judged", None, judgement.not_judged["stall"])


@pytest.mark.parametrize(
    ("promise", "outcome"),
    [
        ("guaranteed", Outcome.VALID),
        ("known-weakness", Outcome.VALID),
        ("not-promised", Outcome.UNKNOWN),
        ("undefined", Outcome.UNKNOWN),
    ],
)
def test_a_pass_without_anything_promised_is_unknown(promise: Any, outcome: Outcome) -> None:
    judgement = judge(run(), dict.fromkeys(ALL_PROMISED, promise), BOUNDS)
    assert judgement.outcome is outcome
    said = "passed, but nothing that this system promises was put to the test"
    assert judgement.words == judgement.as_json().get("words") == (said if outcome is Outcome.UNKNOWN else None)


def test_judging_changes_nothing_and_is_repeatable() -> None:
    history = run(dual=True)
    assert judge(history, bounds=BOUNDS).as_json() == judge(history, bounds=BOUNDS).as_json()


def test_only_the_properties_asked_for_are_judged() -> None:
    history = Story().saw("n1", 0, 5, leading=True, term=1).history()
    assert {judged.name for judged in judge(history).properties} > {"agreement", "stall"}
    assert [judged.name for judged in judge(history, only={"stall"}).properties] == ["stall"]
    assert judge(history, only=()).outcome is Outcome.UNKNOWN
