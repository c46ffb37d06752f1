"""Election quorum: the two proofs, the doubts that prevent them, and a brute-force twin on small histories."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers import election_quorum
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import ALL_PROMISED, judge
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome, Verdict

FIVE = ("n1", "n2", "n3", "n4", "n5")
SPLIT = both_ways(FIVE[:2], FIVE[2:])
BOUNDS = Bounds(members=FIVE, round_ns=100, slack_ns=0)
SERVERS = ("s1", "s2", "s3")
SERVED = Bounds(members=("n1", "n2"), servers=SERVERS, elects="servers", round_ns=100, slack_ns=0)


def found(story: Story, bounds: Bounds = BOUNDS) -> Verdict:
    return election_quorum.check(story.until(10_000).history(), bounds)


def split_cluster() -> Story:
    """n1 and n2 are cut off from the three others."""
    return Story().cut(100, 110, SPLIT)


def test_a_leader_of_two_out_of_five_is_found_by_the_lower_term_that_it_showed_after_the_cut() -> None:
    verdict = found(split_cluster().saw("n1", 120, 125, term=4).led("n1", 190, 195, term=6))
    assert verdict.outcome is Outcome.INVALID
    assert verdict.words == (
        "n1 began to lead in term 6 between 0.000 s and 0.000 s, when it could exchange messages with n2 only: 2 of 5 "
        "nodes are no majority"
    )
    assert verdict.evidence == (1, 3, 5)  # the cut, the answer, the claim
    (finding,) = verdict.findings
    assert (finding.guarantee, finding.start, finding.end, finding.nodes) == ("election-quorum", 120, 195, ("n1",))
    assert finding.facts == {"term": 6, "reached": ["n1", "n2"], "electors": list(FIVE), "by": "term"}


def test_a_leader_without_a_term_is_found_by_a_denial_later_than_the_longest_round() -> None:
    story = split_cluster().saw("n1", 211, 215).led("n1", 230, 235)
    (finding,) = found(story).findings
    assert (finding.start, finding.facts["by"]) == (111, "time")


@pytest.mark.parametrize(
    ("name", "story"),
    [
        ("the answer was asked before the cut", Story().saw("n1", 90, 125, term=4).cut(100, 110, SPLIT)),
        ("the answer was asked at the instant of the cut", split_cluster().saw("n1", 110, 125, term=4)),
        ("the answer shows the term of the reign", split_cluster().saw("n1", 120, 125, term=6)),
        ("the answer may be later than the reign", split_cluster().saw("n1", 120, 190, term=4)),
        ("another node shows the lower term", split_cluster().saw("n2", 120, 125, term=4)),
        (
            "the cut is not verified",
            Story().cut(100, 110, SPLIT, effect={"verified": False}).saw("n1", 120, 125, term=4),
        ),
        ("only one port is cut", Story().cut(100, 110, SPLIT, port=2380).saw("n1", 120, 125, term=4)),
        (
            "names do not resolve",
            Story().fault("dns", 100, 110, links=[[*link] for link in SPLIT]).saw("n1", 120, 125, term=4),
        ),
        ("the cut is healed meanwhile", split_cluster().saw("n1", 120, 125, term=4).fault("heal", 195, 196)),
        ("three of five remain", Story().cut(100, 110, both_ways(("n1",), ("n4", "n5"))).saw("n1", 120, 125, term=4)),
        ("the denial came within the longest round", split_cluster().saw("n1", 189, 189)),
    ],
)
def test_no_leader_is_accused_while_an_election_by_a_majority_fits_the_observations(name: str, story: Story) -> None:
    assert found(story.led("n1", 190, 195, term=6)).outcome is Outcome.VALID, name


@pytest.mark.parametrize("outwards", [True, False])
def test_links_cut_in_one_direction_carry_no_election(outwards: bool) -> None:
    one_way = [(a, b) if outwards else (b, a) for a in FIVE[:2] for b in FIVE[2:]]
    story = Story().cut(100, 110, one_way).saw("n1", 120, 125, term=4).led("n1", 190, 195, term=6)
    assert found(story).outcome is Outcome.INVALID


def test_an_answer_that_can_come_back_after_its_request_is_a_vote_whichever_link_was_cut_meanwhile() -> None:
    """The links to the others open first and the links back later, or the other way round."""
    out, back = [(a, b) for a, b in SPLIT if a == "n1"], [(a, b) for a, b in SPLIT if b == "n1"]
    for first, then, outcome in ((out, back, Outcome.VALID), (back, out, Outcome.INVALID)):
        story = Story().cut(100, 110, both_ways(("n1",), FIVE[2:])).saw("n1", 120, 125, term=4)
        story.fault("heal", 130, 131, links=first).cut(140, 141, first).fault("heal", 150, 151, links=then)
        assert found(story.led("n1", 190, 195, term=6)).outcome is outcome


def test_an_answer_may_be_under_way_when_the_node_that_sent_it_is_killed() -> None:
    back = [(a, b) for a, b in SPLIT if b == "n1"]
    story = Story().cut(100, 110, back).saw("n1", 120, 125, term=4).fault("kill", 140, 141, nodes=["n3", "n4", "n5"])
    assert found(story.led("n1", 190, 195, term=6)).outcome is Outcome.INVALID
    assert found(story.fault("heal", 150, 151, links=back)).outcome is Outcome.VALID


def test_a_campaign_may_have_begun_before_the_history() -> None:
    story = Story().cut(0, 0, SPLIT).led("n1", 190, 195, term=6)
    assert found(story.saw("n1", 0, 5, term=4)).outcome is Outcome.VALID
    assert found(story.saw("n1", 1, 5, term=4)).outcome is Outcome.INVALID


def test_nodes_that_are_down_elect_no_leader_but_may_as_soon_as_one_is_back() -> None:
    story = Story().fault("kill", 100, 110, nodes=["n3", "n4", "n5"]).saw("n1", 120, 125, term=4)
    assert found(story.led("n1", 190, 195, term=6)).outcome is Outcome.INVALID
    assert found(story.fault("restart", 130, 131, nodes=["n5"])).outcome is Outcome.VALID


def test_a_lower_term_that_the_node_led_shows_that_a_later_campaign_is_another() -> None:
    story = split_cluster().led("n1", 120, 125, term=4).led("n1", 190, 195, term=6)
    (finding,) = found(story).findings
    assert finding.facts["term"] == 6


def test_a_node_that_was_paused_needs_an_answer_a_round_after_it_resumed() -> None:
    def paused(denied: int) -> Story:
        story = split_cluster().fault("pause", 120, 121, nodes=["n1"]).fault("resume", 300, 310, nodes=["n1"])
        return story.saw("n1", denied, denied + 2).led("n1", 450, 455)

    assert found(paused(305)).outcome is found(paused(409)).outcome is Outcome.VALID
    assert found(paused(410)).outcome is Outcome.INVALID


def test_delays_that_may_be_in_force_are_added_to_the_longest_round() -> None:
    def delayed(denied: int, until: int) -> Story:
        story = split_cluster().fault("delay", 112, 113, links=[["n1", "n2"]], ms=0.00001, jitter_ms=0.00002, id=7)
        story.fault("heal", until, until, heals=[7])
        return story.saw("n1", denied, denied).led("n1", 500, 505)

    assert found(delayed(270, 400)).outcome is Outcome.VALID
    assert found(delayed(271, 400)).outcome is Outcome.INVALID
    assert found(delayed(270, 169)).outcome is Outcome.INVALID  # the round of the denial begins after the delay


def test_under_lost_packets_no_round_has_a_bound() -> None:
    story = split_cluster().fault("loss", 112, 113, links=[["n1", "n2"]], percent=10)
    assert found(story.saw("n1", 5000, 5001).led("n1", 5100, 5101)).outcome is Outcome.VALID


def test_a_starved_machine_leaves_a_proof_by_time_undecided_and_one_by_term_alone() -> None:
    late = Bounds().canary_late_ns + 1
    story = split_cluster().saw("n1", 211, 215).led("n1", 230, 235, term=5).canary(late + 150, late)
    verdict = found(story)
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.words == "1 reign of 1 may have begun without a majority; the machine was starved"
    assert found(story.saw("n1", 212, 215, term=4)).outcome is Outcome.INVALID


def test_claims_without_a_key_that_follow_one_denial_are_one_election() -> None:
    story = split_cluster().saw("n1", 211, 215)
    for at in range(230, 280, 10):
        story.led("n1", at, at + 1)
    assert found(story).facts["without_quorum"] == 1


def test_a_key_that_comes_back_after_a_denial_names_a_new_reign() -> None:
    story = Story().led("n1", 10, 11, reign="r").cut(100, 110, SPLIT).saw("n1", 211, 215).led("n1", 230, 235, reign="r")
    assert found(story).outcome is Outcome.INVALID


@pytest.mark.parametrize(
    ("cut", "outcome"),
    [
        (both_ways(("n1",), SERVERS), Outcome.INVALID),
        (both_ways(("n1",), SERVERS[1:]), Outcome.VALID),  # s1 asks the others
        (both_ways(("n1", "s1"), SERVERS[1:]), Outcome.INVALID),
        (both_ways(("n1",), ("n2",)), Outcome.VALID),
    ],
)
def test_a_node_that_servers_elect_reaches_one_that_is_in_a_majority(cut: Any, outcome: Outcome) -> None:
    verdict = found(Story().cut(100, 110, cut).saw("n1", 211, 215).led("n1", 230, 235, term=3), SERVED)
    assert verdict.outcome is outcome


def test_of_several_groups_the_servers_that_elect_count_and_any_other_may_forward() -> None:
    groups = (SERVERS, ("s4",))
    bounds = replace(SERVED, servers=(*SERVERS, "s4"), groups=groups, electors=SERVERS)
    alone = both_ways(("n1",), SERVERS)
    for cut, outcome in ((alone, Outcome.VALID), (alone + both_ways(("s4",), SERVERS), Outcome.INVALID)):
        verdict = found(Story().cut(100, 110, cut).saw("n1", 211, 215).led("n1", 230, 235, term=3), bounds)
        assert verdict.outcome is outcome


def test_terms_that_servers_assign_show_nothing_of_the_time_of_a_request() -> None:
    story = Story().cut(100, 110, both_ways(("n1",), SERVERS)).saw("n1", 120, 125, term=2).led("n1", 130, 135, term=3)
    assert found(story, SERVED).outcome is Outcome.VALID


def test_a_system_in_which_no_majority_elects_is_not_tested_and_neither_is_a_history_without_leaders() -> None:
    proven = split_cluster().saw("n1", 120, 125, term=4).led("n1", 190, 195, term=6)
    without = found(proven, Bounds(elects="none"))
    assert without.outcome is found(split_cluster()).outcome is Outcome.UNKNOWN
    assert "no majority is said to elect" in without.words
    assert found(proven, Bounds(elects="servers")).outcome is Outcome.UNKNOWN  # which servers is not known
    promises = {**ALL_PROMISED, "election-quorum": "undefined"}
    judged = judge(proven.history(), promises, Bounds(elects="none"), only=["election-quorum"])
    assert [each.name for each in judged.not_judged] == ["election-quorum"]


# A brute-force twin: every instant c, every denial and every node, one nanosecond after another.

ROUND = 2
DELAY = 1
TWIN = Bounds(members=brute_force.NODES, round_ns=ROUND, slack_ns=0)


def answered(history: History, x: str, y: str, start: int, end: int) -> bool:
    """True if a request that x sends and an answer of y fit in the closed period [start, end]."""
    steps = range(max(start - 1, 0), min(end + 1, history.end))
    sendable = [not brute_force.cut(history, (x, y), t) for t in steps]
    up = [not brute_force.down(history, y, t) for t in steps]
    receivable = [not brute_force.cut(history, (y, x), t) for t in steps]
    return start <= 0 or any(
        sendable[sent] and up[handled] and receivable[received]
        for received in range(len(steps))
        for handled in range(received + 1)
        for sent in range(handled + 1)
    )


def has_quorum(history: History, x: str, start: int, end: int) -> bool:
    able = {x, *(y for y in brute_force.NODES if y != x and answered(history, x, y, start, end))}
    return any(able >= set(chosen) for chosen in combinations(brute_force.NODES, 2))


def rounds_began_after(history: History, denied: int) -> int:
    """The latest instant that is certainly before the requests to which answers still count at that time."""
    delays = [fault for fault in history.faults if fault.f == "delay"]
    start = denied - ROUND
    while True:
        near = range(max(start - 1, 0), denied + 1)
        in_force = [each for each in delays if any(brute_force.possibly(history, each, each.links[0], t) for t in near)]
        if start == (start := denied - ROUND - 2 * DELAY * len(in_force)):
            return start


def campaigns_began_after(history: History, x: str, term: int, last_claim: int) -> set[int]:
    """Every instant after which the campaign of a reign of x certainly began."""
    seen, found = history.observations, set()
    for row in range(len(seen)):
        if history.nodes[seen.node[row]] != x or seen.complete[row] >= last_claim:
            continue
        denied = int(seen.invoke[row])
        if 0 <= seen.term[row] < term:
            found.add(denied)
        start = rounds_began_after(history, denied)
        undisturbed = all(brute_force.healthy(history, x, t) for t in range(start, denied))
        if not seen.leading[row] and start >= 0 and undisturbed:
            found.add(start)
    return found


def broken_reigns(history: History) -> set[tuple[str, int]]:
    seen, broken = history.observations, set()
    reigns = {(history.nodes[seen.node[row]], int(seen.term[row])) for row in range(len(seen)) if seen.leading[row]}
    for x, term in reigns:
        claims = (seen.node == history.code[x]) & (seen.term == term) & seen.leading
        first, last = int(seen.complete[claims].min()), int(seen.invoke[claims].max())
        if not all(has_quorum(history, x, after, first) for after in campaigns_began_after(history, x, term, last)):
            broken.add((x, term))
    return broken


@st.composite
def faults(draw: st.DrawFn) -> Story:
    """Cuts, kills, pauses and delays that last, and some of their repairs."""
    story, time = Story(), draw(st.integers(0, 4))
    for at in range(draw(st.integers(1, 5))):
        f = draw(st.sampled_from(["partition", "partition", "kill", "pause", "delay", "heal", "restart", "resume"]))
        value: dict[str, Any] = {"nodes": [draw(st.sampled_from(brute_force.NODES))]}
        if f in ("partition", "delay", "heal"):
            links = draw(st.sets(st.sampled_from(brute_force.LINKS), min_size=1, max_size=1 if f == "delay" else 6))
            value = {"links": [list(link) for link in sorted(links)]}
        if f == "delay":
            value |= {"ms": DELAY / 1_000_000}
        done = time + draw(st.integers(0, 1))
        story.fault(f, time, done, id=at, **value)
        time = done + draw(st.integers(1, 8))
    return story.until(time + 5)


@st.composite
def elections(draw: st.DrawFn) -> History:
    """Faults, and answers of nodes whose terms never decrease; each reign has another term."""
    story = draw(faults())
    for node in brute_force.NODES:
        time, term, led = draw(st.integers(0, 8)), 0, False
        for _ in range(draw(st.integers(0, 5))):
            done = time + draw(st.integers(0, 1))
            leading = draw(st.booleans())
            term += draw(st.integers(0, 1)) or (leading and not led)
            shown = term if leading or draw(st.booleans()) else None
            story.saw(node, time, done, leading=leading, term=shown)
            time, led = done + draw(st.integers(1, 6)), leading
    return story.history()


@settings(max_examples=75)
@given(elections())
def test_the_checker_finds_the_reigns_that_a_search_over_every_instant_finds(history: History) -> None:
    verdict = election_quorum.check(history, TWIN)
    assert {(finding.nodes[0], finding.facts["term"]) for finding in verdict.findings} == broken_reigns(history)
