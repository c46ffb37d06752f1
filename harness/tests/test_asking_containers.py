"""Every way of asking, on containers with the software that it is for, as the documentation shows it."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from splitbrain.nemesis.faults import Freeze, Kill, Pause
from splitbrain.nemesis.plans import Plan
from splitbrain.nodes.clients.base import (
    Add,
    Endpoint,
    Fail,
    Members,
    Ok,
    OperationFailed,
    OutcomeUnknown,
    Question,
    Reply,
)
from splitbrain.nodes.clients.probe import ProbeClient
from splitbrain.nodes.systems.probes import Probe
from splitbrain.runtimes.base import ClusterSpec
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.runtimes.docker.insides import ContainerInsides
from splitbrain.units import MS
from splitbrain.user_systems.description import described

pytestmark = pytest.mark.engine

DOCS: Final = Path(__file__).parents[2] / "docs"
TIMEOUT_NS: Final = 2_000 * MS
PATIENCE_S: Final = 60.0
T = TypeVar("T")


def section(title: str) -> str:
    """The first part of a description in that section of the page."""
    (text,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", (DOCS / "asking.md").read_text(), re.DOTALL | re.MULTILINE)
    return str(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])


@asynccontextmanager
async def running(description: str, folder: Path, tmp_path: Path) -> AsyncIterator[DockerCluster]:
    """A cluster of three nodes of a system with that description beside a folder of examples."""
    path = tmp_path / "described.toml"
    path.write_text(description.replace('folder = "', f'folder = "{folder}/'))
    spec = ClusterSpec(system=described(path), nodes=("n1", "n2", "n3"), servers=(), seed=1)
    cluster = DockerCluster(spec, secrets.token_hex(4), print)
    try:
        await cluster.set_up()
        yield cluster
    finally:
        await cluster.tear_down(tmp_path / "logs")


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """The first thing that ``look`` finds."""
    give_up = time.monotonic() + PATIENCE_S
    while (found := await look()) is None:
        assert time.monotonic() < give_up, "it did not happen"
        await asyncio.sleep(0.02)
    return found


async def claims(cluster: DockerCluster) -> dict[str, Mapping[str, Any]] | None:
    """What the nodes claim, if all answer."""
    replies = {node: await cluster.observe(node, TIMEOUT_NS) for node in cluster.nodes}
    return {node: each.value for node, each in replies.items() if isinstance(each, Ok)} if all_ok(replies) else None


def all_ok(replies: Mapping[str, Reply]) -> bool:
    return all(isinstance(each, Ok) for each in replies.values())


REDIS: Final = (DOCS / "examples/redis.toml").read_text()
OF_REDIS: Final = REDIS[: REDIS.index("[probe]")]


@pytest.mark.parametrize("title", ["Redis", "A command in the container", "Lines over TCP"])
def test_redis_is_asked_in_each_way_that_the_documentation_shows(title: str, tmp_path: Path) -> None:
    async def run() -> None:
        async with running(OF_REDIS + section(title), DOCS / "examples", tmp_path) as cluster:

            async def agreed() -> bool | None:
                said = await claims(cluster)
                return True if said and {each["leader"] for each in said.values()} == {"n1"} else None

            assert await until(agreed)
            await until(partial(answered, cluster, "n1"))
            costs = {node: cluster.rest_ns(node) for node in cluster.nodes}
            assert all(costs.values()) if "command" in title else not any(costs.values())

    asyncio.run(run())


def test_a_node_that_stands_still_gives_no_answer_to_a_command_and_one_that_goes_on_does(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(OF_REDIS + section("A command in the container"), DOCS / "examples", tmp_path) as cluster:
            for fault in (Pause(target="leader"), Freeze(target="leader")):
                plan = Plan(fault=fault, nodes=("n1",), fault_class="pause", shape="pause", words="n1 stands still")
                assert (await cluster.inflict(plan)).verified
                for _ in range(3):
                    assert not isinstance(await cluster.observe("n1", 200 * MS), Ok)
                assert (await cluster.undo(plan)).verified
                await until(partial(answered, cluster, "n1"))

            async def one_shell() -> bool | None:
                return True if await commands_in(cluster, "n1") == 1 else None

            assert await until(one_shell), "the shells of questions that were given up end"

    asyncio.run(run())


async def commands_in(cluster: DockerCluster, node: str) -> int:
    """How many shells run in the container of a node."""
    container = cluster._hosts[node].node
    shown = await asyncio.to_thread(container.top)
    return sum("IFS= read -r nonce" in " ".join(process) for process in shown["Processes"])


async def answered(cluster: DockerCluster, node: str) -> Reply | None:
    reply = await cluster.observe(node, TIMEOUT_NS)
    return reply if isinstance(reply, Ok) else None


async def confirmed(cluster: DockerCluster, node: str) -> Reply | None:
    reply = await cluster.confirm(node, TIMEOUT_NS)
    return reply if isinstance(reply, Ok) else None


def client(cluster: DockerCluster, probe: Probe) -> ProbeClient:
    """Another client of a cluster, with that probe."""
    endpoints = {name: Endpoint(host.address, host.ports) for name, host in cluster._hosts.items()}
    inside = ContainerInsides(cluster._client, cluster._hosts, cluster._agents, cluster._blocking)  # type: ignore[arg-type]
    return ProbeClient(endpoints, probe, (), inside)


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_a_database_is_asked_by_a_query_after_a_login(name: str, tmp_path: Path) -> None:
    if name == "mariadb":
        pytest.importorskip("pymysql")

    async def run() -> None:
        async with running((DOCS / f"examples/{name}.toml").read_text(), DOCS / "examples", tmp_path) as cluster:

            async def one_leads() -> bool | None:
                said = await claims(cluster)
                return True if said and [node for node, each in said.items() if each["leading"]] == ["n1"] else None

            assert await until(one_leads)

    asyncio.run(run())


ETCD: Final = (DOCS / "examples/etcd.toml").read_text()


def probe_of(title: str, tmp_path: Path) -> Probe:
    path = tmp_path / "probe.toml"
    path.write_text('image = "none"\n' + section(title))
    probe = described(path).probe
    assert probe is not None
    return probe


def test_etcd_is_asked_over_its_gateway_and_by_its_log_and_both_agree(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(ETCD, DOCS / "examples", tmp_path) as cluster:
            by_log = client(cluster, probe_of("A log", tmp_path))

            async def both_agree() -> tuple[str, Mapping[str, Any]] | None:
                """The one node that leads by both, with what its log tells; a busy machine may move the leadership."""
                said = await claims(cluster) or {}
                told = {node: await claimed(by_log, node) for node in cluster.nodes}
                led = [node for node, each in said.items() if each["leading"]]
                by_lines = [node for node, each in told.items() if each is not None and each["leading"]]
                return (led[0], told[led[0]] or {}) if len(led) == 1 and led == by_lines else None

            async def confirmed() -> bool | None:
                replies = [await cluster.confirm(node, TIMEOUT_NS) for node in cluster.nodes]
                return True if any(isinstance(each, Ok) for each in replies) else None

            try:
                assert await until(confirmed)
                leader, told = await until(both_agree)
                assert told["term"] >= 2 and told["reign"]
                plan = Plan(
                    fault=Kill(target="leader"), nodes=(leader,), fault_class="crash", shape="kill", words="it ends"
                )
                assert (await cluster.inflict(plan)).verified
                with pytest.raises((OperationFailed, OutcomeUnknown)):
                    await by_log.observe(leader)

                async def another_leads() -> str | None:
                    others = [node for node in cluster.nodes if node != leader]
                    each = {node: await claimed(by_log, node) for node in others}
                    return next((node for node, claim in each.items() if claim and claim["leading"]), None)

                assert await until(another_leads) != leader
                assert (await cluster.undo(plan)).verified
                back = await until(partial(claimed, by_log, leader))
                assert back["reign"] is None or back["reign"] != told["reign"], "its log began anew"
            finally:
                await by_log.close()

    asyncio.run(run())


async def claimed(asked: ProbeClient, node: str) -> Mapping[str, Any] | None:
    try:
        return await asked.observe(node)
    except (OperationFailed, OutcomeUnknown):
        return None


def test_a_set_of_redis_is_added_to_through_the_master_and_read_from_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(REDIS, DOCS / "examples", tmp_path) as cluster:

            async def ask(question: Question) -> Ok | None:
                reply = await cluster.ask(question, TIMEOUT_NS)
                return reply if isinstance(reply, Ok) else None

            for element in ("n1-1", "n1-2"):
                assert (await until(partial(ask, Add("n1", element)))).value == {"through": "n1"}
            assert isinstance(await cluster.ask(Add("n2", "n2-1"), TIMEOUT_NS), Fail), "a replica takes no writes"
            assert (await until(partial(ask, Members()))).value == {"members": ["n1-1", "n1-2"]}

    asyncio.run(run())
