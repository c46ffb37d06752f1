"""Claims to lead where no confirmation is asked for: against a model of every instant, and what stalls they show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.checkers.backing import Claims
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.history import History
from splitbrain.checkers.stall import check
from splitbrain.checkers.tests import brute_force
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome, Verdict

NODES = brute_force.NODES
BOUNDS = Bounds(stall_ns=20, slack_ns=5, members=NODES)  # a stall takes more than 45
SERVED = Bounds(stall_ns=20, slack_ns=5, members=NODES, servers=("s1",))
FRESH = 10
END = 300

Named = dict[str, str | None]
ALONE: Named = {"n1": "n1", "n2": None, "n3": None}
"""n1 leads by its own word only."""
AGREED: Named = {"n1": "n1", "n2": "n1", "n3": "n1"}
CUT_OFF = both_ways(["n1"], ["n2", "n3"])


def seen(story: Story, named: Mapping[str, str | None], start: int = 0, end: int = END) -> Story:
    """Each of the nodes names its leader, every 5 ns."""
    for at in range(start, end, 5):
        for node, leader in named.items():
            story.saw(node, at, at + 1, leading=leader == node, leader=leader)
    return story.until(end)


def judged(story: Story, bounds: Bounds = BOUNDS) -> Verdict:
    return check(story.history(), bounds)


def stalled(story: Story, bounds: Bounds = BOUNDS) -> list[tuple[str | None, int, int]]:
    return [(found.guarantee, found.start, found.end) for found in judged(story, bounds).findings]


def test_a_leader_that_all_name_works() -> None:
    verdict = judged(seen(Story(), AGREED))
    assert verdict.outcome is Outcome.VALID
    assert verdict.words == "a connected majority was never without a leader that it agreed on for more than 45 ns"
    assert verdict.facts["claims_backed"] == verdict.facts["claims_possible"] == END / 5


def test_a_claim_without_a_witness_is_unknown_and_the_words_say_what_to_add() -> None:
    verdict = judged(seen(Story(), ALONE))
    assert (verdict.outcome, verdict.facts["claims_backed"]) == (Outcome.UNKNOWN, 0)
    assert "[confirm]" in verdict.words and "[probe] leader" in verdict.words


def test_a_claim_without_a_witness_is_what_is_missing_on_a_starved_machine_too() -> None:
    story = seen(Story(), ALONE)
    for at in range(20, END, 20):
        story.canary(at, 10)
    verdict = judged(story, replace(BOUNDS, canary_late_ns=3))
    assert verdict.outcome is Outcome.UNKNOWN and "no connected majority named it" in verdict.words


def test_where_nodes_name_their_leader_only_a_confirmation_can_be_added() -> None:
    verdict = judged(seen(Story(), {"n1": "n1", "n2": "n3", "n3": None}))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "[confirm]" in verdict.words and "[probe] leader" not in verdict.words


@pytest.mark.parametrize(
    "others",
    [
        {"n2": "n2", "n3": "n2"},  # by a rule that n2 itself does not follow
        {"n2": None, "n3": None},
        {"n2": "n1", "n3": "n1"},  # they go on to name the last leader
    ],
)
def test_a_leader_that_is_cut_off_is_no_leader_of_the_others(others: Named) -> None:
    story = seen(Story(), AGREED, end=100).cut(100, 101, CUT_OFF)
    for at in range(100, END, 5):
        story.led("n1", at, at + 1)
        for node, leader in others.items():
            story.saw(node, at, at + 1, leader=leader)
    verdict = judged(story.until(END))
    assert verdict.outcome is Outcome.INVALID
    (finding,) = verdict.findings
    assert (finding.guarantee, finding.start, finding.nodes) == ("availability", 101, ("n2", "n3"))
    assert finding.words.startswith("no node that could reach a majority claimed to lead for 199 ns during faults")


@pytest.mark.parametrize("one_way", [[("n2", "n1"), ("n3", "n1")], [("n1", "n2"), ("n1", "n3")]])
def test_a_leader_that_is_deaf_or_mute_is_no_leader_of_the_others(one_way: list[tuple[str, str]]) -> None:
    story = seen(Story(), AGREED, end=100).cut(100, 101, one_way)
    assert stalled(seen(story, ALONE, 100)) == [("availability", 101, END)]


def test_a_successor_that_its_side_names_works() -> None:
    story = seen(Story(), AGREED, end=100).cut(100, 101, CUT_OFF)
    assert judged(seen(story, {"n1": "n1", "n2": "n2", "n3": "n2"}, 105)).outcome is Outcome.VALID


def test_a_leader_that_may_reach_a_majority_through_another_node_leaves_a_doubt() -> None:
    story = seen(Story(), AGREED, end=100).cut(100, 101, both_ways(["n1"], ["n2"]))
    verdict = judged(seen(story, {"n1": "n1", "n2": "n2", "n3": "n2"} | {"n2": "n3"}, 105))
    assert (verdict.outcome, verdict.findings) == (Outcome.UNKNOWN, ())


def test_a_node_that_may_lead_and_does_not_answer_leaves_a_doubt() -> None:
    denied: Named = {"n2": None, "n3": None}
    assert judged(seen(Story(), denied)).outcome is Outcome.UNKNOWN
    assert stalled(seen(Story(), {**denied, "n1": None})) == [("convergence", 0, END)]


@pytest.mark.parametrize("f", ["pause", "kill"])
def test_a_node_that_cannot_run_need_not_answer(f: str) -> None:
    story = seen(Story(), AGREED, end=100).fault(f, 100, 101, nodes=["n1"])
    (finding,) = stalled(seen(story, {"n2": None, "n3": None}, 100))
    assert finding[0] == "availability" and finding[2] == END


def test_an_answer_of_long_ago_supports_no_claim() -> None:
    story = seen(Story(), AGREED, end=100)
    for at in range(100, END, 5):
        story.led("n1", at, at + 1)
    assert judged(story).outcome is Outcome.UNKNOWN


def test_claims_beside_confirmations_are_no_signs() -> None:
    story = seen(Story(), AGREED).confirmed("n1", 0, 1)
    for at in range(5, END, 5):
        story.refused("n1", at, at + 1)
    assert stalled(story) == [("convergence", 1, END)]


def test_a_store_that_is_cut_off_excuses_a_stall_and_its_loss_of_all_contenders_too() -> None:
    idle: Named = dict.fromkeys(NODES)
    story = seen(Story(), idle).cut(0, 1, both_ways(["s1"], NODES))
    assert not stalled(story, SERVED) and judged(story, SERVED).outcome is Outcome.UNKNOWN
    assert stalled(seen(Story(), idle), SERVED) == [("convergence", 0, END)]


def test_one_other_that_reaches_the_store_is_witness_enough() -> None:
    assert judged(seen(Story(), AGREED), SERVED).outcome is Outcome.VALID
    assert judged(seen(Story(), ALONE), SERVED).facts["claims_backed"] == 0
    assert judged(seen(Story(), {**ALONE, "n2": "n1"}), SERVED).facts["claims_backed"] == END / 5
    apart = Story().cut(0, 1, both_ways(["n2"], ["s1"]))
    assert judged(seen(apart, {**ALONE, "n2": "n1"}), SERVED).facts["claims_backed"] == 0


def may_exchange(history: History, node: str, t: int) -> set[str]:
    """The nodes with which ``node`` may exchange messages both ways within [t, t + 1], through others too."""

    def runs(name: str) -> bool:
        return not any(
            fault.f in ("kill", "pause") and name in fault.nodes and brute_force.certainly(history, fault, name, t)
            for fault in history.faults
        )

    def reached(start: str, forward: bool) -> set[str]:
        found, todo = {start}, [start]
        while todo:
            here = todo.pop()
            for other in NODES:
                link = (here, other) if forward else (other, here)
                if other not in found and runs(other) and not brute_force.cut(history, link, t):
                    found.add(other)
                    todo.append(other)
        return found

    return reached(node, True) & reached(node, False) if runs(node) else set()


def named_by(history: History, other: str, leader: str, invoke: int, complete: int) -> bool:
    """True if the latest answer of ``other`` by then names the leader, and they were connected from then on."""
    seen = history.observations
    answers = [
        row for row in range(len(seen)) if history.nodes[seen.node[row]] == other and seen.complete[row] <= complete
    ]
    if not answers:
        return False
    row = max(answers, key=lambda row: int(seen.complete[row]))
    says = other if seen.leading[row] else history.nodes[seen.leader[row]] if seen.leader[row] >= 0 else None
    if says != leader or seen.invoke[row] < complete - FRESH:
        return False
    since = min(int(seen.invoke[row]), invoke)
    return all(brute_force.connected(history, leader, other, t) for t in touching(history, since, complete))


def touching(history: History, start: int, end: int) -> range:
    """The nanoseconds [t, t + 1] that meet the window, within the history."""
    return range(max(start - 1, 0), min(end + 1, history.end))


@settings(deadline=None, max_examples=60)
@given(
    brute_force.nemesis(acts=4),
    st.lists(st.tuples(st.sampled_from(NODES), st.integers(0, 4), st.sampled_from((None, *NODES))), max_size=30),
)
def test_claims_are_possible_and_backed_as_every_instant_says(
    story: Story, said: list[tuple[str, int, str | None]]
) -> None:
    end, at = story.history().end, dict.fromkeys(NODES, 0)
    for node, width, leader in said:
        if at[node] + width <= end:
            story.saw(node, at[node], at[node] + width, leading=leader == node, leader=leader)
            at[node] += width + 1
    history = story.history()
    if not history.end:
        return
    claims = Claims.of(history, cluster_health(history, BOUNDS), "clique", FRESH)
    seen = history.observations
    for row in np.flatnonzero(seen.leading).tolist():
        leader = history.nodes[seen.node[row]]
        window = int(seen.invoke[row]), int(seen.complete[row])
        possible = any(len(may_exchange(history, leader, t)) >= 2 for t in touching(history, *window))
        others = [other for other in NODES if other != leader and named_by(history, other, leader, *window)]
        assert (row in claims.possible) == possible
        assert (row in claims.backed) == (possible and bool(others))


def test_the_model_knows_every_pair() -> None:
    history = Story().cut(0, 0, both_ways(["n1"], ["n2"])).until(5).history()
    for one, other in combinations(NODES, 2):
        assert other in may_exchange(history, one, 2)
