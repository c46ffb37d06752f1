"""What the engine can do to the nodes' containers: start them again, freeze them, ration processor and memory."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from docker.errors import APIError

from splitbrain.runtimes.docker.agents import Verification
from splitbrain.runtimes.docker.engine import translated
from splitbrain.runtimes.docker.hosts import Host

END_SECONDS = 30.0
FREEZE_SECONDS = 10.0
SHORTEST_PERIOD_US = 100_000
LEAST_QUOTA_US = 1_000  # the kernel takes no less
UNLIMITED = -1
ROOM_BYTES = 16 << 20  # that a node may grow by; the engine sets no limit below 6 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a node has had of the processors since it was started, when that was asked (ms), and how long it wanted to
    run and was not let."""

    at_ms: float
    cpu_ms: float
    throttled_ms: float

    def since(self, before: Spent) -> Spent:
        """What came between two answers about one start of a node."""
        return Spent(
            at_ms=self.at_ms - before.at_ms,
            cpu_ms=self.cpu_ms - before.cpu_ms,
            throttled_ms=self.throttled_ms - before.throttled_ms,
        )


class Blocking(Protocol):
    """Runs what blocks on a worker thread."""

    def __call__(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Awaitable[Any]: ...


class Containers:
    """The nodes' containers by name, filled in as they are made.

    ``silence`` awaits a node's answer, and says what kept it from coming when none came.
    """

    def __init__(
        self, hosts: Mapping[str, Host], blocking: Blocking, silence: Callable[[str], Awaitable[str | None]]
    ) -> None:
        self._hosts = hosts
        self._blocking = blocking
        self._silence = silence
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def revive(self, node: str) -> Verification:
        """Start a node's container again and wait until it answers. One that does not is part of what happened.

        Its processes are gone, but the engine learns of that a little later, and would take it to be running still.
        """
        container = self._hosts[node].node
        with translated(f"starting node {node} again"):
            async with self._starting[node]:
                await self._blocking(container.wait, timeout=END_SECONDS)
                await self._blocking(container.start)
        silence = await self._silence(node)
        return Verification(problems=() if silence is None else (f"started again, {silence}",))

    async def started(self, node: str) -> None:
        """Wait until no start of the node is under way: the engine cannot start what is killed meanwhile."""
        async with self._starting[node]:
            pass

    async def ended(self, node: str) -> int | None:
        """The status with which what runs on a node has ended, None while it runs."""
        container = self._hosts[node].node
        with translated(f"asking whether node {node} runs"):
            await self._blocking(container.reload)
        state: Mapping[str, Any] = container.attrs["State"]
        return None if state["Running"] else int(state["ExitCode"])

    async def freeze(self, node: str) -> None:
        """The kernel runs nothing of the node's from now on; the engine answers when all its processes are frozen.

        It tries for a few hundredths of a second only, in which processes of a busy machine may not get round to it.
        """
        give_up = time.monotonic() + FREEZE_SECONDS
        with translated(f"freezing node {node}"):
            while True:
                try:
                    await self._blocking(self._hosts[node].node.pause)
                    return
                except APIError as failure:
                    if "unable to freeze" not in str(failure) or time.monotonic() >= give_up:
                        raise

    async def thaw(self, node: str) -> None:
        with translated(f"thawing node {node}"):
            await self._blocking(self._hosts[node].node.unpause)

    async def ration(self, node: str, per_mille: int) -> bool:
        """Take so many thousandths of a processor from the node (none: leave it all it can use).

        The kernel hands the rest out in periods of at least a tenth of a second. Whether the engine says that it is so.
        """
        period, quota = rationed(per_mille)
        container = self._hosts[node].node
        with translated(f"rationing the processor of node {node}"):
            await self._blocking(container.update, cpu_period=period, cpu_quota=quota)
            await self._blocking(container.reload)
        held: Mapping[str, Any] = container.attrs["HostConfig"]
        return bool(held["CpuQuota"] == quota)

    async def limit_memory(self, node: str) -> int:
        """Let the node use a little more memory than it does, and no more; that limit, in bytes."""
        container = self._hosts[node].node
        with translated(f"limiting the memory of node {node}"):
            client = container.client
            assert client is not None, "it was made by one"
            stats = await self._blocking(client.api.stats, container.id, stream=False, one_shot=True)
            limit = int(stats["memory_stats"]["usage"]) + ROOM_BYTES
            await self._blocking(container.update, mem_limit=limit, memswap_limit=limit)
        return limit

    async def ended_by_kernel(self, node: str) -> bool:
        """Wait for a node that has ended; whether, as the kernel told the engine, because its memory ran out.

        It may then use all that the machine has again (no limit at all is nothing that the engine goes back to).
        """
        container = self._hosts[node].node
        with translated(f"asking how node {node} ended"):
            client = container.client
            assert client is not None, "it was made by one"
            await self._blocking(container.wait, timeout=END_SECONDS)
            await self._blocking(container.reload)
            killed = bool(container.attrs["State"]["OOMKilled"])
            total = (await self._blocking(client.info))["MemTotal"]
            await self._blocking(container.update, mem_limit=total, memswap_limit=UNLIMITED)
        return killed

    async def spent(self, node: str) -> Spent:
        """By the kernel's own account of the node's container, frozen or not."""
        container = self._hosts[node].node
        with translated(f"reading what node {node} had of the processors"):
            client = container.client
            assert client is not None, "it was made by one"
            at_ms = time.monotonic() * 1e3
            stats = await self._blocking(client.api.stats, container.id, stream=False, one_shot=True)
        cpu = stats["cpu_stats"]
        return Spent(
            at_ms=at_ms,
            cpu_ms=float(cpu["cpu_usage"]["total_usage"]) / 1e6,
            throttled_ms=float(cpu["throttling_data"]["throttled_time"]) / 1e6,
        )


def rationed(per_mille: int) -> tuple[int, int]:
    """The period and the share of it (us) that are left when so many thousandths of a processor are taken."""
    if per_mille == 0:
        return SHORTEST_PERIOD_US, UNLIMITED
    left = 1_000 - per_mille
    period = max(SHORTEST_PERIOD_US, 1_000 * LEAST_QUOTA_US // left)
    return period, period * left // 1_000
