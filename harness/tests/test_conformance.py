"""One contract for both runtimes: the same stories run on a cluster of containers and on a simulated one.

Each story is a coroutine over a ``Cluster``. Findings in simulation are meaningful only as long as both runtimes
keep the same contract: a cut cuts, a heal heals, observers are never cut off, confirmations need a quorum, and a run
leaves a history that is judged alike.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Protocol, TypeVar

import pytest

from splitbrain.checkers.history import History
from splitbrain.core.experiment import Experiment, cluster_of
from splitbrain.core.judging import judge_run
from splitbrain.core.lifecycle import run_phases
from splitbrain.core.recorder import HistoryFile, Recorder
from splitbrain.errors import UsageError
from splitbrain.nemesis.faults import (
    Bandwidth,
    Corrupt,
    Crash,
    Delay,
    Duplicate,
    FailingFsync,
    Fault,
    Freeze,
    Kill,
    Loss,
    Oom,
    Partition,
    Pause,
    Reorder,
    Skew,
    Slow,
    SlowFsync,
    Stop,
    Throttle,
)
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.shapes import SHAPES
from splitbrain.nemesis.targets import NoTarget, View
from splitbrain.nodes.clients.base import Fail, Ok, Unknown
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.base import Cluster
from splitbrain.runtimes.capabilities import CAPABILITIES, refuse_unsupported, unsupported
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.runtime import make
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS
from splitbrain.units import MS
from splitbrain.workloads import Workload

T = TypeVar("T")
TIMEOUT_NS = 500 * MS
PATIENCE_NS = 60_000 * MS
EXPERIMENT = Experiment(
    system=SYSTEMS["raft-basic"],  # its leaders do not step down when cut off, so a cut is always seen to matter
    nemesis=("isolated-leader",),
    runtime="sim",
    nodes=5,
    time_limit_s=4.0,
    seed=11,
    workload=Workload(observe_period_ms=20, confirm_period_ms=50, canary_period_ms=None),
)


FAULTS: tuple[Fault, ...] = (
    Kill(target="leader"),
    Kill(target="minority", state="lost"),
    Kill(target="minority", state="old"),
    Kill(target="minority", state="lost", files="state.*"),
    Crash(target="follower", state="old"),
    Kill(target="follower", state="torn"),
    Crash(target="minority", state="torn"),
    Kill(target="leader", state="torn", after_effects=2),
    Pause(target="leader"),
    Pause(target="leader", process="python*"),
    Loss(percent=30),
    Delay(ms=20, jitter_ms=10, target="leader"),
    Duplicate(percent=50),
    Skew(target="minority", offset_ms=-60_000),
    Skew(target="leader", rate_ppm=50_000),
    Skew(target="leader", clock="monotonic", offset_ms=20, rate_ppm=50_000),
    Slow(target="follower", ms=1),
    SlowFsync(target="minority", ms=100),
    FailingFsync(target="leader"),
    Crash(target="leader"),
    Crash(target="minority", state="lost"),
    Stop(target="follower"),
    Oom(target="follower"),
    Freeze(target="leader"),
    Throttle(target="follower", per_mille=970),
    Partition(shape="isolated-leader", how="reject"),
    Partition(shape="leader-deaf", how="payload"),
    Loss(percent=40, target="leader", way="out"),
    Loss(percent=30, burst=5, target="leader"),
    Reorder(percent=40, ms=100, target="follower"),
    Corrupt(percent=30, target="leader"),
    Bandwidth(ms_per_kb=200, target="leader"),
    Bandwidth(ms_per_kb=1_000),
)


class World(Protocol):
    """A running cluster of five nodes, and the means to run a story on it."""

    name: str

    def tell(self, story: Callable[[Cluster], Coroutine[Any, Any, T]]) -> T: ...


class Simulated:
    """Virtual time."""

    name = "sim"

    def __init__(self) -> None:
        self._simulation = make(cluster_of(EXPERIMENT))
        self._simulation.start()
        self._simulation.run_until(START_WITHIN_NS)
        self._cluster = SimCluster(self._simulation)

    def tell(self, story: Callable[[Cluster], Coroutine[Any, Any, T]]) -> T:
        return self._simulation.kernel.run(story(self._cluster))


class Contained:
    """Containers, on a separate event loop."""

    name = "docker"

    def __init__(self) -> None:
        from splitbrain.runtimes.docker.cluster import DockerCluster

        self._loop = asyncio.new_event_loop()
        self._cluster = DockerCluster(cluster_of(EXPERIMENT), secrets.token_hex(4), print, "loop")

    def set_up(self) -> None:
        self._loop.run_until_complete(self._cluster.set_up())

    def tear_down(self, logs: Path) -> None:
        self._loop.run_until_complete(self._cluster.tear_down(logs))
        self._loop.close()

    def tell(self, story: Callable[[Cluster], Coroutine[Any, Any, T]]) -> T:
        return self._loop.run_until_complete(story(self._cluster))


@pytest.fixture(scope="module", params=["sim", pytest.param("docker", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if request.param == "sim":
        yield Simulated()
        return
    contained = Contained()
    try:
        contained.set_up()
        yield contained
    finally:
        contained.tear_down(tmp_path_factory.mktemp("logs"))


# Building blocks of stories


async def wait(cluster: Cluster, ns: int) -> None:
    await cluster.alarm().wait_until(cluster.now() + ns)


async def claim(cluster: Cluster, node: str) -> Any:
    """The claim of a node that is up; on a busy machine its first answers may be late."""
    give_up = cluster.now() + PATIENCE_NS
    while not isinstance(reply := await cluster.observe(node, TIMEOUT_NS), Ok):
        assert cluster.now() < give_up, (node, reply)
    return reply.value


async def claims(cluster: Cluster) -> dict[str, Any]:
    """The claims of all nodes."""
    return {node: await claim(cluster, node) for node in cluster.nodes}


async def agreed_leader(cluster: Cluster) -> str:
    """The leader, once all nodes follow one in one term."""
    give_up = cluster.now() + PATIENCE_NS
    while cluster.now() < give_up:
        found = await claims(cluster)
        leaders = [node for node, claim in found.items() if claim["leading"]]
        if len(leaders) == 1 and len({(claim["leader"], claim["term"]) for claim in found.values()}) == 1:
            return leaders[0]
        await wait(cluster, 20 * MS)
    raise AssertionError(f"no agreement: {await claims(cluster)}")


async def another_leader(cluster: Cluster, old: str) -> None:
    """Wait until another node leads than the one that no longer can."""
    give_up = cluster.now() + PATIENCE_NS
    while cluster.now() < give_up:
        replies = [await cluster.observe(node, TIMEOUT_NS) for node in cluster.nodes if node != old]
        if any(isinstance(reply, Ok) and reply.value["leading"] for reply in replies):
            return
        await wait(cluster, 20 * MS)
    raise AssertionError(f"no leader beside {old}")


async def confirmed_leader(cluster: Cluster) -> str:
    """The agreed leader, once a quorum has confirmed it."""
    give_up = cluster.now() + PATIENCE_NS
    while not isinstance(reply := await cluster.confirm(leader := await agreed_leader(cluster), TIMEOUT_NS), Ok):
        assert cluster.now() < give_up, (leader, reply)
    return leader


async def agreed_term(cluster: Cluster) -> int:
    leader = await agreed_leader(cluster)
    return int((await claims(cluster))[leader]["term"])


async def planned(cluster: Cluster, fault: str | Fault) -> Plan:
    """The fault, or the partition of that shape, aimed at the cluster as it is."""
    view = View(nodes=tuple(cluster.nodes), leader=await agreed_leader(cluster))
    made = plan(Partition(shape=fault) if isinstance(fault, str) else fault, view, Random(str(fault)))
    assert not isinstance(made, NoTarget)
    return made


# The contract


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_takes_effect_on_real_packets_and_is_undone(world: World, shape: str) -> None:
    async def story(cluster: Cluster) -> None:
        cut = await planned(cluster, shape)
        hurt = await cluster.inflict(cut)
        healed = await cluster.heal()
        assert (hurt.verified, hurt.problems) == (True, ())
        assert (healed.verified, healed.problems) == (True, ())
        assert 0 < hurt.in_effect_ns < (1_000 * MS if world.name == "sim" else PATIENCE_NS)

    world.tell(story)


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_every_fault_takes_effect_and_is_undone_or_is_refused_before_a_run(world: World, fault: Fault) -> None:
    async def story(cluster: Cluster) -> None:
        hurting = await planned(cluster, fault)
        await cluster.keep_disks()
        hurt = await cluster.inflict(hurting)
        undone = await cluster.undo(hurting)
        healed = await cluster.heal()
        assert (hurt.verified, undone.verified, healed.verified) == (True, True, True), (hurt, undone, healed)
        await agreed_leader(cluster)

    schedule = Schedule(steps=(Step(at_ms=0, for_ms=1, fault=fault),), length_ms=2)
    powers = CAPABILITIES[world.name]
    if unsupported(schedule, replace(powers, faults=powers.faults | powers.privileged)):
        with pytest.raises(UsageError, match=f"the runtime {world.name} cannot do all of this schedule"):
            refuse_unsupported(schedule, world.name, privileged=True)
    else:
        world.tell(story)


def test_a_killed_node_does_not_answer_and_comes_back_under_a_new_leader(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        before = await agreed_term(cluster)
        kill = await planned(cluster, Kill(target="leader"))
        (dead,) = kill.nodes
        assert (await cluster.inflict(kill)).verified
        assert not isinstance(await cluster.observe(dead, TIMEOUT_NS), Ok)  # the engine's port may accept, and hang up
        await another_leader(cluster, dead)
        assert (await cluster.undo(kill)).verified
        assert await agreed_term(cluster) > before

    world.tell(story)


def test_a_node_whose_disk_is_rolled_back_has_lost_the_state_after_the_copy(world: World) -> None:
    """Disks are copied in a first term; all nodes are killed in a later one, which the restored disks lack."""

    async def story(cluster: Cluster) -> None:
        kept = await agreed_term(cluster)
        await cluster.keep_disks()
        for _ in range(4):  # one more election could restore the forgotten term
            kill = await planned(cluster, Kill(target="leader"))
            await cluster.inflict(kill)
            await another_leader(cluster, kill.nodes[0])
            await cluster.undo(kill)
        late = await agreed_term(cluster)
        assert late >= kept + 4
        assert await term_after(cluster, "kept") > late
        give_up = cluster.now() + PATIENCE_NS  # on a busy machine it may take more elections to agree
        while (term := await term_after(cluster, "old")) >= late:
            assert cluster.now() < give_up, (kept, late, term)

    async def term_after(cluster: Cluster, state: Any) -> int:
        """The term that all agree on once all were killed and are up again."""
        everybody = await planned(cluster, Kill(target="all", state=state))
        assert (await cluster.inflict(everybody)).verified
        assert (await cluster.undo(everybody)).verified
        return await agreed_term(cluster)

    world.tell(story)


def test_nodes_that_flush_their_promises_keep_them_across_a_power_loss(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        before = await agreed_term(cluster)
        everybody = await planned(cluster, Kill(target="all", state="torn"))
        assert (await cluster.inflict(everybody)).verified
        assert (await cluster.undo(everybody)).verified
        assert await agreed_term(cluster) > before, "nobody voted once more in a term in which it had"

    world.tell(story)


def test_files_that_a_node_does_not_have_cannot_be_lost(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        kill = await planned(cluster, Kill(target="follower", state="lost", files="vote*"))
        hurt = await cluster.inflict(kill)
        await cluster.undo(kill)
        assert not hurt.verified
        assert "path like vote*" in hurt.problems[0]
        await agreed_leader(cluster)

    world.tell(story)


def test_a_paused_node_does_not_answer_until_it_is_resumed(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        pause = await planned(cluster, Pause(target="follower"))
        (paused,) = pause.nodes
        assert (await cluster.inflict(pause)).verified
        assert isinstance(await cluster.observe(paused, 100 * MS), Unknown)
        assert (await cluster.undo(pause)).verified
        await claim(cluster, paused)
        await agreed_leader(cluster)

    world.tell(story)


def test_undoing_one_plan_keeps_the_effects_of_another(world: World) -> None:
    """Isolated, then also dead, then only dead, then healthy."""

    async def story(cluster: Cluster) -> None:
        cut = await planned(cluster, "isolated-leader")
        view = View(nodes=tuple(cluster.nodes), leader=cut.nodes[0])
        kill, everybody = (plan(Kill(target=target), view, Random(1)) for target in ("leader", "all"))
        assert isinstance(kill, Plan) and isinstance(everybody, Plan)
        for act in (
            cluster.inflict(cut),
            cluster.inflict(kill),
            cluster.inflict(everybody),
            cluster.undo(everybody),
            cluster.undo(cut),
        ):
            assert (await act).verified
        (dead,) = kill.nodes
        for node in cluster.nodes:
            if node != dead:
                await claim(cluster, node)
        assert not isinstance(await cluster.observe(dead, TIMEOUT_NS), Ok)
        assert (await cluster.undo(kill)).verified
        await agreed_leader(cluster)

    world.tell(story)


def test_plans_are_injected_and_undone_concurrently(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        plans = [await planned(cluster, fault) for fault in ("isolated-leader", "bridge", Pause(target="follower"))]
        seen: list[bool] = []

        async def hurt(each: Plan) -> None:
            for act in (cluster.inflict, cluster.undo, cluster.inflict, cluster.undo):
                seen.append((await act(each)).verified)

        await cluster.run_all(hurt(plans[0]), [hurt(each) for each in plans[1:]])
        assert seen == [True] * 12
        assert (await cluster.heal()).verified
        await agreed_leader(cluster)

    world.tell(story)


def test_cuts_add_up_and_healing_twice_is_healing_once(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        for shape in ("isolated-leader", "follower-deaf", "isolated-leader"):
            assert (await cluster.inflict(await planned_around(cluster, shape))).verified
        for _ in range(2):
            assert (await cluster.heal()).verified
        await agreed_leader(cluster)

    async def planned_around(cluster: Cluster, shape: str) -> Plan:
        """Aimed at a fixed node, since during cuts there may be no agreed leader."""
        made = plan(Partition(shape=shape), View(nodes=tuple(cluster.nodes), leader=cluster.nodes[0]), Random(shape))
        assert not isinstance(made, NoTarget)
        return made

    world.tell(story)


def test_observers_are_never_cut_off(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        cut = await planned(cluster, "isolated-leader")
        await cluster.inflict(cut)
        try:
            assert sorted(await claims(cluster)) == sorted(cluster.nodes)
        finally:
            await cluster.heal()

    world.tell(story)


def test_an_isolated_leader_claims_to_lead_and_cannot_confirm_it(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        await confirmed_leader(cluster)
        cut = await planned(cluster, "isolated-leader")
        (leader,) = cut.nodes
        await cluster.inflict(cut)
        try:
            assert (await claim(cluster, leader))["leading"]
            assert not isinstance(await cluster.confirm(leader, TIMEOUT_NS), Ok)
        finally:
            await cluster.heal()

    world.tell(story)


def test_a_confirmation_without_a_quorum_is_unknown_and_one_by_a_follower_fails(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        cut = await planned(cluster, "isolated-leader")
        (leader,) = cut.nodes
        await cluster.inflict(cut)
        began = cluster.now()
        try:
            unanswered = await cluster.confirm(leader, TIMEOUT_NS)
            spent = cluster.now() - began
        finally:
            await cluster.heal()
        assert isinstance(unanswered, Unknown)
        assert TIMEOUT_NS <= spent < (2 * TIMEOUT_NS if world.name == "sim" else PATIENCE_NS)
        new = await agreed_leader(cluster)
        follower = next(node for node in cluster.nodes if node != new)
        assert isinstance(await cluster.confirm(follower, PATIENCE_NS), Fail)

    world.tell(story)


def test_a_healed_cluster_agrees_again(world: World) -> None:
    async def story(cluster: Cluster) -> None:
        before = await agreed_term(cluster)
        cut = await planned(cluster, "isolated-leader")
        await cluster.inflict(cut)
        await another_leader(cluster, cut.nodes[0])
        await cluster.heal()
        assert await agreed_term(cluster) > before

    world.tell(story)


def test_jobs_run_together_and_an_error_in_one_ends_the_others(world: World) -> None:
    ended: list[str] = []

    async def story(cluster: Cluster) -> None:
        async def long() -> None:
            try:
                await wait(cluster, 3_600_000 * MS)
            finally:
                ended.append("long")

        async def broken() -> None:
            await wait(cluster, 1 * MS)
            raise ValueError("broken")

        await cluster.run_all(broken(), [long(), long()])

    with pytest.raises(ValueError, match="broken"):
        world.tell(story)
    assert ended == ["long", "long"]


def recorded(world: World, experiment: Experiment, schedule: Schedule, path: Path) -> History:
    recorder = Recorder(HistoryFile(path))
    world.tell(lambda cluster: run_phases(cluster, experiment, schedule, recorder))
    recorder.close()
    return History.read(path)


def test_the_same_schedule_gives_the_same_judgement_in_both_runtimes(world: World, tmp_path: Path) -> None:
    """On containers a run that leaves doubt is made again: a busy machine may keep its observers waiting."""
    schedule = Schedule(
        steps=(Step(at_ms=500, for_ms=4_000, fault=Partition(shape="isolated-leader")),), length_ms=5_500
    )
    experiment = replace(EXPERIMENT, workload=replace(EXPERIMENT.workload, kind="ledger-unfenced"))
    for attempt in range(1 if world.name == "sim" else 3):
        history = recorded(world, experiment, schedule, tmp_path / f"history{attempt}.jsonl")
        judged = judge_run(history, experiment).judgement
        if judged.outcome.word != "unknown":
            break
    found = {each.found.property: (each.found.outcome.word, each.found.kind) for each in judged.properties}
    assert judged.outcome.word == "valid", [each.words for each in judged.properties]
    assert found["exclusivity"] == ("invalid", "proven")
    assert found["fencing"] == ("invalid", None)
    assert judged["fencing"].found.facts["stale_accepted"] > 0
    assert found["term-safety"] == found["agreement"] == found["term-monotonicity"] == ("valid", None)
    faults = [fault for fault in history.faults if fault.f == "partition"]
    assert [(fault.fault_class, fault.verified) for fault in faults] == [("leader-isolated", True)]
    asked = 5 * 100 if world.name == "sim" else 5 * 20  # a busy machine asks more seldom
    assert len(history.observations) > asked
    assert history.operations("confirm").ok.sum() > asked / 50
