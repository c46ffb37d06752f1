"""Exclusivity: the zone test against every placement of the instants, and a naive rule with false positives."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers import exclusivity
from splitbrain.checkers.exclusivity import MOST_COMPARED, MOST_FINDINGS, check
from splitbrain.checkers.history import History
from splitbrain.checkers.tests.histories import Story, from_text
from splitbrain.checkers.verdict import Observed, Outcome, Verdict

Window = tuple[int, int]
Claim = tuple[str, str, int, int]  # node, reign, invoke, complete


def story_of(claims: list[Claim]) -> History:
    story = Story()
    for node, reign, a, b in claims:
        story.led(node, a, b, reign=reign)
    for node in ("n1", "n2"):
        story.saw(node, 100, 101)
    return story.history()


def reigns_of(claims: list[Claim]) -> dict[tuple[str, str], list[Window]]:
    reigns: dict[tuple[str, str], list[Window]] = {}
    for node, reign, a, b in claims:
        reigns.setdefault((node, reign), []).append((a, b))
    return reigns


def always_meet(left: list[Window], right: list[Window]) -> bool:
    """True if the hulls of the instants meet for every placement of the instants in their windows."""
    return all(
        max(ls) >= min(rs) and max(rs) >= min(ls)
        for ls in product(*(range(a, b + 1) for a, b in left))
        for rs in product(*(range(a, b + 1) for a, b in right))
    )


def conflicting_pairs(claims: list[Claim]) -> set[frozenset[tuple[str, str]]]:
    reigns = reigns_of(claims)
    return {
        frozenset((left, right))
        for left, right in combinations(reigns, 2)
        if left[0] != right[0] and always_meet(reigns[left], reigns[right])
    }


def window_overlap_rule(claims: list[Claim]) -> bool:
    """The naive rule: two nodes led at once if the windows of two of their claims overlap."""
    return any(
        left[0] != right[0] and left[2] <= right[3] and right[2] <= left[3] for left, right in combinations(claims, 2)
    )


def found_pairs(history: History) -> set[frozenset[tuple[str, str]]]:
    return {frozenset(zip(finding.nodes, finding.facts["reigns"], strict=True)) for finding in check(history).findings}


@st.composite
def one_claim(draw: st.DrawFn) -> Claim:
    a = draw(st.integers(0, 6))
    node = draw(st.sampled_from(["n1", "n2", "n3"]))
    return node, node + draw(st.sampled_from("ab")), a, a + draw(st.integers(0, 3))


def claims_that_keep_their_keys(claims: list[Claim]) -> bool:
    """No node has a claim under another key between two of one key, so no reign is refuted."""
    return all(
        not (min(b for _, b in windows) < c and d < max(a for a, _ in windows))
        for (node, reign), windows in reigns_of(claims).items()
        for other, key, c, d in claims
        if other == node and key != reign
    )


@given(st.lists(one_claim(), max_size=6).filter(claims_that_keep_their_keys))
def test_an_overlap_is_proven_iff_every_placement_of_the_instants_has_it(claims: list[Claim]) -> None:
    pairs = conflicting_pairs(claims)
    history = story_of(claims)
    assert (check(history).kind == "proven") == bool(pairs)
    assert found_pairs(history) == pairs
    if pairs:
        assert check(history).facts["conflicting_reigns"] == len(frozenset().union(*pairs))


@given(st.lists(one_claim(), max_size=6).filter(claims_that_keep_their_keys))
def test_the_longest_overlap_is_that_of_the_definite_intervals(claims: list[Claim]) -> None:
    zones = {
        key: (min(b for _, b in windows), max(a for a, _ in windows)) for key, windows in reigns_of(claims).items()
    }
    overlaps = [
        min(zones[left][1], zones[right][1]) - max(zones[left][0], zones[right][0])
        for left, right in combinations(zones, 2)
        if left[0] != right[0]
    ]
    verdict = check(story_of(claims))
    if claims:
        assert verdict.facts["longest_overlap_ns"] == max(0, *overlaps, 0)


@st.composite
def disjoint_truth(draw: st.DrawFn, witnessed: bool = False) -> tuple[list[Claim], list[Claim]]:
    """Reigns one after another, and what observers saw of them: claims and denials, each true at some instant of
    its window. With ``witnessed`` nodes lead again under their old keys, and each lapse was seen, between claims whose
    windows stay within their reign: a window that reaches over the lapse could belong to a contiguous reign."""
    turns = draw(st.lists(st.sampled_from(["n1", "n2", "n3"]), min_size=1, max_size=7))
    claims: list[Claim] = []
    denials: list[Claim] = []
    for turn, leader in enumerate(turns):
        start = 10 * turn
        for _ in range(draw(st.integers(0, 3))):
            node = draw(st.sampled_from(["n1", "n2", "n3"]))
            tau = draw(st.integers(start + 1, start + 9))
            low, high = (start, start + 9) if witnessed else (tau - 25, tau + 25)
            a, b = draw(st.integers(low, tau)), draw(st.integers(tau, high))
            reign = node if witnessed else f"{node}-{turn}"
            (claims if node == leader else denials).append((node, reign, max(a, 0), b))
        if witnessed:
            denials += [
                (node, "", start + 4, start + 4 + draw(st.integers(0, 2)))
                for node in ("n1", "n2", "n3")
                if node != leader
            ]
    return claims, denials


def observed(claims: list[Claim], denials: list[Claim]) -> History:
    story = Story()
    for node, reign, a, b in claims:
        story.led(node, a, b, reign=reign)
    for node, _, a, b in denials:
        story.saw(node, a, b)
    return story.history()


@settings(max_examples=50)
@given(disjoint_truth())
def test_no_history_of_reigns_one_after_another_is_ever_called_proven(seen: tuple[list[Claim], list[Claim]]) -> None:
    verdict = check(observed(*seen))
    assert verdict.kind != "proven"
    assert verdict.facts.get("reigns_not_contiguous", 0) == 0
    assert verdict.facts.get("contradictory_self_reports", 0) == 0


@settings(max_examples=50)
@given(disjoint_truth(witnessed=True))
def test_a_key_that_is_lost_and_used_again_proves_nothing_where_the_lapse_was_seen(
    seen: tuple[list[Claim], list[Claim]],
) -> None:
    assert check(observed(*seen)).kind != "proven"


def test_overlapping_windows_cry_wolf_where_the_zone_test_does_not() -> None:
    claims = [("n1", "a", 0, 6), ("n2", "b", 4, 9)]  # n1 led at 1, n2 at 8
    assert window_overlap_rule(claims)
    assert not conflicting_pairs(claims)
    assert check(story_of(claims)).outcome is Outcome.VALID


FIVE_LINES = """
{"index": 0, "time": 10, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 1, "time": 20, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": {"leading": true, "term":1}}
{"index": 2, "time": 30, "process": 2, "type": "invoke", "f": "observe", "node": "n2"}
{"index": 3, "time": 40, "process": 2, "type": "ok", "f": "observe", "node": "n2", "value": {"leading": true, "term":2}}
{"index": 4, "time": 50, "process": 1, "type": "invoke", "f": "observe", "node": "n1"}
{"index": 5, "time": 60, "process": 1, "type": "ok", "f": "observe", "node": "n1", "value": {"leading": true, "term":1}}
"""


def test_one_claim_between_two_of_another_node_is_proven_by_three_observations() -> None:
    verdict = check(from_text(FIVE_LINES))
    assert (verdict.outcome, verdict.kind, verdict.evidence) == (Outcome.INVALID, "proven", (1, 3, 5))
    (finding,) = verdict.findings
    assert (finding.guarantee, finding.start, finding.end) == ("exclusivity", 30, 40)
    assert verdict.words == "two leaders once, for an instant"
    assert verdict.detail.endswith("at some instant between 0.000 000 030 s and 0.000 000 040 s")
    assert finding.facts == {
        "reigns": ["term 1", "term 2"],
        "terms": [1, 2],
        "same_term": False,
        "overlap_ns": 0,
        "running_ns": 0,
        "momentary": True,
    }


def test_without_the_third_observation_it_is_only_possible() -> None:
    verdict = check(from_text("\n".join(FIVE_LINES.strip().splitlines()[:4])))
    assert (verdict.outcome, verdict.kind, verdict.observed) == (Outcome.VALID, "possible", Observed.NOT_SHOWN)


def test_reigns_that_denials_keep_apart_are_excluded() -> None:
    story = Story().led("n1", 1, 2, term=1).saw("n1", 3, 4).saw("n2", 5, 6).led("n2", 7, 8, term=2)
    assert check(story.history()).kind == "excluded"


@settings(max_examples=50)
@given(disjoint_truth())
def test_possible_means_that_the_widest_intervals_meet(seen: tuple[list[Claim], list[Claim]]) -> None:
    claims, denials = seen
    reigns = reigns_of(claims)

    def hull(node: str, reign: str) -> tuple[float, float]:
        windows = reigns[node, reign]
        others = [
            (a, b) for n, r, a, b in [*claims, *((n, "", a, b) for n, _, a, b in denials)] if n == node and r != reign
        ]
        return (
            max((c for c, d in others if d < max(a for a, _ in windows)), default=float("-inf")),
            min((d for c, d in others if c > min(b for _, b in windows)), default=float("inf")),
        )

    meet = any(
        hull(*left)[0] < hull(*right)[1] and hull(*right)[0] < hull(*left)[1]
        for left, right in combinations(reigns, 2)
        if left[0] != right[0]
    )
    verdict = check(observed(claims, denials))
    if verdict.kind is not None:
        assert verdict.kind == ("possible" if meet else "excluded")


def test_intervals_that_only_touch_do_not_meet() -> None:
    story = Story().led("n1", 0, 1, term=1).saw("n1", 3, 10).led("n2", 12, 13, term=2)
    assert check(story.saw("n2", 9, 9).history()).kind == "possible"
    assert check(story.saw("n2", 10, 11).history()).kind == "excluded"


def test_a_node_that_contradicts_itself_is_reported_and_proves_nothing_of_others() -> None:
    story = Story().led("n1", 0, 1, reign="a").led("n1", 2, 5, reign="b").led("n1", 5, 6, reign="a").saw("n2", 0, 1)
    verdict = check(story.history())
    assert verdict.outcome is Outcome.VALID
    assert verdict.facts["contradictions"] == [{"node": "n1", "reigns": ["a", "b"], "lines": [2, 5, 7]}]
    assert "1 contradictory self-report" in verdict.words


def test_a_definite_overlap_is_measured_and_bounded() -> None:
    story = Story().led("n1", 0, 10, term=4).led("n1", 50, 60, term=4)
    story.led("n2", 20, 30, term=4).led("n2", 70, 80, term=4)
    verdict = check(story.history())
    (finding,) = verdict.findings
    assert verdict.words == "two leaders once, for at least 20 ns (both running throughout)"
    assert verdict.detail == "n1 (term 4) and n2 (term 4), at 0.000 000 030 s"
    assert finding.words == (
        "n1 (term 4) and n2 (term 4) both led for at least 20 ns (both running throughout), at 0.000 000 030 s"
    )
    assert (finding.start, finding.end, finding.facts["overlap_ns"]) == (30, 50, 20)
    assert finding.facts["same_term"] is True
    assert finding.nodes == ("n1", "n2")


def test_a_denial_within_a_reign_splits_it_so_that_it_proves_nothing() -> None:
    story = Story().led("n1", 0, 1, reign="a").led("n1", 10, 11, reign="a").led("n2", 4, 7, reign="b")
    assert check(story.history()).kind == "proven"
    story.saw("n1", 3, 8)
    verdict = check(story.history())
    assert verdict.kind == "possible"
    assert "not contiguous" in verdict.words
    assert verdict.facts["not_contiguous"] == [{"node": "n1", "reign": "a", "lines": [1, 5, 7]}]


def test_the_parts_of_a_split_reign_still_prove_overlaps() -> None:
    story = Story().led("n1", 0, 1, reign="a").saw("n1", 3, 4).led("n1", 5, 6, reign="a").led("n1", 10, 11, reign="a")
    verdict = check(story.led("n2", 7, 8, reign="b").history())
    assert verdict.kind == "proven"
    assert verdict.facts["reigns_not_contiguous"] == 1


def test_a_claim_that_overlaps_the_denial_belongs_to_neither_side() -> None:
    # n1 led at 1, not at 5, and again at 9: the claim of [4, 9] is of the second time.
    story = Story().led("n1", 0, 1, reign="a").saw("n1", 5, 5).led("n1", 4, 9, reign="a").led("n1", 11, 12, reign="a")
    assert check(story.led("n2", 2, 3, reign="b").history()).kind != "proven"


def test_claims_of_another_key_of_the_same_node_split_a_reign_too() -> None:
    story = Story().led("n1", 0, 1, reign="a").led("n1", 4, 5, reign="b").led("n1", 8, 9, reign="a")
    verdict = check(story.led("n2", 2, 3, reign="c").history())
    assert verdict.kind != "proven"
    assert verdict.facts["reigns_not_contiguous"] == 1
    assert verdict.facts["contradictory_self_reports"] == 1
    assert verdict.facts["contradictions"][0]["node"] == "n1"


def test_claims_without_a_key_neither_refute_one_another_nor_join() -> None:
    story = Story().led("n1", 0, 1).led("n1", 8, 9).led("n2", 4, 5)
    assert check(story.history()).kind == "possible"
    assert check(story.led("n1", 0, 1, reign="a").led("n1", 8, 9, reign="a").history()).kind == "proven"


def test_keys_of_two_kinds_are_not_held_against_one_another() -> None:
    story = Story().led("n1", 0, 1, reign="a", term=3).led("n1", 4, 5, term=3).led("n1", 8, 9, reign="a", term=3)
    verdict = check(story.saw("n2", 1, 2).history())
    assert verdict.facts["reigns_not_contiguous"] == verdict.facts["contradictory_self_reports"] == 0


def test_nothing_is_known_without_a_leader_or_with_one_node_only() -> None:
    no_leader = check(Story().saw("n1", 0, 1).saw("n2", 2, 3).history())
    assert (no_leader.outcome, no_leader.words) == (
        Outcome.UNKNOWN,
        "no node was seen leading, so exclusivity was not tested",
    )
    alone = check(Story().led("n1", 0, 1, term=1).history())
    assert alone.outcome is Outcome.UNKNOWN
    assert alone.words == "fewer than two nodes answered, so exclusivity was not tested"
    assert check(Story().history()).outcome is Outcome.UNKNOWN


def test_of_many_conflicts_the_longest_are_listed_and_the_rest_announced() -> None:
    story = Story()
    for at in range(MOST_FINDINGS + 5):
        for node in ("n1", "n2"):
            story.led(node, 10 * at, 10 * at + 1, reign=f"{node}-{at}")
            story.led(node, 10 * at + 2 + at % 3, 10 * at + 9, reign=f"{node}-{at}")
    verdict = check(story.history())
    assert len(verdict.findings) == MOST_FINDINGS
    assert verdict.words.startswith("two leaders at least 200 times, the longest for at least 3 ns")
    assert "only the 200 longest overlaps are listed" in verdict.detail
    assert verdict.facts["conflicting_reigns"] == 2 * (MOST_FINDINGS + 5)
    assert verdict.facts["longest_overlap_ns"] == 3
    assert verdict.findings[0].start < verdict.findings[-1].start


def test_every_conflict_is_counted_even_when_not_all_pairs_are_compared() -> None:
    story, many = Story(), MOST_COMPARED + 1
    story.led("n1", 0, 1, reign="long").led("n1", 10 * many, 10 * many + 1, reign="long")
    for at in range(many):
        story.led("n2", 10 * at + 2, 10 * at + 3, reign=f"b{at}").led("n2", 10 * at + 5, 10 * at + 6, reign=f"b{at}")
    verdict = check(story.history())
    assert verdict.facts["conflicting_reigns"] == many + 1
    assert verdict.facts["longest_overlap_ns"] == 2
    assert not verdict.facts["pairs_complete"]
    assert max(finding.facts["overlap_ns"] for finding in verdict.findings) == 2


def test_reigns_that_were_counted_by_the_answers_prove_less_and_the_verdict_says_so() -> None:
    def verdict_on(key: str) -> Verdict:
        story = Story().led("n1", 0, 1, reign=f"{key}1").led("n2", 2, 3, reign=f"{key}1")
        return check(story.led("n1", 4, 5, reign=f"{key}1").led("n2", 6, 7, reign=f"{key}1").history())

    assert "counted" not in verdict_on("boot-").detail
    counted = verdict_on("counted-")
    assert counted.observed is Observed.VIOLATED and counted.facts["reigns_counted"] == 2
    assert "reigns were counted by the answers" in counted.detail


def test_the_property_has_its_public_name() -> None:
    assert exclusivity.PROPERTY == check(Story().history()).property == "exclusivity"
