"""The judge: findings weighed against promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from splitbrain.checkers import judge as judging
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import ALL_PROMISED, Property, judge
from splitbrain.checkers.judgement import JudgedProperty, Judgement, hold
from splitbrain.checkers.tests.histories import Story, both_ways, from_text
from splitbrain.checkers.verdict import Finding, Observed, Outcome, Verdict
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
    ("promise", "dual", "strict", "outcome"),
    [
        ("guaranteed", True, False, Outcome.INVALID),
        ("guaranteed", False, True, Outcome.VALID),
        ("known-weakness", True, False, Outcome.VALID),
        ("known-weakness", True, True, Outcome.VALID),
        ("known-weakness", False, False, Outcome.VALID),
        ("known-weakness", False, True, Outcome.INVALID),
        ("not-promised", True, True, Outcome.VALID),
    ],
)
def test_the_promise_decides_what_an_observation_means(
    promise: str, dual: bool, strict: bool, outcome: Outcome
) -> None:
    judged = judge(run(dual), promised(exclusivity=promise), BOUNDS, strict)["exclusivity"]
    assert (judged.outcome, judged.observed) == (outcome, Observed.VIOLATED if dual else Observed.HELD)
    written = judged.as_json()
    assert (written["verdict"], written["observed"]) == (outcome.word, "violated" if dual else "held")
    assert (written["promised"], written["class"]) == (promise, "proven" if dual else "excluded")


def test_a_guarantee_without_a_meaning_for_the_system_is_not_judged() -> None:
    judgement = judge(run(dual=True), promised(exclusivity="undefined"), BOUNDS)
    assert "exclusivity" not in judgement.observed
    written = judgement.as_json()["properties"]["exclusivity"]
    assert (written["verdict"], written["observed"], written["promised"]) == ("not judged", "not judged", "undefined")
    assert written["words"] == "undefined for this system: exclusivity"


def raw(observed: Observed, *guarantees: Any, **facts: Any) -> Verdict:
    findings = tuple(Finding(guarantee=guarantee, words="", evidence=(), start=0, end=1) for guarantee in guarantees)
    return Verdict(property="stall", observed=observed, words="so it is", findings=findings, facts=facts)


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
    assert hold(raw(Observed.UNDECIDED), {"availability": promise}, strict=strict).outcome is outcome


@pytest.mark.parametrize(
    ("availability", "convergence", "strict", "outcome"),
    [
        ("guaranteed", "guaranteed", False, Outcome.INVALID),
        ("not-promised", "guaranteed", False, Outcome.VALID),
        ("known-weakness", "guaranteed", False, Outcome.VALID),
        ("undefined", "guaranteed", False, Outcome.VALID),
        ("not-promised", "known-weakness", False, Outcome.VALID),
        ("not-promised", "known-weakness", True, Outcome.INVALID),
    ],
)
def test_a_property_of_two_guarantees_is_held_to_each(
    availability: Any, convergence: Any, strict: bool, outcome: Outcome
) -> None:
    promises: Promises = {"availability": availability, "convergence": convergence}
    judged = hold(raw(Observed.VIOLATED, "availability"), promises, strict=strict)
    assert judged.outcome is outcome
    written = judged.as_json()
    assert written["promised"] == promises
    assert written["guarantees"]["convergence"] == {"observed": "held", "promised": convergence}
    seen = "not judged" if availability == "undefined" else "violated"
    assert written["guarantees"]["availability"]["observed"] == seen


def test_a_doubt_about_one_guarantee_stays_beside_a_permitted_finding_of_the_other() -> None:
    found = raw(Observed.VIOLATED, "availability", undecided={"convergence": 1})
    assert hold(found, {"availability": "not-promised", "convergence": "guaranteed"}).outcome is Outcome.UNKNOWN
    assert hold(found, {"availability": "not-promised", "convergence": "not-promised"}).outcome is Outcome.VALID
    assert hold(found, {"availability": "guaranteed", "convergence": "guaranteed"}).outcome is Outcome.INVALID


def test_the_words_say_what_was_observed_before_what_it_means() -> None:
    def words(promise: Any, *broken: str, strict: bool = False) -> str:
        observed = Observed.VIOLATED if broken else Observed.HELD
        return hold(raw(observed, *broken), {"availability": promise}, strict=strict, system="raft").words

    assert words("guaranteed", "availability") == "so it is"
    assert words("known-weakness", "availability") == "so it is, a known weakness of raft"
    assert words("not-promised", "availability") == "so it is, which raft does not promise to exclude"
    assert words("known-weakness") == "so it is (availability: known weakness, not reproduced)"
    strictly = "so it is (availability: known weakness, not reproduced, and --strict requires it)"
    assert words("known-weakness", strict=True) == strictly


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        ("guaranteed", "which raft promises to exclude"),
        ("known-weakness", "a known weakness of raft"),
        ("not-promised", "which raft does not promise to exclude"),
    ],
)
def test_the_headline_says_what_happened_before_what_it_means(promise: Any, said: str) -> None:
    judgement = judge(run(dual=True), promised(exclusivity=promise), BOUNDS, system="raft")
    assert judgement.words == (
        f"two leaders once, for at least 75 ns (both running throughout), {said}; "
        "the other 6 properties held; 1 fault took effect, 1 on a leader"
    )


def test_a_reason_that_several_properties_share_is_told_once() -> None:
    def undecided(name: str, words: str) -> JudgedProperty:
        return hold(Verdict(property=name, observed=Observed.UNDECIDED, words=words), {"stability": "guaranteed"})

    shared = [undecided("a", "n2 was silent, which may hide a violation"), undecided("b", "n2 was silent")]
    assert Judgement(properties=tuple(shared)).words == "n2 was silent, which may hide a violation"


def test_an_overlap_of_a_paused_leader_is_told_with_what_both_could_do() -> None:
    story = Story().saw("n3", 0, 1)
    for at in range(0, 100, 10):
        story.led("n1", at, at + 1, term=1)
        story.led("n2", at + 2, at + 3, term=2)
    story.fault("pause", 10, 12, nodes=["n1"]).fault("resume", 60, 62, nodes=["n1"])
    (finding,) = judge(story.history(), only=["exclusivity"])["exclusivity"].found.findings
    assert (finding.start, finding.end) == (3, 90)
    assert (finding.facts["overlap_ns"], finding.facts["running_ns"]) == (87, 7 + 28)
    assert "for at least 87 ns (both running for 35 ns)" in finding.words


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
    assert (exclusivity["verdict"], exclusivity["class"]) == ("valid", "proven")
    assert (exclusivity["observed"], exclusivity["promised"]) == ("violated", "known-weakness")
    assert exclusivity["evidence"] == exclusivity["findings"][0]["evidence"]
    assert 2 <= len(exclusivity["evidence"]) <= 4
    assert stall["promised"] == {"availability": "not-promised", "convergence": "guaranteed"}
    assert "class" not in stall
    assert (stall["observed"], judged["properties"]["coverage"]["promised"]) == ("held", None)


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
    stall = judgement.as_json()["properties"]["stall"]
    assert (stall["verdict"], stall["observed"]) == ("not judged", "not judged")
    assert stall["promised"] == {"availability": "guaranteed", "convergence": "guaranteed"}
    assert stall["words"] == "the history has no operation observe or confirm"


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
    assert judgement.words == judgement.as_json()["words"]
    assert judgement.words.endswith(said) == (outcome is Outcome.UNKNOWN)


def test_judging_changes_nothing_and_is_repeatable() -> None:
    history = run(dual=True)
    assert judge(history, bounds=BOUNDS).as_json() == judge(history, bounds=BOUNDS).as_json()


def test_only_the_properties_asked_for_are_judged() -> None:
    history = Story().saw("n1", 0, 5, leading=True, term=1).history()
    assert {judged.name for judged in judge(history).properties} > {"agreement", "stall"}
    assert [judged.name for judged in judge(history, only={"stall"}).properties] == ["stall"]
    assert judge(history, only=()).outcome is Outcome.UNKNOWN
