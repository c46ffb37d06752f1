"""Operations of the engine on the nodes' containers: start them again, freeze them, limit processor time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from docker.errors import APIError
from docker.models.containers import Container
from requests.exceptions import RequestException

from splitbrain.names import NEMESIS
from splitbrain.runtimes.docker.agents import Verification
from splitbrain.runtimes.docker.engine import translated
from splitbrain.runtimes.docker.hosts import HostContainer
from splitbrain.runtimes.docker.intents import Intents

END_SECONDS = 30.0
FREEZE_SECONDS = 10.0
SHORTEST_PERIOD_US = 100_000
LEAST_QUOTA_US = 1_000  # the kernel's minimum
UNLIMITED = -1
ROOM_BYTES = 16 << 20  # free memory under a limit; the engine accepts no limit below 6 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A node's use of the processors since its start, in ms: when it was read, time run, and time throttled."""

    at_ms: float
    cpu_ms: float
    throttled_ms: float

    def since(self, before: Spent) -> Spent:
        """Return the use between two readings, without a start of the node in between."""
        return Spent(
            at_ms=self.at_ms - before.at_ms,
            cpu_ms=self.cpu_ms - before.cpu_ms,
            throttled_ms=self.throttled_ms - before.throttled_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A container that is ``frozen`` or not, and its quota of processor time (us)."""

    frozen: bool
    quota: int


class Blocking(Protocol):
    """Runs a blocking function on a worker thread."""

    def __call__(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


class Containers:
    """The nodes' containers by name.

    ``hosts`` is filled in as they are created. ``silence`` waits for a node to answer, and says why it did not.
    ``intents`` are told of each end, start and pause that the harness brings about.
    """

    def __init__(
        self, hosts: Mapping[str, HostContainer], blocking: Blocking, silence: Callable[[str], Awaitable[str | None]]
    ) -> None:
        self._hosts = hosts
        self._blocking = blocking
        self._silence = silence
        self.intents = Intents()
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def stop_signal(self, node: str) -> str:
        """The signal that asks the node's software to end."""
        return self._hosts[node].software.options.stop_signal

    async def revive(self, node: str) -> Verification:
        """Start a node's container again and wait until it answers. One that does not is reported as a problem."""
        await self.start(node, NEMESIS)
        silence = await self._silence(node)
        return Verification(problems=() if silence is None else (f"started again, {silence}",))

    async def start(self, node: str, by: str) -> None:
        """Start a node's container again.

        Its processes are gone, but the engine notices that a little later, and until then would not start it.
        """
        container = self._hosts[node].node
        with translated(f"starting node {node} again"):
            async with self._starting[node]:
                with contextlib.suppress(RequestException):  # it runs: something else has started it
                    await self._blocking(container.wait, timeout=END_SECONDS)
                self.intents.begin(node, "start", by)
                await self._blocking(container.start)
                self.intents.end(node, "start")
                self.intents.end(node, "die")

    async def started(self, node: str) -> None:
        """Wait until no start of the node is in progress: the engine cannot start a container killed in between."""
        async with self._starting[node]:
            pass

    async def ended(self, node: str) -> int | None:
        """Return the exit status of a node's software; None while it runs."""
        container = self._hosts[node].node
        with translated(f"inspecting node {node}"):
            await self._blocking(container.reload)
        state: Mapping[str, Any] = container.attrs["State"]
        return None if state["Running"] else int(state["ExitCode"])

    async def out_of_memory(self, node: str) -> bool:
        """True if the kernel killed a process of the node for want of memory since its start."""
        container = self._hosts[node].node
        with translated(f"inspecting node {node}"):
            await self._blocking(container.reload)
        return bool(container.attrs["State"]["OOMKilled"])

    async def held(self, node: str) -> Held:
        """Return the freezer's state and the processor quota of a node's container, as the engine has them."""
        container = self._hosts[node].node
        with translated(f"inspecting node {node}"):
            await self._blocking(container.reload)
        return Held(
            frozen=bool(container.attrs["State"]["Paused"]), quota=int(container.attrs["HostConfig"]["CpuQuota"])
        )

    async def freeze(self, node: str) -> None:
        """Freeze a node with the cgroup freezer; returns when all its processes are frozen.

        The engine gives up after some 10 ms, which is too short on a busy machine, so this tries again.
        """
        give_up = time.monotonic() + FREEZE_SECONDS
        self.intents.begin(node, "pause")
        with translated(f"freezing node {node}"):
            while True:
                try:
                    await self._blocking(self._hosts[node].node.pause)
                    self.intents.end(node, "pause")
                    return
                except APIError as failure:
                    if "unable to freeze" not in str(failure) or time.monotonic() >= give_up:
                        raise

    async def thaw(self, node: str) -> None:
        """Let a frozen node run again; one that something else has thawed is left alone."""
        with translated(f"thawing node {node}"):
            try:
                await self._blocking(self._hosts[node].node.unpause)
            except APIError as failure:
                if "is not paused" not in str(failure):
                    raise

    async def ration(self, node: str, per_mille: int) -> bool:
        """Take ``per_mille`` thousandths of one processor from the node; zero ends the limit.

        Returns True if the engine reports the limit. The kernel grants the rest in periods of at least 100 ms.
        """
        period, quota = rationed(per_mille)
        container = self._hosts[node].node
        if per_mille:
            self.intents.begin(node, "ration")
        with translated(f"limiting the processor time of node {node}"):
            await self._blocking(container.update, cpu_period=period, cpu_quota=quota)
            await self._blocking(container.reload)
        if not per_mille:
            self.intents.end(node, "ration")
        held: Mapping[str, Any] = container.attrs["HostConfig"]
        return bool(held["CpuQuota"] == quota)

    async def limit_memory(self, node: str) -> int:
        """Limit the node's memory to a little more than it uses, and return the limit in bytes."""
        container = self._hosts[node].node
        with translated(f"limiting the memory of node {node}"):
            client = container.client
            assert client is not None, "a client created it"
            stats = await self._blocking(client.api.stats, container.id, stream=False, one_shot=True)
            limit = int(stats["memory_stats"]["usage"]) + ROOM_BYTES
            await self._blocking(container.update, mem_limit=limit, memswap_limit=limit)
        return limit

    async def ended_by_kernel(self, node: str) -> bool:
        """Wait for a node's end, and return True if the kernel killed it for lack of memory.

        Its limit is the usual one again afterwards.
        """
        container = self._hosts[node].node
        with translated(f"inspecting how node {node} ended"):
            await self._blocking(container.wait, timeout=END_SECONDS)
            await self._blocking(container.reload)
            killed = bool(container.attrs["State"]["OOMKilled"])
            usual = self._hosts[node].memory
            await self._blocking(container.update, mem_limit=usual, memswap_limit=usual)
        return killed

    async def spent(self, node: str) -> Spent:
        """Read the kernel's accounting of the node's container, which may be frozen."""
        with translated(f"reading the processor time of node {node}"):
            read: Spent = await self._blocking(spent, self._hosts[node].node)
        return read


def spent(container: Container) -> Spent:
    """Read the kernel's accounting of a container that runs or is frozen. Blocks, for a second if asked often."""
    client = container.client
    assert client is not None and container.id is not None, "a client created it"
    at_ms = time.monotonic() * 1e3
    cpu = client.api.stats(container.id, stream=False, one_shot=True)["cpu_stats"]
    return Spent(
        at_ms=at_ms,
        cpu_ms=float(cpu["cpu_usage"]["total_usage"]) / 1e6,
        throttled_ms=float(cpu["throttling_data"]["throttled_time"]) / 1e6,
    )


def rationed(per_mille: int) -> tuple[int, int]:
    """Return CFS period and quota (us) for a node that loses ``per_mille`` thousandths of one processor."""
    if per_mille == 0:
        return SHORTEST_PERIOD_US, UNLIMITED
    left = 1_000 - per_mille
    period = max(SHORTEST_PERIOD_US, 1_000 * LEAST_QUOTA_US // left)
    return period, period * left // 1_000
