from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitbrain.reports.fault_windows import FaultWindow, node_faults, packed, windows
from splitbrain.reports.tests.literal import fault, history, until

LINKS = [["n1", "n2"], ["n2", "n1"]]


def test_a_healed_cut_lasts_from_its_first_line_to_the_last_of_its_heal() -> None:
    run = history(
        fault("partition", 10, 12, id=1, nodes=["n1"], links=LINKS, shape="isolated-leader"),
        fault("heal", 50, 53, id=2, heals=[1]),
        until(90),
    )
    (window,) = windows(run)
    assert (window.begin, window.effect, window.undo, window.end) == (10, 12, 50, 53)
    assert (window.kind, window.shape, window.undone) == ("cut", "isolated-leader", True)


def test_a_fault_that_nothing_undid_lasts_to_the_end() -> None:
    (window,) = windows(history(fault("pause", 10, 12, id=1, nodes=["n1"]), until(90)))
    assert (window.end, window.undone, window.undo) == (90, False, None)


def test_a_heal_does_not_wake_a_paused_node_and_a_resume_does() -> None:
    paused = fault("pause", 10, 12, id=1, nodes=["n1"])
    (healed,) = windows(history(paused, fault("heal", 20, 22, id=2), until(90)))
    (resumed,) = windows(history(paused, fault("resume", 20, 22, id=2, nodes=["n1"]), until(90)))
    assert (healed.end, resumed.end) == (90, 22)


def test_a_kill_of_two_nodes_ends_with_the_later_restart() -> None:
    (window,) = windows(
        history(
            fault("kill", 10, 12, id=1, nodes=["n1", "n2"]),
            fault("restart", 20, 22, id=2, nodes=["n1"]),
            fault("restart", 30, 32, id=3, nodes=["n2"]),
            until(90),
        )
    )
    assert (window.end, window.undo) == (32, 20)


def test_a_skipped_fault_affects_no_node() -> None:
    run = history(fault("partition", 10, 12, id=1, nodes=["n1"], skipped="no leader"), until(90))
    (window,) = windows(run)
    assert (window.end, window.undone) == (12, False)
    assert node_faults((window,), run.nodes) == ()


def test_a_cut_hurts_the_nodes_it_names_and_without_names_the_ends_of_its_links() -> None:
    named = history(fault("partition", 10, 12, id=1, nodes=["n1"], links=LINKS), until(90))
    unnamed = history(fault("partition", 10, 12, id=1, links=LINKS), until(90))
    assert [state.node for state in node_faults(windows(named), named.nodes)] == [0]
    assert [state.node for state in node_faults(windows(unnamed), unnamed.nodes)] == [0, 1]


def test_a_fault_of_an_unknown_name_is_drawn_all_the_same() -> None:
    (window,) = windows(history(fault("meteor", 10, 12, id=1, nodes=["n1"]), until(90)))
    assert (window.kind, window.shape) == ("other", "meteor")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=12))
def test_faults_in_one_row_never_overlap_while_there_are_rows(stretches: list[tuple[int, int]]) -> None:
    faults = [fault("partition", at, at, id=n, nodes=["n1"]) for n, (at, _) in enumerate(sorted(stretches))]
    heals = [
        fault("heal", at + length, at + length, id=100 + n, heals=[n])
        for n, (at, length) in enumerate(sorted(stretches))
    ]
    found = windows(history(*faults, *heals, until(200)))
    rows = packed(found, most=99)
    assert not any(meet(a, b) for a, b in pairs(found, rows))
    assert max(packed(found, most=2), default=0) <= 1


def test_one_row_for_all_would_let_overlapping_faults_meet() -> None:
    run = history(
        fault("partition", 0, 1, id=1), fault("loss", 5, 6, id=2), fault("heal", 20, 21, id=3, heals=[1, 2]), until(30)
    )
    found = windows(run)
    assert any(meet(a, b) for a, b in pairs(found, [0, 0]))
    assert packed(found) == [0, 1]


def pairs(found: tuple[FaultWindow, ...], rows: list[int]) -> list[tuple[FaultWindow, FaultWindow]]:
    return [
        (a, b)
        for n, (a, row) in enumerate(zip(found, rows, strict=True))
        for b, other in zip(found[:n], rows[:n], strict=True)
        if row == other
    ]


def meet(a: FaultWindow, b: FaultWindow) -> bool:
    return max(a.begin, b.begin) < min(a.end, b.end)
