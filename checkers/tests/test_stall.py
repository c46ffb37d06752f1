"""Stalls: an eligible majority without a working leader, against a model that tries every interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.stall import check, often_enough
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome, Verdict

NODES = ["n1", "n2", "n3", "n4", "n5"]
BOUNDS = Bounds(stall_ns=20, slack_ns=5, canary_late_ns=3)  # a stall takes more than 45
TINY = Bounds(stall_ns=2, slack_ns=1, canary_late_ns=0, members=brute_force.NODES)


def watched(end: int, every: int = 5, led: tuple[str, int, int] | None = None) -> Story:
    """Five nodes asked all the while; ``led`` is who claims to lead, from when to when."""
    story = Story().until(end)
    for at in range(0, end, every):
        for node in NODES:
            leads = led is not None and node == led[0] and led[1] <= at < led[2]
            story.saw(node, at, at + 1, leading=leads, term=1)
    return story


def confirming(story: Story, node: str, start: int, end: int, every: int = 10) -> Story:
    for at in range(start, end, every):
        story.confirmed(node, at, at + 2)
    return story


def guarantees(verdict: Verdict) -> list[str | None]:
    return [finding.guarantee for finding in verdict.findings]


@given(brute_force.nemesis(acts=4), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), max_size=5))
def test_a_stall_is_proven_iff_some_interval_proves_it(story: Story, confirmed: list[tuple[int, int]]) -> None:
    end = story.history().end
    for at in range(end):
        for node in brute_force.NODES:
            story.saw(node, at, at)
    for at, width in confirmed:
        story.confirmed("n1", min(at, end), min(at + width, end))
    story.refused("n1", 0, 0)
    history = story.history()
    silent = [
        (u, v)
        for u in range(end)
        for v in range(u + 6, end + 1)
        if not any(min(at, end) < v and min(at + width, end) > u for at, width in confirmed)
        and not any(u < at < v for at, _ in confirmed)
    ]
    calm = any(all(brute_force.fault_free(history, t) for t in range(u, v)) for u, v in silent)
    stalled = any(brute_force.was_eligible(history, "clique", u, v) for u, v in silent)
    verdict = check(history, TINY)
    assert (verdict.outcome is Outcome.INVALID) == stalled
    assert ("convergence" in guarantees(verdict)) == calm
    for finding in verdict.findings:
        assert finding.end - finding.start > 5
        assert brute_force.was_eligible(history, "clique", finding.start, finding.end)


@given(st.lists(st.integers(0, 20), max_size=8).map(sorted), st.integers(0, 10), st.integers(11, 20), st.integers(1, 8))
def test_often_enough_is_two_in_every_window(times: list[int], start: int, end: int, window: int) -> None:
    inner = [time for time in times if start <= time <= end]
    halves = range(2 * start, 2 * (end - window) + 1)
    windows = [sum(at <= 2 * time <= at + 2 * window for time in inner) for at in halves]
    if end - start > 2 * window:
        enough = often_enough(np.array(inner, np.int64), start, end, window)
        # Windows that begin and end between two nanoseconds are looked at by halves.
        assert not enough or all(count >= 2 for count in windows)
        if all(count >= 2 for count in windows):
            marks = [start, *inner, end]
            assert enough or any(b - a > window for a, b in zip(marks, marks[2:], strict=False))


def test_a_leader_that_is_confirmed_all_the_while_does_not_stall() -> None:
    verdict = check(confirming(watched(200, led=("n1", 0, 200)), "n1", 2, 200).history(), BOUNDS)
    assert verdict.outcome is Outcome.VALID
    assert verdict.facts["eligible_ns"] == verdict.facts["eligible_stretches_beyond_bound"] * 200 == 200


def test_a_leader_that_claims_to_lead_but_confirms_nothing_stalls() -> None:
    story = confirming(watched(200, led=("n1", 0, 200)), "n1", 2, 100)
    for at in range(100, 200, 10):
        story.refused("n1", at, at + 1)
    verdict = check(story.history(), BOUNDS)
    assert (verdict.outcome, guarantees(verdict)) == (Outcome.INVALID, ["convergence"])
    (finding,) = verdict.findings
    assert (finding.start, finding.end) == (94, 200)
    last_confirmed = story.history().operations("confirm").complete_index.tolist()[9]
    assert finding.evidence[0] == last_confirmed


@pytest.mark.parametrize(("every", "outcome"), [(5, Outcome.INVALID), (10, Outcome.INVALID), (15, Outcome.UNKNOWN)])
def test_a_cluster_that_refuses_from_the_start_stalls_if_it_was_asked_often_enough(
    every: int, outcome: Outcome
) -> None:
    story = Story().until(46)
    for at in range(0, 46, every):
        story.refused("n1", at, at + 1)
    verdict = check(story.history(), BOUNDS)
    assert verdict.outcome is outcome
    assert bool(verdict.evidence) == (outcome is Outcome.INVALID)


def test_no_fault_active_means_convergence_and_a_fault_means_availability() -> None:
    cut = both_ways(["n1"], NODES[1:])
    story = confirming(watched(400), "n2", 0, 100).cut(100, 110, cut)
    story = confirming(story, "n2", 260, 300).fault("heal", 200, 210).refused("n2", 150, 151)
    verdict = check(story.history(), BOUNDS)
    assert guarantees(verdict) == ["availability", "convergence", "convergence"]
    during, after, last = verdict.findings
    assert (during.start, during.end) == (92, 260)
    assert (after.start, after.end) == (210, 260)
    assert (last.start, last.end) == (292, 400)


def test_a_stall_while_no_majority_was_eligible_is_none() -> None:
    cut = both_ways(["n1", "n2"], NODES[2:]) + both_ways(["n3"], ["n4", "n5"])
    story = confirming(confirming(watched(300), "n2", 0, 100).cut(100, 110, cut), "n2", 240, 300)
    verdict = check(story.fault("heal", 230, 235).history(), BOUNDS)
    assert verdict.outcome is Outcome.VALID
    assert verdict.facts["longest_unavailable_ns"] == 150
    assert verdict.facts["unavailable"] == [92, 242]
    lines = {"".join(str(line)) for line in verdict.facts["unavailable_lines"]}
    assert len(lines) == 2


def test_a_confirmation_whose_window_meets_the_period_ends_it() -> None:
    story = confirming(watched(100), "n1", 0, 10).confirmed("n1", 30, 90)
    assert check(story.history(), BOUNDS).outcome is Outcome.VALID


def test_nodes_not_asked_are_unknown() -> None:
    story = Story().until(200)
    for node in NODES:
        story.saw(node, 0, 1)
    verdict = check(confirming(story, "n1", 0, 50).history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "asked" in verdict.words
    assert verdict.facts["undecided"] == {"convergence": 1}


def test_a_claim_that_was_never_asked_to_confirm_is_unknown() -> None:
    story = confirming(watched(200, led=("n1", 0, 200)), "n1", 2, 100)
    verdict = check(story.history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "a leader was not asked to confirm" in verdict.words


def test_a_starved_machine_proves_nothing() -> None:
    story = confirming(watched(150), "n1", 0, 60)
    assert check(story.history(), BOUNDS).outcome is Outcome.INVALID
    story.canary(105, 10)
    verdict = check(story.history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "starved" in verdict.words


def test_a_moment_of_starvation_leaves_the_rest_of_a_long_stall() -> None:
    story = confirming(watched(300), "n1", 0, 60).canary(105, 10)
    (finding,) = check(story.history(), BOUNDS).findings
    assert (finding.start, finding.end) == (105, 300)


def test_a_time_without_probes_leaves_the_rest_of_a_long_stall() -> None:
    story = confirming(Story().until(300), "n1", 0, 100)
    for at in (*range(0, 110, 5), *range(140, 300, 5)):
        for node in NODES:
            story.saw(node, at, at + 1, term=1)
    (finding,) = check(story.history(), BOUNDS).findings
    assert (finding.start, finding.end) == (140, 300)


def test_lateness_that_is_tolerated_is_added_to_the_bound() -> None:
    assert check(watched(100).canary(50, 3).history(), BOUNDS).facts["bound_ns"] == 48


def test_a_run_without_a_long_enough_period_is_unknown() -> None:
    verdict = check(confirming(watched(40), "n1", 0, 40).history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "no majority was certainly connected" in verdict.words


def test_without_confirmations_only_a_cluster_without_a_claim_to_lead_stalls() -> None:
    assert check(watched(200).history(), BOUNDS).outcome is Outcome.INVALID
    led = check(watched(200, led=("n1", 0, 200)).history(), BOUNDS)
    assert led.outcome is Outcome.UNKNOWN
    assert "no connected majority named it; to have this judged, let a leader confirm" in led.words
    partly = check(watched(200, led=("n1", 0, 100)).history(), BOUNDS)
    assert (partly.outcome, guarantees(partly)) == (Outcome.INVALID, ["convergence"])


def test_without_confirmations_every_node_of_the_majority_must_have_answered() -> None:
    story = Story().until(200)
    for at in range(0, 200, 5):
        for node in NODES[:2]:
            story.saw(node, at, at + 1)
    for node in NODES[2:]:
        story.asked("observe", node, 0, 200, "info")
    assert check(story.history(), BOUNDS).outcome is Outcome.UNKNOWN


def test_an_isolated_majority_is_all_that_some_systems_serve() -> None:
    noise = [(a, b) for a, b in both_ways(["n1"], NODES[1:]) if b == "n1"]  # n1 is deaf, and heard by all
    story = confirming(watched(300), "n2", 0, 60).cut(60, 65, noise)
    assert guarantees(check(story.history(), BOUNDS)) == ["availability"]
    isolated = Bounds(stall_ns=20, slack_ns=5, eligibility="isolated")
    assert check(story.history(), isolated).outcome is Outcome.VALID


def test_a_history_of_nothing_is_unknown() -> None:
    assert check(Story().history()).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("end", [1, 2, 10])
def test_default_bounds_find_short_histories_too_short(end: int) -> None:
    assert check(watched(end).history()).outcome is Outcome.UNKNOWN


def silent(end: int) -> Story:
    """Confirmed until 4, and refused all the while after that."""
    story = Story().until(end).confirmed("n1", 2, 4)
    for at in range(4, end, 5):
        story.refused("n1", at, at)
    return story


def test_a_silence_as_long_as_the_bound_is_no_stall_and_a_longer_one_is() -> None:
    assert check(silent(49).history(), BOUNDS).outcome is Outcome.VALID
    assert check(silent(50).history(), BOUNDS).outcome is Outcome.INVALID
    assert check(silent(50).confirmed("n1", 49, 50).history(), BOUNDS).outcome is Outcome.VALID


def test_a_stall_that_is_too_long_only_with_its_faulty_part_is_one_of_availability() -> None:
    story = silent(100).fault("kill", 44, 45, nodes=["n3"]).saw("n2", 0, 1)
    verdict = check(story.history(), Bounds(stall_ns=20, slack_ns=5, members=("n1", "n2", "n3")))
    assert [(f.guarantee, f.start, f.end) for f in verdict.findings] == [("availability", 4, 100)]
    assert verdict.words == (
        "no confirmation succeeded for 96 ns during faults, from 0.000 s to 0.000 s, "
        "though n1 and n2 were up and connected"
    )


def test_a_fault_active_for_as_long_as_the_bound_leaves_it_to_convergence() -> None:
    members = Bounds(stall_ns=20, slack_ns=5, members=("n1", "n2", "n3"))
    story = silent(200).saw("n2", 0, 1).cut(100, 101, [("n3", "n1")]).fault("heal", 140, 145)
    assert guarantees(check(story.history(), members)) == ["convergence", "convergence"]
    longer = silent(200).saw("n2", 0, 1).cut(100, 101, [("n3", "n1")]).fault("heal", 140, 146)
    assert guarantees(check(longer.history(), members)) == ["availability", "convergence", "convergence"]


def test_asking_nodes_outside_the_majority_is_not_asking_it() -> None:
    rest = NODES[2:]
    story = confirming(Story().until(300), "n3", 0, 60).cut(60, 61, both_ways(["n1", "n2"], rest))
    for at in range(0, 300, 5):
        story.saw("n1", at, at).saw("n2", at, at)
    assert check(story.history(), BOUNDS).outcome is Outcome.UNKNOWN
    for at in range(0, 300, 5):
        story.saw("n4", at, at)
    assert check(story.history(), BOUNDS).outcome is Outcome.INVALID


@pytest.mark.parametrize(
    ("claimed", "asked", "outcome"),
    [
        (100, 80, Outcome.INVALID),
        (100, 79, Outcome.UNKNOWN),
        (100, 120, Outcome.INVALID),
        (100, 121, Outcome.UNKNOWN),
        (180, 5, Outcome.UNKNOWN),
        (181, 5, Outcome.INVALID),  # too late to have been asked in time
    ],
)
def test_every_claim_must_be_asked_to_confirm_within_the_bound(claimed: int, asked: int, outcome: Outcome) -> None:
    story = watched(200).confirmed("n1", 2, 4).led("n1", claimed, claimed, term=1).refused("n1", asked, asked)
    assert check(story.history(), BOUNDS).outcome is outcome


def test_of_several_stalls_the_longest_is_reported_and_all_are_listed() -> None:
    story = confirming(confirming(watched(300), "n1", 0, 20), "n1", 100, 120)
    verdict = check(story.history(), BOUNDS)
    assert [(f.start, f.end) for f in verdict.findings] == [(12, 100), (112, 300)]
    assert verdict.words.startswith("no confirmation succeeded for 188 ns while no fault was active")
    assert verdict.words.endswith("; 2 stalls in total")
    first, last = verdict.findings
    confirms = story.history().operations("confirm").complete_index.tolist()
    assert verdict.evidence == last.evidence
    assert {confirms[1], confirms[2]} <= set(first.evidence)


def test_one_stall_shows_once_however_many_majorities_it_had() -> None:
    story = confirming(watched(400), "n2", 0, 20)
    story.cut(50, 60, both_ways(["n1"], NODES[1:])).fault("heal", 120, 130)
    story.cut(150, 160, both_ways(["n5"], NODES[:4]))
    assert guarantees(check(story.history(), BOUNDS)) == ["availability"]
