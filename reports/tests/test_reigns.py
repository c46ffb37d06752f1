from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.reports import fault_windows
from splitbrain.reports.reigns import DrawnReign, reigns
from splitbrain.reports.tests.literal import Lines, fault, history, observe, until


def one(*parts: Lines) -> DrawnReign:
    (reign,) = reigns(history(*parts)).rows
    return reign


def test_a_reign_surely_covers_what_lies_between_its_first_answer_and_its_last_question() -> None:
    reign = one(
        observe("n1", 0, 5, term=0),
        observe("n1", 10, 15, leading=True, term=3),
        observe("n1", 40, 45, leading=True, term=3),
        observe("n1", 60, 65, term=4),
        until(100),
    )
    assert (reign.earliest, reign.first, reign.last, reign.latest) == (0, 15, 40, 65)
    assert (reign.term, reign.claims, reign.line) == (3, 2, 3)


def test_one_claim_alone_makes_no_instant_sure() -> None:
    reign = one(observe("n1", 10, 15, leading=True, term=3), until(50))
    assert reign.first > reign.last
    assert (reign.earliest, reign.latest) == (0, 50)


def test_a_denial_between_two_claims_of_one_key_splits_the_reign() -> None:
    split = reigns(
        history(
            observe("n1", 0, 5, leading=True, term=1),
            observe("n1", 10, 15, term=1),
            observe("n1", 20, 25, leading=True, term=1),
        )
    )
    assert [(reign.earliest, reign.latest) for reign in split.rows] == [(0, 15), (10, 25)]


def test_a_denial_whose_window_overlaps_the_claims_does_not_split_the_reign() -> None:
    reign = one(
        observe("n1", 0, 5, leading=True, term=1),
        observe("n1", 4, 31, term=1),
        observe("n1", 20, 30, leading=True, term=1),
    )
    assert (reign.first, reign.last) == (5, 20)


def test_claims_without_a_key_are_joined_until_one_is_denied() -> None:
    rows = reigns(
        history(
            observe("n1", 0, 5, leading=True),
            observe("n1", 10, 15, leading=True),
            observe("n1", 20, 25, leading=False, leader="n2"),
            observe("n1", 30, 35, leading=True),
        )
    ).rows
    assert [(reign.key, reign.first, reign.last, reign.claims) for reign in rows] == [
        (None, 0, 15, 2),
        (None, 30, 35, 1),
    ]


def test_a_killed_node_does_not_lead_on_even_without_a_denial() -> None:
    run = history(
        observe("n1", 0, 5, leading=True, term=1),
        observe("n1", 10, 15, leading=True, term=1),
        fault("kill", 20, 22, id=1, nodes=["n1"]),
        until(100),
    )
    assert reigns(run).rows[0].latest == 100
    assert reigns(run, fault_windows.windows(run)).rows[0].latest == 22


def test_beyond_the_limit_the_longest_reigns_are_kept_and_the_rest_counted() -> None:
    parts = [observe("n1", at, at + 1, leading=True, term=at) for at in range(0, 100, 10)]
    kept = reigns(history(*parts, observe("n1", 200, 210, term=300)), limit=3)
    assert (len(kept.rows), kept.left_out) == (3, 7)
    assert kept.rows[-1].term == 90  # nothing denies it until 210


ANSWERS = st.lists(
    st.tuples(st.sampled_from(["n1", "n2"]), st.integers(0, 30), st.integers(1, 9), st.sampled_from([None, 1, 2])),
    max_size=8,
)


@given(ANSWERS)
def test_each_claim_may_lie_in_its_reign_and_what_is_sure_is_possible(
    answers: list[tuple[str, int, int, int | None]],
) -> None:
    run = history(
        *(observe(node, at, at + took, leading=term is not None, term=term or 0) for node, at, took, term in answers)
    )
    found = reigns(run).rows
    for reign in found:
        assert reign.earliest <= min(reign.first, reign.last) <= max(reign.first, reign.last) <= reign.latest
    claims = [(node, at, at + took, term) for node, at, took, term in answers if term is not None]
    assert sum(reign.claims for reign in found) == len(claims)
    for node, invoked, completed, term in claims:
        assert any(
            run.nodes[reign.node] == node
            and reign.term == term
            and invoked <= reign.latest
            and completed >= reign.earliest
            for reign in found
        )
