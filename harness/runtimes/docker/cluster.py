"""A cluster of containers, as the workload and the nemesis see it, and how it is set up and torn down.

Everything that asks the engine blocks, and runs on worker threads; the event loop belongs to the clients, the
nemesis and the agents, so that a slow engine delays no observer and no heal.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import docker

from harness.errors import EnvironmentFailure
from harness.experiment import Experiment
from harness.runtimes.base import Effect, Job, Ok, Reply
from harness.runtimes.docker import hosts as machines
from harness.runtimes.docker.channel import AgentChannel
from harness.runtimes.docker.engine import connect, remove_runs, translated, versions
from harness.runtimes.docker.hands import Hands
from harness.runtimes.docker.hosts import Host
from harness.runtimes.docker.hurt import Hurt
from harness.runtimes.docker.images import ImageBuilder, Images
from harness.runtimes.docker.probes import Probes
from harness.units import MS
from nemesis.plans import Plan
from nemesis.triggers import Trigger

READY_SECONDS = 30.0

T = TypeVar("T")


class AsyncioAlarm:
    """A sleeper on the event loop; see ``harness.runtimes.base.Alarm``."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def wait_until(self, at: int) -> None:
        left = (at - time.monotonic_ns()) / 1e9
        if left > 0 and not self._rung.is_set():
            try:
                async with asyncio.timeout(left):
                    await self._rung.wait()
            except TimeoutError:
                return
        self._rung.clear()

    def ring(self) -> None:
        self._rung.set()


class DockerCluster:
    """The hosts and nodes of one run. ``set_up`` before use, ``tear_down`` in any case."""

    def __init__(self, experiment: Experiment, run: str, say: Callable[[str], None]) -> None:
        self._experiment = experiment
        self._run = run
        self._say = say
        self._stop = threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="engine")
        self._client: docker.DockerClient | None = None
        self._hosts: dict[str, Host] = {}
        self._agents: dict[str, AgentChannel] = {}
        self._addresses: dict[str, str] = {}
        self._hurt = Hurt(Hands(experiment.node_names, self._addresses, self._agents), self._revive)
        self._probes: Probes | None = None
        self.nodes: Sequence[str] = experiment.node_names
        self.facts: dict[str, Any] = {}

    def now(self) -> int:
        return time.monotonic_ns()

    def alarm(self) -> AsyncioAlarm:
        return AsyncioAlarm()

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        assert self._probes is not None
        return await self._probes.observe(node, timeout_ns)

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        assert self._probes is not None
        return await self._probes.confirm(node, timeout_ns)

    async def inflict(self, plan: Plan) -> Effect:
        return await self._hurt.inflict(plan)

    async def undo(self, plan: Plan) -> Effect:
        return await self._hurt.undo(plan)

    async def heal(self) -> Effect:
        return await self._hurt.heal()

    async def happens(self, trigger: Trigger, give_up: int) -> str | None:
        raise AssertionError(f"nobody sees a {trigger.event} inside a container, and a schedule with one is refused")

    async def together(self, main: Job, others: Sequence[Job]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for job in (main, *others):
                    group.create_task(job)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def set_up(self) -> None:
        """Images, network, hosts and nodes; returns when every node answers. Raises EnvironmentFailure."""
        client = self._client = await self._blocking(connect)
        self.facts |= await self._blocking(versions, client)
        images = await self._blocking(ImageBuilder(client, self._say, self._stop).ensure)
        self.facts["images"] = {"host": images.host, "node": images.node}
        self._say(f"starting {len(self.nodes)} hosts and nodes")
        network, prefix = await self._blocking(machines.create_network, client, self._run)
        self._addresses.update(machines.addresses(prefix, self.nodes))
        await asyncio.gather(*(self._set_up_host(client, images, network, node) for node in self.nodes))
        self._probes = Probes({node: host.port for node, host in self._hosts.items()})
        await asyncio.gather(*(self._until_answers(node) for node in self.nodes))
        effect = await self.heal()
        if not effect.verified:
            raise EnvironmentFailure(
                "the run's own network does not carry packets between all hosts: " + "; ".join(effect.problems)
            )

    async def _set_up_host(self, client: docker.DockerClient, images: Images, network: Any, name: str) -> None:
        address = self._addresses[name]
        container = await self._blocking(machines.create_host, client, self._run, network, name, address, images.host)
        seed = Random(f"{self._experiment.seed}/node/{name}").getrandbits(32)
        command = machines.node_command(self._experiment.under_test.command, name, self._addresses, seed)
        node = await self._blocking(machines.create_node, client, self._run, name, container, images.node, command)
        port = await self._blocking(machines.published_port, container, name)
        self._hosts[name] = Host(name, address, container, port, node)
        loop = asyncio.get_running_loop()
        with translated(f"starting the agent on host {name}"):
            agent = await self._blocking(AgentChannel.open, client, container.id, name, loop)
        self._agents[name] = agent
        hello = await agent.ask("hello")
        self.facts["iptables"] = hello["iptables"]

    async def _until_answers(self, node: str) -> None:
        give_up = self.now() + int(READY_SECONDS * 1e9)
        while not isinstance(reply := await self.observe(node, 500 * MS), Ok):
            if self.now() >= give_up:
                with translated(f"reading the log of {node}"):
                    log: bytes = await self._blocking(self._hosts[node].node.logs, tail=20)
                raise EnvironmentFailure(
                    f"{node} did not answer within {READY_SECONDS:.0f} s ({reply.error}); the end of its log:\n"
                    + log.decode(errors="replace")
                )
            await asyncio.sleep(0.02)

    async def _revive(self, node: str) -> None:
        """Start a node's container again and wait until it answers.

        Its processes are gone, but the engine learns of that a little later, and would take it to be running still.
        """
        with translated(f"starting node {node} again"):
            await self._blocking(self._hosts[node].node.wait, timeout=READY_SECONDS)
            await self._blocking(self._hosts[node].node.start)
        await self._until_answers(node)

    async def tear_down(self, logs: Path) -> None:
        """Keep the nodes' logs, then remove everything of this run, whatever state it is in.

        Raises EnvironmentFailure when something may have been left behind.
        """
        self._stop.set()
        if self._probes is not None:
            await self._probes.close()
        for agent in self._agents.values():
            agent.close()
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            remover = ThreadPoolExecutor(max_workers=16, thread_name_prefix="remover")
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(remover, self._remove, self._client, logs, remover)
            remover.shutdown()

    def _remove(self, client: docker.DockerClient, logs: Path, pool: ThreadPoolExecutor) -> None:
        def end(host: Host) -> None:
            (logs / f"{host.name}.log").write_bytes(host.node.logs())
            host.node.remove(force=True, v=True)
            host.container.remove(force=True, v=True)

        try:
            logs.mkdir(parents=True, exist_ok=True)
            with translated("keeping the nodes' logs and removing their containers"):
                list(pool.map(end, self._hosts.values()))
        except OSError as failure:
            raise EnvironmentFailure(f"{logs}: the nodes' logs cannot be kept: {failure.strerror}") from failure
        finally:
            remove_runs(client, self._run)

    async def _blocking(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: work(*arguments, **named))
