"""Incidents that no fault asked for: ends, pauses and rations that a watcher recorded, and what they excuse."""

from __future__ import annotations

import pytest

from splitbrain.checkers import coverage, stability, stall
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.cluster_health import cluster_health
from splitbrain.checkers.incidents import described, disturbances, down_for_good, incident_periods
from splitbrain.checkers.tests.histories import Story, both_ways
from splitbrain.checkers.verdict import Outcome
from splitbrain.names import MS

S = 1_000 * MS
NODES = ("n1", "n2", "n3")
BOUNDS = Bounds(members=NODES, stall_ns=1 * S, slack_ns=0, suspicion_ns=100 * MS)


def led_by_n1(until: int, confirmed_until: int, seconds: int = 12, answers: tuple[str, ...] = NODES) -> Story:
    """n1 leads until then, n2 and n3 follow it and are asked on; the leader is asked to confirm."""
    story = Story()
    for at in range(0, seconds * S, 100 * MS):
        for node in answers:
            if node == "n1" and at < until:
                story.led("n1", at, at + MS, reign="a")
            elif node != "n1":
                story.saw(node, at, at + MS, leader="n1" if at < until else None)
        if at < confirmed_until:
            story.confirmed("n1", at + 2 * MS, at + 3 * MS)
        else:
            story.refused("n2", at + 2 * MS, at + 3 * MS)
    return story.until(seconds * S)


def test_a_majority_with_a_node_that_ended_by_itself_was_not_up_and_connected() -> None:
    """n3 is cut off, n1 ends at 4 s: no majority is left, so that the silence after it is no stall."""
    cut = both_ways(["n3"], ["n1", "n2"])
    silent = led_by_n1(until=4 * S, confirmed_until=4 * S).cut(1 * S, 1 * S + MS, cut)
    assert stall.check(silent.history(), BOUNDS).outcome is Outcome.INVALID
    ended = led_by_n1(until=4 * S, confirmed_until=4 * S).cut(1 * S, 1 * S + MS, cut)
    ended.incident(4 * S, "ended", "n1", at=4 * S - 30 * MS, status=3)
    assert stall.check(ended.history(), BOUNDS).outcome is Outcome.VALID


def test_the_rest_of_the_cluster_is_held_to_its_promise_when_a_node_ended_by_itself() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S).incident(4 * S, "ended", "n1", status=3)
    verdict = stall.check(story.history(), BOUNDS)
    assert verdict.outcome is Outcome.INVALID
    assert verdict.findings[0].nodes == ("n2", "n3")


def test_a_node_is_down_from_its_end_to_its_start_and_disturbed_until_it_answers() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S)
    story.incident(4 * S, "ended", "n1", at=3_900 * MS, status=3)
    story.incident(6 * S, "started", "n1", at=5_900 * MS, by="restart policy")
    story.led("n1", 7 * S, 7 * S + MS, reign="b")
    (period,) = incident_periods(story.history())
    assert period.certain == (4 * S, 5_900 * MS)
    assert period.possible == (3_900 * MS, 7 * S + MS)
    assert period.cuts


def test_a_restart_by_the_nemesis_starts_what_ended_by_itself() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S)
    story.incident(4 * S, "ended", "n1", error="KeyError: 'x'")
    story.fault("restart", 6 * S, 6 * S + 10 * MS, nodes=["n1"])
    history = story.led("n1", 7 * S, 7 * S + MS, reign="b").history()
    assert incident_periods(history)[0].certain == (4 * S, 6 * S)
    assert down_for_good(history) == ()
    assert described(history) == ("n1 ended by itself (it raised KeyError: 'x') at 4.000 s",)


def test_an_end_that_the_nemesis_caused_is_no_incident() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S).incident(4 * S, "ended", "n1", status=137, by="nemesis")
    history = story.history()
    assert incident_periods(history) == [] and described(history) == ()


def test_a_leader_that_was_restarted_from_outside_lost_its_leadership_with_an_excuse() -> None:
    def changed() -> Story:
        story = led_by_n1(until=4 * S, confirmed_until=12 * S)
        for at in range(5 * S, 12 * S, 100 * MS):
            story.led("n2", at, at + MS, reign="b")
        return story

    assert stability.check(changed().history(), BOUNDS).outcome is Outcome.INVALID
    story = changed().incident(4_200 * MS, "ended", "n1", at=4_100 * MS, status=137, by="outside")
    story.incident(4_400 * MS, "started", "n1", by="outside")
    assert stability.check(story.history(), BOUNDS).outcome is Outcome.VALID


def test_a_process_that_ended_inside_its_container_takes_its_node_away_until_it_answers_again() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S).incident(5 * S, "replaced", "n1", at=4 * S, ports=[8000])
    history = story.led("n1", 7 * S, 7 * S + MS, reign="b").until(20 * S).history()
    (period,) = incident_periods(history)
    assert (period.possible, period.certain) == ((4 * S, 7 * S + MS), None)
    assert described(history) == ("the process of n1 that clients ask ended inside its container at 4.000 s",)
    silent = led_by_n1(until=4 * S, confirmed_until=4 * S).incident(5 * S, "replaced", "n1", at=4 * S).until(20 * S)
    (period,) = incident_periods(silent.history())
    assert period.possible[1] > 20 * S


def test_a_node_that_a_signal_stopped_is_told_apart_from_one_that_the_engine_paused() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=12 * S).incident(5 * S, "paused", "n2", by="outside")
    story.incident(6 * S, "paused", "n3", at=5 * S, by="outside", signal="SIGSTOP")
    assert described(story.history()) == (
        "n2 was paused from outside at 5.000 s",
        "the process of n3 that clients ask was stopped by a signal from outside at 5.000 s",
    )


@pytest.mark.parametrize(
    ("f", "over"), [("paused", "resumed"), ("throttled", None)], ids=["paused from outside", "rationed from outside"]
)
def test_nodes_that_were_disturbed_from_outside_owe_nothing_meanwhile(f: str, over: str | None) -> None:
    def story() -> Story:
        return led_by_n1(until=12 * S, confirmed_until=4 * S)

    assert stall.check(story().history(), BOUNDS).outcome is Outcome.INVALID
    disturbed = story()
    for node in NODES:
        if over is None:
            disturbed.incident(11 * S, f, node, at=4 * S, throttled_ms=6_900.0, by="outside")
        else:
            disturbed.incident(4 * S, f, node, by="outside").incident(11 * S, over, node, by="outside")
    assert stall.check(disturbed.history(), BOUNDS).outcome is Outcome.VALID


def test_a_run_with_a_node_that_ended_for_good_did_not_test_all_that_it_was_to_test() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=4 * S).fault("kill", 1 * S, 1 * S + MS, nodes=["n1"])
    story.fault("restart", 2 * S, 2 * S + MS, nodes=["n1"])
    assert "n1 ended" not in coverage.check(story.history(), BOUNDS).words
    verdict = coverage.check(story.incident(4 * S, "ended", "n1", status=3).history(), BOUNDS)
    assert verdict.outcome is Outcome.UNKNOWN
    assert "n1 ended and was not started again" in verdict.words


def test_incidents_are_told_once_for_each_node_and_kind() -> None:
    story = led_by_n1(until=4 * S, confirmed_until=12 * S)
    for at in (4 * S, 6 * S):
        story.incident(at, "ended", "n1", status=139, signal="SIGSEGV")
        story.incident(at + S, "started", "n1", by="restart policy")
    story.incident(8 * S, "throttled", "n2", at=7 * S, throttled_ms=900.0, by="outside")
    story.incident(9 * S, "throttled", "n2", at=8 * S, throttled_ms=600.0, by="outside")
    story.incident(9 * S, "ended", "n3", status=137, signal="SIGKILL", oom=True)
    assert described(story.history()) == (
        "n1 ended by itself (killed by SIGSEGV) at 4.000 s, and 1 more until 6.000 s",
        "n1 was started again by its restart policy at 5.000 s, and 1 more until 7.000 s",
        "n2 was rationed from outside from 7.000 s to 9.000 s: it waited 1.5 s for a processor",
        "n3 ended by itself (killed for want of memory) at 9.000 s and was not started again",
    )


def test_a_line_of_the_watcher_without_figures_is_taken_at_its_time() -> None:
    story = Story().saw("n1", 0, 1).until(10 * MS)
    story.lines.append((5 * MS, {"process": "watcher", "type": "info", "f": "ended", "node": "n1", "value": None}))
    (period,) = disturbances(story.history())
    assert period.certain == (5 * MS, 10 * MS)


def test_a_node_that_ended_by_itself_is_certainly_down() -> None:
    history = led_by_n1(until=4 * S, confirmed_until=4 * S).incident(4 * S, "ended", "n1", status=0).history()
    health = cluster_health(history, BOUNDS)
    assert health.down[-1].tolist() == [True, False, False]
    assert not health.fault_free[-1]
