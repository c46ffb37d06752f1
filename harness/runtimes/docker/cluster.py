"""A cluster of containers, as the workload and the nemesis see it, and how it is set up and torn down.

Everything that asks the engine blocks, and runs on worker threads; the event loop belongs to the clients, the
nemesis and the agents, so that a slow engine delays no observer and no heal.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import docker
from docker.models.containers import Container

from splitbrain.errors import EnvironmentFailure
from splitbrain.names import LOGGED, POLICY, PRESET_AT
from splitbrain.nemesis.plans import Plan
from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes.clients import Endpoint, SystemClient, client_of
from splitbrain.nodes.clients.answers import observed
from splitbrain.nodes.clients.base import Ok, Question, Reply
from splitbrain.nodes.clients.http import HttpClient
from splitbrain.nodes.clients.probe import ProbeClient
from splitbrain.nodes.systems.base import Machine, SetUp, Software, Words
from splitbrain.runtimes.base import ClusterSpec, Effect, Incident, Job, LastWords, Tell
from splitbrain.runtimes.docker import hosts as machines
from splitbrain.runtimes.docker import loop_devices as loops
from splitbrain.runtimes.docker.agent.messages import (
    CreateDisk,
    Hello,
    ListProcesses,
    NodeProcess,
    PatchClocksAgain,
    WriteMarker,
)
from splitbrain.runtimes.docker.agents import AgentPool
from splitbrain.runtimes.docker.channel import AgentChannel
from splitbrain.runtimes.docker.clocks import Shown
from splitbrain.runtimes.docker.container_commands import set_up_in
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.crash_lines import Crash, crashes, lines_of, quoted
from splitbrain.runtimes.docker.engine import (
    clock_ahead,
    connect,
    interrupted_containers,
    remove_runs,
    translated,
    versions,
)
from splitbrain.runtimes.docker.fault_controller import FaultController
from splitbrain.runtimes.docker.hosts import DiskKind, HostContainer, NodeDisk
from splitbrain.runtimes.docker.images import ImageBuilder, Images, image_ids, short_name
from splitbrain.runtimes.docker.insides import ContainerInsides
from splitbrain.runtimes.docker.loop_devices import KEEPER
from splitbrain.runtimes.docker.probes import reply_to
from splitbrain.runtimes.docker.watcher import Watcher
from splitbrain.units import MS

SHOW_NS = 500 * MS
LOG_LINES = 20
RESTS = 4  # as long as an observation by a command takes, until the next begins
LOOK_NS = 1_000 * MS  # between two looks at whether what does not answer still runs

T = TypeVar("T")


class AsyncioAlarm:
    """A sleeper on the event loop; see ``runtimes.base.Alarm``."""

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
    """The hosts and nodes of one run, with disks of that kind.

    ``set_up`` before use, ``tear_down`` in any case.
    """

    def __init__(self, spec: ClusterSpec, run: str, say: Callable[[str], None], disks: DiskKind = "plain") -> None:
        self._disks = disks
        self._spec = spec
        self.nodes: Sequence[str] = spec.nodes
        self.servers: Sequence[str] = spec.servers
        self._run = run
        self._say = say
        self._backing = ""
        self._free_address = ""
        self._stop = threading.Event()
        self._watched = False
        self._workers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="engine")
        self._client: docker.DockerClient | None = None
        self._hosts: dict[str, HostContainer] = {}
        self._agents: dict[str, AgentChannel] = {}
        self._addresses: dict[str, str] = {}
        self._data = {name: self._software(name).data for name in spec.machines}
        self._containers = Containers(self._hosts, self._blocking, self._silence)
        self._hands = AgentPool(spec.machines, self._addresses, self._agents, self._data)
        self._faults = FaultController(self._hands, self._containers, self._shows)
        self._system_client: SystemClient | None = None
        self.facts: dict[str, Any] = {}

    def now(self) -> int:
        return time.monotonic_ns()

    def alarm(self) -> AsyncioAlarm:
        return AsyncioAlarm()

    @property
    def _asks(self) -> SystemClient:
        assert self._system_client is not None, "set_up comes first"
        return self._system_client

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        return await reply_to(observed(self._asks, node), timeout_ns)

    def rest_ns(self, node: str) -> int:
        return RESTS * self._asks.cost_ns(node) if isinstance(self._asks, ProbeClient) else 0

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        return await reply_to(self._asks.confirm(node), timeout_ns)

    async def ask(self, question: Question, timeout_ns: int) -> Reply:
        return await reply_to(self._asks.answer(question), timeout_ns)

    async def leading_server(self) -> str | None:
        return await self._asks.leading_server()

    async def sent(self, node: str) -> Mapping[str, int]:
        """How many messages of each kind ``node`` says that it has sent; for nodes of our own, while all is whole."""
        return await self._counts.sent(node)

    async def received(self, node: str) -> Mapping[str, int]:
        """How many of each kind came to ``node`` unasked, as it says; for contenders that count them."""
        return await self._counts.received(node)

    @property
    def _counts(self) -> HttpClient:
        assert isinstance(self._asks, HttpClient), "only nodes of our own count messages"
        return self._asks

    async def processes(self, machine: str) -> Sequence[NodeProcess]:
        """List the processes of the node on ``machine``."""
        return (await self._agents[machine].ask(ListProcesses())).processes

    async def patch_clocks_again(self, machine: str) -> Sequence[int]:
        """Patch the clock functions of skewed processes there again, and return how long each was stopped (ns)."""
        return (await self._agents[machine].ask(PatchClocksAgain())).held_ns

    async def _shows(self, machine: str) -> Shown:
        reply = await reply_to(self._asks.clocks(machine), SHOW_NS)
        return reply.value if isinstance(reply, Ok) else {}

    def watch(self, tell: Tell) -> Watcher:
        assert self._client is not None, "set_up comes first"
        self._watched = True
        return Watcher(
            self._client, self._run, self._hosts, self._hands, self._containers, self._blocking, self._software, tell
        )

    async def crashes_logged(self) -> Sequence[Incident]:
        assert self._client is not None, "set_up comes first"
        ahead = await self._blocking(clock_ahead, self._client)
        with translated("reading the nodes' logs"):
            read = await asyncio.gather(*(self._blocking(_crashes_in, host.node) for host in self._hosts.values()))
        to_monotonic = time.monotonic_ns() - time.time_ns() - ahead
        return [
            Incident(
                f=LOGGED,
                node=name,
                at=quotes[0].at + to_monotonic,
                facts={"count": count, "quotes": [[each.at - quotes[0].at, each.words] for each in quotes]},
            )
            for name, (count, quotes) in zip(self._hosts, read, strict=True)
            if count
        ]

    def witnessed(self) -> None:
        return None

    async def last_words(self, node: str) -> LastWords:
        answer = self._asks.last_answer(node) if isinstance(self._asks, ProbeClient) else None
        return LastWords(answer=answer, log=tuple((await self._end_of_log(node)).splitlines()))

    async def keep_disks(self) -> None:
        await self._faults.keep_disks()

    async def inflict(self, plan: Plan) -> Effect:
        return await self._faults.inflict(plan)

    async def undo(self, plan: Plan) -> Effect:
        return await self._faults.undo(plan)

    async def heal(self) -> Effect:
        return await self._faults.heal()

    async def happens(self, trigger: Trigger, give_up: int) -> str | None:
        raise AssertionError(f"nobody sees a {trigger.event} inside a container, and a schedule with one is refused")

    async def run_all(self, main: Job, others: Sequence[Job]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for job in (main, *others):
                    group.create_task(job)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def set_up(self) -> None:
        """Images, network, hosts and what runs on them; returns when all answer. Raises EnvironmentFailure."""
        client = self._client = await self._blocking(connect)
        self.facts |= await self._blocking(versions, client)
        if left := await self._blocking(interrupted_containers, client):
            self._say(f"{left} container{'s' * (left > 1)} of an interrupted run: `splitbrain clean` removes them")
        folders = list(dict.fromkeys(self._software(machine).image for machine in self._spec.machines))
        images = await self._blocking(ImageBuilder(client, self._say, self._stop).ensure, folders)
        self.facts["images"] = {
            "host": images.host,
            **{short_name(str(image)): tag for image, tag in images.of.items()},
        }
        self.facts["image_ids"] = await self._blocking(image_ids, client, (images.host, *images.of.values()))
        machines_of = self._spec.machines
        self._say(f"starting {len(machines_of)} hosts and what runs on them")
        network, prefix = await self._blocking(machines.create_network, client, self._run)
        self.facts["bridge"] = machines.bridge_of(network)
        self._addresses.update(machines.addresses(prefix, machines_of))
        self._free_address = machines.free_address(prefix)
        if self._disks == "loop":
            await self._open_keeper(client, images.host)
        await asyncio.gather(*(self._set_up_host(client, images, network, name) for name in machines_of))
        endpoints = {name: Endpoint(host.address, host.ports) for name, host in self._hosts.items()}
        inside = ContainerInsides(client, self._hosts, self._agents, self._blocking)
        self._system_client = client_of(self._spec.system, endpoints, self._spec.servers, inside)
        await self._set_up_software()
        await asyncio.gather(*(self._until_answers(name) for name in machines_of))
        effect = await self.heal()
        if not effect.verified:
            raise EnvironmentFailure(
                "the run's own network does not carry packets between all hosts: " + "; ".join(effect.problems)
            )
        if self._disks == "loop":
            await asyncio.gather(
                *(self._agents[name].ask(WriteMarker(folder=folder)) for name, folder in self._data.items() if folder)
            )

    async def _set_up_software(self) -> None:
        """Run the commands of each group of servers, and then those of the nodes. Raises EnvironmentFailure."""
        system = self._spec.system
        groups = [(system.servers[group].set_up, names) for group, names in system.groups.items()]
        wanted = [(set_up, names) for set_up, names in (*groups, (system.set_up, self.nodes)) if not set_up.empty]
        if wanted:
            self._say("running the commands of the set-up")
            await asyncio.gather(*(self._until_answers(name) for name in self.servers))
        for set_up, names in wanted:
            await self._run_set_up(set_up, names)

    async def _run_set_up(self, set_up: SetUp, names: Sequence[str]) -> None:
        async def run(name: str, commands: Sequence[Words]) -> None:
            for command in commands:
                await self._blocking(
                    set_up_in, self._hosts[name].node, name, command(self._machine(name)), set_up, self._stop
                )

        await run(names[0], set_up.first)
        await asyncio.gather(*(run(name, set_up.each) for name in names))
        await run(names[0], set_up.after)

    def _software(self, machine: str) -> Software:
        return self._spec.system.software_on(machine)

    async def _set_up_host(self, client: docker.DockerClient, images: Images, network: Any, name: str) -> None:
        address, software = self._addresses[name], self._software(name)
        ports = software.ports
        disk = await self._disk(client, name)
        container = await self._blocking(
            machines.create_host,
            client,
            self._run,
            network,
            name,
            address,
            images.host,
            ports,
            disk,
            machines.sysctls_of_host(software.options),
            software.options.aliases,
        )
        machine, image = self._machine(name), images.of[software.image]
        with loops.explained() if self._disks == "loop" else contextlib.nullcontext():
            node = await self._blocking(
                machines.create_node, client, self._run, machine, software, image, container, disk
            )
        published = await self._blocking(machines.published_ports, container, name, ports)
        self._hosts[name] = HostContainer(name, address, container, published, node, software)
        loop = asyncio.get_running_loop()
        with translated(f"starting the agent on host {name}"):
            agent = await self._blocking(AgentChannel.open, client, container.id, name, loop)
        self._agents[name] = agent
        self.facts["iptables"] = (await agent.ask(Hello())).iptables

    async def _open_keeper(self, client: docker.DockerClient, image: str) -> None:
        """Start what makes the nodes' disks, and puts them back."""
        self._backing = await self._blocking(loops.create_backing, client, self._run)
        keeper = await self._blocking(loops.create_keeper, client, self._run, image, self._backing)
        loop = asyncio.get_running_loop()
        with translated("starting the agent that keeps the nodes' disks"):
            self._agents[KEEPER] = await self._blocking(AgentChannel.open, client, keeper.id, KEEPER, loop)

    async def _disk(self, client: docker.DockerClient, name: str) -> NodeDisk | None:
        """Make what the data folder of that machine's software is on, unless that is its container's."""
        folder = self._data[name]
        if folder is None or self._disks == "plain":
            return None
        if self._disks == "bounded":
            return await self._blocking(machines.create_disk, client, self._run, name, folder)
        with loops.explained():
            device = (await self._agents[KEEPER].ask(CreateDisk(name=name))).device
        return await self._blocking(loops.create_loop_disk, client, self._run, name, folder, device, self._backing)

    def _machine(self, name: str) -> Machine:
        return Machine(
            name=name,
            system=self._spec.system.name.partition(PRESET_AT)[0],
            seed=Random(f"{self._spec.seed}/node/{name}").getrandbits(32),
            nodes={node: self._addresses[node] for node in self.nodes},
            servers={server: self._addresses[server] for server in self.servers},
            groups=self._spec.system.groups,
            free_address=self._free_address,
        )

    async def _until_answers(self, name: str) -> None:
        silence = await self._silence(name)
        if silence is not None:
            advice = self._asks.hint(name) if isinstance(self._asks, ProbeClient) else None
            hint = f"; {advice}" if advice else ""
            raise EnvironmentFailure(f"{silence}{hint}; the end of its log:\n" + await self._end_of_log(name))

    async def _end_of_log(self, name: str) -> str:
        with translated(f"reading the log of {name}"):
            log: bytes = await self._blocking(self._hosts[name].node.logs, tail=LOG_LINES)
        return log.decode(errors="replace")

    async def _silence(self, name: str) -> str | None:
        """Wait until a machine answers; what is known of it when it does not, which is soon when it has ended."""
        seconds = self._software(name).ready_s
        give_up, look = self.now() + int(seconds * 1e9), self.now() + LOOK_NS
        while not isinstance(reply := await reply_to(self._asks.awake(name), 500 * MS), Ok):
            if self.now() >= look:
                status = await self._containers.ended(name)
                if status is not None and not await self._restarts(name, status):
                    return f"{name} ended with status {status} before it answered"
                look = self.now() + LOOK_NS
            if self.now() >= give_up:
                return f"{name} gave no usable answer within {seconds:.0f} s: {reply.error}"
            await asyncio.sleep(0.02)
        return None

    async def _restarts(self, name: str, status: int) -> bool:
        """True if a machine that ended with that status is started again by its policy: here until there is a watch."""
        software = self._software(name)
        if not software.restarts_after(status):
            return False
        if not self._watched:
            await asyncio.sleep(software.restart_delay_ms / 1e3)
            await self._containers.start(name, POLICY)
        return True

    async def tear_down(self, logs: Path) -> None:
        """Keep the nodes' logs, then remove everything of this run, whatever state it is in.

        Raises EnvironmentFailure when something may have been left behind.
        """
        self._stop.set()
        self._faults.close()
        if self._system_client is not None:
            await self._system_client.close()
        for agent in self._agents.values():
            agent.close()
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            remover = ThreadPoolExecutor(max_workers=16, thread_name_prefix="remover")
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(remover, self._remove, self._client, logs, remover)
            remover.shutdown()

    def _remove(self, client: docker.DockerClient, logs: Path, pool: ThreadPoolExecutor) -> None:
        def end(host: HostContainer) -> None:
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


def _crashes_in(container: Container) -> tuple[int, list[Crash]]:
    """How many lines of a container's log look like a crash, and some of them. Blocks."""
    return quoted(crashes(lines_of(container.logs(stream=True, follow=False, timestamps=True))))
