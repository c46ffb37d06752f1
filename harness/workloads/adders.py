"""Clients of a system that keeps data itself: they add to a set through its leader, and in the end it is read.

There are two kinds. One client for each node writes to its node as long as that claims to lead, like an application
that found its leader once and keeps the connection. One client for each server asks that server for the leader before
every write. An element that was acknowledged and is not in the set in the end was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from splitbrain.nodes.clients.base import Add, Members, Ok
from splitbrain.runtimes.base import Alarm, Cluster, Job
from splitbrain.units import MS
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import LeaderView, OperationRecorder, next_due
from splitbrain.workloads.resources import sleeper

READINGS: Final = 10  # at most, until one succeeds
BETWEEN_READINGS_NS: Final = 200 * MS


class Adders:
    """One client for each node and each server. The last that stops reads the set."""

    def __init__(self, cluster: Cluster, operations: OperationRecorder, view: LeaderView, workload: Workload) -> None:
        self._cluster = cluster
        self._operations = operations
        self._view = view
        self._period_ns = workload.write_period_ms * MS
        self._timeout_ns = workload.probe_timeout_ms * MS
        self._paces: dict[str, Alarm] = {via: cluster.alarm() for via in (*cluster.nodes, *cluster.servers)}
        self._at_work = set(self._paces)
        self._over = False

    def jobs(self) -> Sequence[Job]:
        through_nodes = [self._add_forever(node, self._view.claims_to_lead) for node in self._cluster.nodes]
        return [*through_nodes, *(self._add_forever(server, lambda _: True) for server in self._cluster.servers)]

    def stop(self) -> None:
        self._over = True
        for pace in self._paces.values():
            pace.ring()

    async def _add_forever(self, via: str, willing: Callable[[str], bool]) -> None:
        process, count = self._operations.new_process(), 0
        due = self._cluster.now()
        while not self._over:
            if willing(via):
                count += 1
                process = await self._add(process, via, f"{via}-{count}")
            due = next_due(due, self._period_ns, self._cluster.now())
            await self._paces[via].wait_until(due)
        self._at_work.remove(via)
        if not self._at_work:
            await self._read(process)

    async def _add(self, process: int, via: str, element: str) -> int:
        """One addition; the id under which the client goes on."""
        self._operations.invoke(process, "add", None, element)
        reply = await self._cluster.ask(Add(via, element), self._timeout_ns)
        node = str(reply.value["through"]) if isinstance(reply, Ok) else None
        return self._operations.complete(process, "add", node, reply, element)

    async def _read(self, process: int) -> None:
        sleep = sleeper(self._cluster)
        for _ in range(READINGS):
            self._operations.invoke(process, "read-set", None)
            reply = await self._cluster.ask(Members(), self._timeout_ns)
            members = reply.value["members"] if isinstance(reply, Ok) else None
            process = self._operations.complete(process, "read-set", None, reply, members)
            if isinstance(reply, Ok):
                return
            await sleep(BETWEEN_READINGS_NS)
