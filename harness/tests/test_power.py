"""Power loss on containers: it discards unflushed writes, and one that does not is detected."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest

from splitbrain.core.experiment import Experiment, cluster_of
from splitbrain.nemesis.faults import Durable, Kill
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import NoTarget, View
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.runtimes.docker.agent.messages import CheckMarker, DiskLoss, KillNode
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.workloads import Workload

pytestmark = pytest.mark.engine

EXPERIMENT = Experiment(
    system=SYSTEMS["raft"],
    nemesis=("torn",),
    runtime="docker",
    nodes=3,
    time_limit_s=1.0,
    seed=7,
    workload=Workload(),
)
WRITE = """
import os
for name in ("flushed", "not-flushed"):
    with open(f"/data/{name}", "w") as file:
        file.write("x" * 10_000)
        file.flush()
        if name == "flushed":
            os.fsync(file.fileno())
"""


def told(story: Callable[[DockerCluster], Coroutine[Any, Any, None]], logs: Path) -> None:
    """Run the story on a cluster with disks for power loss."""

    async def whole() -> None:
        cluster = DockerCluster(cluster_of(EXPERIMENT), secrets.token_hex(4), print, "loop")
        try:
            await cluster.set_up()
            await story(cluster)
        finally:
            await cluster.tear_down(logs)

    asyncio.run(whole())


def killed(state: Durable) -> Plan:
    made = plan(Kill(target="leader", state=state), View(nodes=EXPERIMENT.node_names, leader="n2"), Random(1))
    assert not isinstance(made, NoTarget)
    return made


def run_on(cluster: DockerCluster, *command: str) -> str:
    """The output of a command in the node's container."""
    status, output = cluster._hosts["n2"].node.exec_run(list(command))
    assert status == 0, output
    assert isinstance(output, bytes)
    return output.decode()


def test_a_power_loss_discards_unflushed_writes_and_a_kill_alone_none(tmp_path: Path) -> None:
    async def story(cluster: DockerCluster) -> None:
        states: tuple[Durable, ...] = ("kept", "torn")
        for state in states:
            run_on(cluster, "python3", "-c", WRITE)
            hurt = await cluster.inflict(killed(state))
            undone = await cluster.undo(killed(state))
            assert (hurt.verified, undone.verified) == (True, True), (hurt, undone)
            left = run_on(cluster, "ls", "/data").split()
            assert ("flushed" in left, "not-flushed" in left) == (True, state == "kept")
            if state == "kept":
                run_on(cluster, "rm", "/data/flushed", "/data/not-flushed")
            else:
                assert hurt.facts["files_changed_n2"] == 1 and hurt.facts["cut_ms_n2"] > 0

    told(story, tmp_path)


def test_a_power_loss_that_is_not_restored_is_detected(tmp_path: Path) -> None:
    async def story(cluster: DockerCluster) -> None:
        agent = cluster._agents["n2"]
        cut = await agent.ask(KillNode(disk=DiskLoss(folder="/data", left="torn", pattern=None), sockets=False))
        assert cut.disk is not None and cut.disk.problem is None
        assert not (await cluster._containers.revive("n2")).problems
        assert (await agent.ask(CheckMarker(folder="/data"))).problem == "an unflushed write is on its disk"
        hurt = await cluster.inflict(killed("torn"))
        undone = await cluster.undo(killed("torn"))
        assert (hurt.verified, undone.verified) == (True, True), (hurt, undone)

    told(story, tmp_path)
