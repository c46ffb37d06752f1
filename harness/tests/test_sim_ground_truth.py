"""True reigns and overlaps of a simulation, and the accuracy of the exclusivity checker against them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from splitbrain.bench import exactness
from splitbrain.bench.exactness import experiment, measure, observed
from splitbrain.invariants.accuracy import RunWithTruth, compare, total
from splitbrain.nemesis.nemeses import build
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.sim.ground_truth import GroundTruth, Overlap, TrueReign, overlaps
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS

pytestmark = pytest.mark.simulation

NAMES = ["n1", "n2", "n3"]


def led(system: str, seed: int = 1) -> tuple[Simulation, GroundTruth, str]:
    """A simulation of three nodes after two seconds, its ground truth, and its leader."""
    truth = GroundTruth()
    sim = Simulation(seed, NAMES, SYSTEMS[system].make_node, instrument=truth)
    sim.start()
    sim.run_until(2_000 * MS)
    (leader,) = sim.leaders()
    return sim, truth, leader


def reign(node: str, began: int, ended: int) -> TrueReign:
    return TrueReign(node, f"{node}-1", None, began, ended)


def test_a_reign_begins_with_the_win_and_lasts_until_now() -> None:
    sim, truth, leader = led("raft")
    (found,) = truth.reigns(sim.now)
    assert (found.node, found.term, found.ended) == (leader, 1, sim.now)
    assert 150 * MS < found.began < 1_000 * MS


def test_a_reign_ends_when_its_node_dies() -> None:
    sim, truth, leader = led("raft")
    sim.hosts[leader].kill()
    died = sim.now
    sim.run_until(4_000 * MS)
    first, *others = truth.reigns(sim.now)
    assert (first.node, first.ended) == (leader, died)
    assert [each.node for each in others] == list(sim.leaders())


def test_the_expiry_of_a_lease_is_exact_to_the_nanosecond() -> None:
    sim, truth, leader = led("raft-lease")
    host = sim.hosts[leader]
    sim.network.cut_into(leader, NAMES)
    sim.run_until(4_000 * MS)
    ended = truth.reigns(sim.now)[0].ended
    host.kill()
    again, _, _ = led("raft-lease")
    again.network.cut_into(leader, NAMES)
    for instant, leads in ((ended - 1, True), (ended, False)):
        again.run_until(instant)
        status = again.hosts[leader].status()
        assert status is not None
        assert status.leading is leads


def test_a_clock_that_jumps_ends_a_lease_at_the_jump() -> None:
    sim, truth, leader = led("raft-lease")
    at = sim.now
    sim.hosts[leader].set_clock("monotonic", jump=10_000 * MS)
    sim.run_until(at + 1_000 * MS)
    assert truth.reigns(sim.now)[0].ended == at


def test_an_overlap_is_the_common_period_of_two_reigns_of_different_nodes() -> None:
    reigns = [reign("n1", 0, 10), reign("n2", 10, 30), reign("n3", 20, 25), reign("n2", 30, 40)]
    assert overlaps(reigns) == (Overlap(reigns[1], reigns[2], 20, 25),)


def test_an_isolated_leader_without_a_lease_overlaps_with_the_next_one() -> None:
    sim, truth, leader = led("raft-basic")
    sim.network.cut_into(leader, NAMES)
    for other in NAMES:
        if other != leader:
            sim.network.cut_into(other, [leader])
    sim.run_until(4_000 * MS)
    (found,) = overlaps(truth.reigns(sim.now))
    assert {found.first.node, found.second.node} == set(sim.leaders())
    assert found.ended - found.began > 1_000 * MS


# Overlaps proven by the checker


def run(system: str, nemesis: str, seed: int, period_ms: int = 50, seconds: float = 20.0) -> RunWithTruth:
    schedule = build((nemesis,), Random(f"{seed}/schedule"), 5, round(seconds * 1000))
    return observed(experiment(system, nemesis, seed, seconds, period_ms), schedule)


@pytest.mark.parametrize("system", ["raft-basic", "raft", "raft-lease"])
def test_no_false_overlap_is_proven(system: str) -> None:
    found = total(measure(system, nemesis, 50, range(6), 20.0) for nemesis in ("isolated-leader", "partition"))
    assert found.false == 0
    assert bool(found.true) is (system != "raft-lease")


def test_only_short_overlaps_are_missed() -> None:
    found = measure("raft-basic", "partition", 50, range(6), 20.0)
    assert found.proven
    assert all(length < 100 * MS for length in found.missed)


def test_an_overlap_that_the_ground_truth_lacks_counts_as_false() -> None:
    """Checks the comparison itself: the same history against another ground truth."""
    recorded = run("raft-basic", "isolated-leader", 1)
    assert compare(recorded).false == 0
    assert compare(recorded).proven
    assert compare(replace(recorded, reigns=())).false > 0
    shifted = tuple(replace(each, began=each.began - 10**12, ended=each.ended - 10**12) for each in recorded.reigns)
    assert compare(replace(recorded, reigns=shifted)).false > 0


def test_the_table_has_a_row_for_each_case_and_period(capsys: pytest.CaptureFixture[str]) -> None:
    assert exactness.main(["--seeds", "1", "--seconds", "12"]) == 0
    title, heads, *rows = capsys.readouterr().out.splitlines()
    assert len(rows) == len(exactness.CASES) * len(exactness.PERIODS_MS)
    assert heads.split()[:5] == ["system", "nemesis", "period", "true", "proven"]
    assert "1 runs of 12 s" in title
