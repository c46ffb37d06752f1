"""Watching the nodes' containers: each end and start as the engine reports it, and what happens unasked in between.

Software can end by itself, and a container can be restarted, paused or rationed from outside. Neither is a fault of the
run, and both must be known before a node is said to have been up. The engine reports ends, starts and pauses at once;
its account of processor time and the processes inside (``process_watch``) are looked at every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import docker
from docker.errors import DockerException

from splitbrain.errors import EnvironmentFailure
from splitbrain.names import ENDED, OUTSIDE, PAUSED, POLICY, RESUMED, STARTED, THROTTLED
from splitbrain.nodes.systems.base import Software
from splitbrain.runtimes.base import Incident, Job, Tell
from splitbrain.runtimes.docker.agents import AgentPool
from splitbrain.runtimes.docker.containers import Blocking, Containers, Spent, spent
from splitbrain.runtimes.docker.engine import RUN_LABEL, clock_ahead, translated
from splitbrain.runtimes.docker.hosts import HostContainer
from splitbrain.runtimes.docker.intents import Intents
from splitbrain.runtimes.docker.process_watch import ProcessWatch

ACTIONS: Final = ("die", "oom", "start", "kill", "pause", "unpause")
FATAL: Final = frozenset(str(int(each)) for each in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT))
LOOK_SECONDS: Final = 1.0
THROTTLED_MS: Final = 50.0  # withheld between two readings; a node without a ration never waits for one

Event = Mapping[str, Any]


class Watcher:
    """Watches the nodes on the ``hosts`` of one run.

    ``software`` gives what runs on a node. ``tell`` is called on the event loop, in the order in which things happened.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        run: str,
        hosts: Mapping[str, HostContainer],
        hands: AgentPool,
        containers: Containers,
        blocking: Blocking,
        software: Callable[[str], Software],
        tell: Tell,
    ) -> None:
        self._client = client
        self._run = run
        self._nodes = {str(host.node.id): name for name, host in hosts.items()}
        self._hosts = hosts
        self._readers = ThreadPoolExecutor(max_workers=len(hosts), thread_name_prefix="accounts")
        self._containers = containers
        self._blocking = blocking
        self._software = software
        self._tell = tell
        self._since = time.time_ns()
        self._stream: Any = None
        self._over = asyncio.Event()
        self._events: asyncio.Queue[Event | EnvironmentFailure | None] = asyncio.Queue()
        self._down: set[str] = set()
        self._paused: set[str] = set()
        self._signalled: set[str] = set()  # nodes that were sent a signal from outside since their start
        self._out_of_memory: set[str] = set()
        self._restarts: set[asyncio.Task[None]] = set()
        self._before: dict[str, Spent] = {}
        ports = {name: software(name).ports for name in hosts}
        self._processes = ProcessWatch(hands, containers.intents, ports, lambda: self._down, self._note)

    def jobs(self) -> list[Job]:
        return [self._follow(), self._repeat(self._account), self._repeat(self._processes.look)]

    def stop(self) -> None:
        self._over.set()
        self._readers.shutdown(wait=False)
        self._events.put_nowait(None)

    @property
    def _intents(self) -> Intents:
        return self._containers.intents

    # The engine's reports

    async def _follow(self) -> None:
        with translated("watching the containers"):
            self._stream = await self._blocking(self._open)
        ahead = await self._blocking(clock_ahead, self._client)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name="events of the engine", daemon=True).start()
        try:
            await self._look_for_ended()
            while (event := await self._events.get()) is not None:
                if isinstance(event, EnvironmentFailure):
                    raise event
                await self._take(event, int(event["timeNano"]) - ahead)
            if not self._over.is_set():
                raise EnvironmentFailure("watching the containers: the engine's reports ended")
        finally:
            for task in self._restarts:
                task.cancel()
            with contextlib.suppress(OSError, AttributeError, DockerException):  # it has ended already
                self._stream.close()

    def _open(self) -> Any:
        filters = {"label": f"{RUN_LABEL}={self._run}", "type": "container", "event": list(ACTIONS)}
        return self._client.events(since=self._since // 10**9, filters=filters, decode=True)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            for event in self._stream:
                loop.call_soon_threadsafe(self._events.put_nowait, event)
            loop.call_soon_threadsafe(self._events.put_nowait, None)

    async def _look_for_ended(self) -> None:
        """Tell of nodes that ended before this watch began."""
        for node in self._nodes.values():
            if (status := await self._containers.ended(node)) is not None:
                self._ended(node, self._since, status)

    async def _take(self, event: Event, at: int) -> None:
        node = self._nodes.get(event["Actor"]["ID"])
        if node is None or at < self._since:
            return
        attributes = event["Actor"]["Attributes"]
        match event["Action"]:
            case "oom":
                self._out_of_memory.add(node)
            case "kill" if attributes.get("signal") in FATAL:
                self._signalled.add(node)
            case "die" if node not in self._down:
                if await self._containers.out_of_memory(node):
                    self._out_of_memory.add(node)
                self._ended(node, at, int(attributes["exitCode"]))
            case "start":
                self._started(node, at)
            case "pause" if self._intents.by(node, "pause", at) is None:
                self._paused.add(node)
                self._note(PAUSED, node, at, by=OUTSIDE)
            case "unpause" if node in self._paused:
                self._paused.discard(node)
                self._note(RESUMED, node, at, by=OUTSIDE)

    def _ended(self, node: str, at: int, status: int) -> None:
        by = self._intents.by(node, "die", at) or (OUTSIDE if node in self._signalled else None)
        self._down.add(node)
        self._note(ENDED, node, at, **_how(status, node in self._out_of_memory), **({"by": by} if by else {}))
        if by in (None, OUTSIDE) and self._software(node).restarts_after(status):
            task = asyncio.create_task(self._restart(node))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    def _started(self, node: str, at: int) -> None:
        for nodes in (self._down, self._paused, self._signalled, self._out_of_memory):
            nodes.discard(node)
        self._note(STARTED, node, at, by=self._intents.by(node, "start", at) or OUTSIDE)

    async def _restart(self, node: str) -> None:
        """Start a node again by its policy, unless the nemesis wants it down or something else has started it."""
        await asyncio.sleep(self._software(node).restart_delay_ms / 1e3)
        if node in self._down and not self._intents.under_way(node, "die"):
            try:
                await self._containers.start(node, POLICY)
            except EnvironmentFailure as failure:
                self._events.put_nowait(failure)

    # What is looked at every second

    async def _repeat(self, look: Callable[[], Awaitable[None]]) -> None:
        """Look about once a second until the watch is over."""
        while not self._over.is_set():
            due = time.monotonic() + LOOK_SECONDS
            await look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), max(0.0, due - time.monotonic()))

    async def _account(self) -> None:
        """Tell of nodes from which the kernel withheld processor time though the nemesis rationed none."""
        readings = await self._readings()
        for node in readings.keys() & self._before.keys():
            self._compare(node, self._before[node], readings[node])
        self._before = readings

    async def _readings(self) -> dict[str, Spent]:
        """The account of each node that runs. An engine that cannot say is noticed by whatever needs more of it."""
        loop = asyncio.get_running_loop()
        nodes = [node for node in self._hosts if node not in self._down]
        reading = (loop.run_in_executor(self._readers, spent, self._hosts[node].node) for node in nodes)
        answers = await asyncio.gather(*reading, return_exceptions=True)
        return {node: each for node, each in zip(nodes, answers, strict=True) if isinstance(each, Spent)}

    def _compare(self, node: str, before: Spent, now: Spent) -> None:
        had = now.since(before)
        began = time.time_ns() - int((time.monotonic() * 1e3 - before.at_ms) * 1e6)
        if had.cpu_ms < 0 or had.throttled_ms < THROTTLED_MS or self._intents.since(node, "ration", began):
            return  # started in between, or the nemesis took the time
        facts = {"throttled_ms": round(had.throttled_ms, 1), "cpu_ms": round(had.cpu_ms, 1)}
        self._note(THROTTLED, node, began, by=OUTSIDE, **facts)

    def _note(self, f: str, node: str, at: int, **facts: Any) -> None:
        """Tell of what happened at ``at`` on this machine's wall clock (ns)."""
        ago = max(0, time.time_ns() - at)
        self._tell(Incident(f=f, node=node, at=time.monotonic_ns() - ago, facts=facts))


def _how(status: int, out_of_memory: bool) -> dict[str, Any]:
    """How a process ended: by its status, and where that stands for one, by a signal."""
    number = status - 128
    known = {int(each) for each in signal.Signals}
    fatal = {"signal": signal.Signals(number).name} if number in known else {}
    return {"status": status, **fatal, **({"oom": True} if out_of_memory else {})}
