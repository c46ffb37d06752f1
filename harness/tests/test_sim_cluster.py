"""Faults in simulation: their effect on hosts, their verification, and faults triggered by votes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest

from splitbrain.nemesis.faults import Delay, FailingFsync, Fault, Kill, Loss, Partition, Pause, Skew, Slow, SlowFsync
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import View
from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes import protocol
from splitbrain.nodes.protocol import Persist, Send
from splitbrain.nodes.systems.raft import RAFT_SYSTEM
from splitbrain.runtimes.base import Cluster, Effect
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.network import CALM, Later
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS

T = TypeVar("T")
NAMES = ("n1", "n2", "n3")


def running(instrument: Instrument | None = None, until_ms: int = 2_000) -> tuple[Simulation, SimCluster]:
    simulation = Simulation(5, NAMES, RAFT_SYSTEM.make_node, instrument=instrument)
    simulation.start()
    simulation.run_until(until_ms * MS)
    return simulation, SimCluster(simulation)


def tell(simulation: Simulation, story: Coroutine[Any, Any, T]) -> T:
    return simulation.kernel.run(story)


def planned(fault: Fault, subject: str = "n1") -> Plan:
    made = plan(fault, View(nodes=NAMES, leader="n1", subject=subject), Random(0))
    assert isinstance(made, Plan)
    return made


def leaders(simulation: Simulation) -> list[str]:
    statuses = {name: host.status() for name, host in simulation.hosts.items()}
    return [name for name, status in statuses.items() if status is not None and status.leading]


def struck(fault: Fault) -> tuple[Simulation, SimCluster, Effect]:
    simulation, cluster = running()
    return simulation, cluster, tell(simulation, cluster.inflict(planned(fault)))


def test_clocks_are_skewed_and_a_wall_clock_is_right_again_when_healed() -> None:
    simulation, cluster, hurt = struck(Skew(target="leader", offset_ms=-700, rate_ppm=1_000_000))
    host = simulation.hosts["n1"]
    simulation.run_until(simulation.now + 1_000 * MS)
    ahead = host.wall.read(simulation.now) - host.epoch - simulation.now
    assert hurt.verified and 300 * MS < ahead < 320 * MS  # -700 ms, and a second gained in a second
    assert tell(simulation, cluster.heal()).verified
    assert host.wall.read(simulation.now) - host.epoch == simulation.now


def test_a_monotonic_clock_stays_ahead_when_healed() -> None:
    simulation, cluster, hurt = struck(Skew(target="leader", clock="monotonic", offset_ms=40, rate_ppm=500_000))
    host, other = simulation.hosts["n1"], simulation.hosts["n2"]
    assert hurt.verified and host.monotonic.ppm == 500_000 and other.monotonic.ppm == 0
    before = host.now()
    assert tell(simulation, cluster.heal()).verified
    assert host.now() > before and host.monotonic.ppm == 0


def test_links_are_as_they_were_when_every_plan_is_undone() -> None:
    simulation, cluster = running()
    link = simulation.network.links["n1"]["n2"]
    late, lossy = planned(Delay(ms=5, jitter_ms=2)), planned(Loss(percent=50))
    for act in (cluster.inflict(late), cluster.inflict(lossy), cluster.undo(late)):
        assert tell(simulation, act).verified
    assert (link.conditions.delay, link.conditions.loss) == (CALM.delay, 0.5)
    assert tell(simulation, cluster.undo(lossy)).verified
    assert link.conditions == CALM
    assert tell(simulation, cluster.inflict(late)).verified
    assert isinstance(link.conditions.delay, Later)


def test_a_throttled_node_is_fast_again_when_healed() -> None:
    simulation, cluster, hurt = struck(Slow(target="leader", ms=3))
    assert hurt.verified and simulation.hosts["n1"].work is not None
    assert tell(simulation, cluster.heal()).verified and simulation.hosts["n1"].work is None


@pytest.mark.parametrize(("ms", "elected"), [(0, True), (700, False)])
def test_votes_take_as_long_as_the_disk_does(ms: int, elected: bool) -> None:
    simulation, cluster, hurt = struck(SlowFsync(target="all", ms=ms))
    assert hurt.verified
    (leader,) = leaders(simulation)
    tell(simulation, cluster.inflict(planned(Kill(target="subject"), leader)))
    simulation.run_until(simulation.now + 1_000 * MS)
    assert bool(leaders(simulation)) == elected
    assert tell(simulation, cluster.heal()).verified
    assert all(host.disk.extra_ns == 0 for host in simulation.hosts.values())


def test_a_node_dies_of_a_failed_flush_with_its_earlier_vote_and_restarts_when_healed() -> None:
    simulation, cluster, hurt = struck(FailingFsync(target="follower"))
    (node,) = planned(FailingFsync(target="follower")).nodes
    host = simulation.hosts[node]
    durable = host.disk.content
    assert hurt.verified and host.up
    tell(simulation, cluster.inflict(planned(Kill(target="subject"), *leaders(simulation))))
    simulation.run_until(simulation.now + 3_000 * MS)
    assert not host.up and host.disk.content == durable
    assert tell(simulation, cluster.heal()).verified
    assert host.up and not host.disk.fails


def test_a_node_that_is_started_while_it_should_be_paused_is_paused() -> None:
    simulation, cluster = running()
    host, kill, pause = simulation.hosts["n1"], planned(Kill(target="leader")), planned(Pause(target="leader"))
    for act in (cluster.inflict(kill), cluster.inflict(pause), cluster.undo(kill)):
        assert tell(simulation, act).verified
    assert host.up and host.paused
    assert tell(simulation, cluster.undo(pause)).verified
    assert host.up and not host.paused


@pytest.mark.parametrize(
    ("fault", "sabotage", "problem"),
    [
        (Kill(target="leader"), lambda host: setattr(host, "kill", lambda state: None), "n1 should be down and is not"),
        (Pause(target="leader"), lambda host: setattr(host, "pause", lambda: None), "n1 should be paused and does not"),
        (Slow(target="leader", ms=1), lambda host: setattr(host, "slow_down", lambda work: None), "n1 should be slow"),
        (
            SlowFsync(target="leader", ms=1),
            lambda host: setattr(host.disk, "set_flushes", lambda extra_ns, fails: None),
            "the disk of n1 should flush badly and does not",
        ),
        (
            Skew(target="leader", offset_ms=1),
            lambda host: setattr(host, "set_clock", lambda which, **how: None),
            "the wall clock of n1 should be off by 1 ms and is by 0.000",
        ),
        (
            Skew(target="leader", clock="monotonic", rate_ppm=9),
            lambda host: setattr(host, "set_clock", lambda which, **how: None),
            "the monotonic clock of n1 should gain 9 ppm and gains 0",
        ),
    ],
)
def test_a_fault_that_was_not_carried_out_is_not_verified(
    fault: Fault, sabotage: Callable[[Host], None], problem: str
) -> None:
    simulation, cluster = running()
    sabotage(simulation.hosts["n1"])
    hurt = tell(simulation, cluster.inflict(planned(fault)))
    assert not hurt.verified
    assert hurt.problems[0].startswith(problem)


def test_a_node_that_has_nothing_to_do_does_not_die_of_its_effects() -> None:
    simulation, cluster = running()
    tell(simulation, cluster.inflict(planned(Pause(target="leader"))))
    kill = planned(Kill(target="leader", after_effects=0))
    assert not tell(simulation, cluster.inflict(kill)).verified
    tell(simulation, cluster.heal())
    simulation.run_until(simulation.now + 500 * MS)
    assert simulation.hosts["n1"].up  # the fuse is out


def test_two_equal_plans_are_two() -> None:
    simulation, cluster = running()
    kill = planned(Kill(target="leader"))
    for act in (cluster.inflict(kill), cluster.inflict(kill), cluster.undo(kill)):
        assert tell(simulation, act).verified
    assert not simulation.hosts["n1"].up
    assert tell(simulation, cluster.undo(kill)).verified and simulation.hosts["n1"].up


# Events inside nodes


class Batches(Instrument):
    """The effects that every node has carried out since its last boot."""

    def __init__(self) -> None:
        self.did: dict[str, list[protocol.Effect]] = {name: [] for name in NAMES}

    def intends(self, host: Host, effects: object) -> bool:
        self.did[host.name] = []
        return False

    def effect(self, host: Host, effect: protocol.Effect) -> None:
        self.did[host.name].append(effect)


def killed_at_a_vote(after_effects: int) -> tuple[list[type], bytes | None, bytes | None]:
    """The effects carried out of the batch with the voter's vote, and its disk before and after."""
    batches = Batches()
    simulation, cluster = running(batches, until_ms=11)
    kill: list[tuple[str, bytes | None]] = []

    async def story(cluster: Cluster) -> None:
        node = await cluster.happens(Trigger(event="vote-granted"), cluster.now() + 2_000 * MS)
        assert node is not None
        kill.append((node, simulation.hosts[node].disk.content))
        effect = await cluster.inflict(planned(Kill(target="subject", state="torn", after_effects=after_effects), node))
        assert effect.verified

    tell(simulation, story(cluster))
    ((node, before),) = kill
    return [type(effect) for effect in batches.did[node]][:after_effects], before, simulation.hosts[node].disk.content


def test_a_voter_killed_before_its_first_effect_has_neither_stored_nor_sent_its_vote() -> None:
    did, before, after = killed_at_a_vote(0)
    assert did == []
    assert before == after


def test_a_voter_killed_after_its_write_has_stored_the_vote_that_it_never_sent() -> None:
    did, before, after = killed_at_a_vote(2)
    assert Persist in did and Send not in did
    assert before != after


def test_waiting_for_an_event_does_not_change_the_run() -> None:
    def leaders(wait: bool) -> list[tuple[str, ...]]:
        simulation, cluster = running(until_ms=11)

        async def story(cluster: Cluster) -> None:
            if wait:
                assert await cluster.happens(Trigger(event="campaign", count=99), 3_000 * MS) is None
            else:
                await cluster.alarm().wait_until(3_000 * MS)

        tell(simulation, story(cluster))
        seen = []
        for ms in range(3_001, 4_000, 100):
            simulation.run_until(ms * MS)
            seen.append(simulation.leaders())
        return seen

    assert leaders(True) == leaders(False)


def test_a_campaign_is_an_event_of_the_candidate() -> None:
    simulation, cluster = running()
    (leader,) = simulation.leaders()

    async def story(cluster: Cluster) -> str | None:
        cut = plan(Partition(shape="isolated-leader"), View(nodes=NAMES, leader=leader), Random(0))
        assert isinstance(cut, Plan)
        await cluster.inflict(cut)
        return await cluster.happens(Trigger(event="campaign"), cluster.now() + 2_000 * MS)

    found = tell(simulation, story(cluster))
    assert found in set(NAMES) - {leader}
