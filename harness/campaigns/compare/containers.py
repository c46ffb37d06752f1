"""Message counts of elections on containers, read from the nodes' counters before and after the leader's death.

Real survivors do not notice the death at one instant as in simulation, and a node may ask twice. So the counts are
shown beside the formula and need not equal it.

Clients of ZooKeeper's recipes count their requests to the servers and the watches that fire. Requests that only look
up the leader and the pings of a session are left out.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pandas as pd

from splitbrain.campaigns.compare.measure import ACKNOWLEDGING, FORMULAS, RECIPES
from splitbrain.campaigns.compare.message_counts import HEARTBEATS
from splitbrain.core.experiment import Experiment, asked_for, cluster_of
from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.faults import Kill
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nemesis.targets import View
from splitbrain.nodes.clients.base import Ok
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.runtimes.docker.runtime import run
from splitbrain.units import MS
from splitbrain.user_systems.lookup import find_system

SIZES: Final = (3, 5, 7, 9)
ASK_NS: Final = 500 * MS
LOOK_AGAIN_NS: Final = 50 * MS
AGREED_NS: Final = 1_000 * MS  # without a change of leader the election is over
GIVE_UP_NS: Final = 30_000 * MS
NOTIFICATION: Final = "notification"
LEFT_OUT: Final = HEARTBEATS | {"look"}

Read = Callable[[DockerCluster, Sequence[str]], Awaitable[Counter[str]]]
"""Reads the counters of these nodes, summed by kind of message."""


def counted_on_containers(say: Callable[[str], None], sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """One row per election: system, nodes, messages, acks and kinds. Raises EnvironmentFailure."""
    return pd.DataFrame(list(_counted(say, sizes)))


def _counted(say: Callable[[str], None], sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    for system in FORMULAS:
        for nodes in sizes:
            sent = count(asked_for(find_system(system), ("none",), "docker", nodes, 1.0, 1), say)
            acks = sum(sent[kind] for kind in ACKNOWLEDGING)
            yield {
                "system": system,
                "nodes": nodes,
                "messages": sent.total() - acks,
                "acks": acks,
                "kinds": ", ".join(f"{kind} {number}" for kind, number in sorted(sent.items())),
            }


def recipes_on_containers(say: Callable[[str], None], sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """One row per change of leader with ZooKeeper's recipes: system, nodes, requests, notifications, messages, kinds.

    Raises EnvironmentFailure.
    """
    return pd.DataFrame(list(_changes(say, sizes)))


def _changes(say: Callable[[str], None], sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    for system in RECIPES:
        for nodes in sizes:
            counted = count(asked_for(find_system(system), ("none",), "docker", nodes, 1.0, 1), say, _sent_and_received)
            yield {
                "system": system,
                "nodes": nodes,
                "requests": counted.total() - counted[NOTIFICATION],
                "notifications": counted[NOTIFICATION],
                "messages": counted.total(),
                "kinds": ", ".join(f"{kind} {number}" for kind, number in sorted(counted.items())),
            }


async def _sent(cluster: DockerCluster, nodes: Sequence[str]) -> Counter[str]:
    total: Counter[str] = Counter()
    for node in nodes:
        total.update(await cluster.sent(node))
    return total


async def _sent_and_received(cluster: DockerCluster, nodes: Sequence[str]) -> Counter[str]:
    total = await _sent(cluster, nodes)
    for node in nodes:
        total.update(await cluster.received(node))
    return total


def count(experiment: Experiment, say: Callable[[str], None], read: Read = _sent) -> Counter[str]:
    """Messages by kind, without heartbeats, counted by the survivors from the leader's death to their agreement."""
    found: list[Counter[str]] = []

    async def measure(cluster: DockerCluster) -> None:
        leader = await _agreed(cluster, cluster.nodes)
        survivors = [node for node in cluster.nodes if node != leader]
        before = await read(cluster, survivors)
        killed = plan(Kill(target="leader"), View(nodes=tuple(cluster.nodes), leader=leader), Random(0))
        assert isinstance(killed, Plan)
        await cluster.inflict(killed)
        await _agreed(cluster, survivors)
        found.append(await read(cluster, survivors) - before)

    say(f"{experiment.system.name}, {experiment.nodes} nodes: an election on containers")
    with tempfile.TemporaryDirectory(prefix="splitbrain-count-") as logs:
        problems = run(cluster_of(experiment), measure, Path(logs), say).problems
    if problems:
        raise EnvironmentFailure("\n".join(problems))
    return Counter({kind: number for kind, number in found[0].items() if kind not in LEFT_OUT})


async def _agreed(cluster: DockerCluster, nodes: Sequence[str]) -> str:
    """The leader that all of these nodes have followed for ``AGREED_NS``."""
    alarm, give_up = cluster.alarm(), cluster.now() + GIVE_UP_NS
    leader, since = "", cluster.now()
    while (now := cluster.now()) < give_up:
        replies = [await cluster.observe(node, ASK_NS) for node in nodes]
        named = {str(reply.value["leader"]) if isinstance(reply, Ok) else "" for reply in replies}
        (one,) = named if len(named) == 1 else ("",)
        if one != leader or one not in nodes:
            leader, since = one, now
        elif now - since >= AGREED_NS:
            return leader
        await alarm.wait_until(now + LOOK_AGAIN_NS)
    raise EnvironmentFailure(f"the nodes {' '.join(nodes)} did not agree on a leader in {GIVE_UP_NS // 10**9} s")
