"""Clients that ask each server which node it takes for the leader, where servers have such an opinion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from splitbrain.nodes.clients.base import AskOpinion
from splitbrain.runtimes.base import Alarm, Cluster, Job
from splitbrain.units import MS
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import OperationRecorder, next_due

PERIOD_NS: Final = 100 * MS


class OpinionPollers:
    """One client for each server; none waits for another."""

    def __init__(self, cluster: Cluster, operations: OperationRecorder, workload: Workload) -> None:
        self._cluster = cluster
        self._operations = operations
        self._timeout_ns = workload.probe_timeout_ms * MS
        self._paces: dict[str, Alarm] = {server: cluster.alarm() for server in cluster.servers}
        self._over = False

    def jobs(self) -> Sequence[Job]:
        return [self._poll_forever(server) for server in self._cluster.servers]

    def stop(self) -> None:
        self._over = True
        for pace in self._paces.values():
            pace.ring()

    async def _poll_forever(self, server: str) -> None:
        process = self._operations.new_process()
        due = self._cluster.now()
        while not self._over:
            self._operations.invoke(process, "opinion", server)
            reply = await self._cluster.ask(AskOpinion(server), self._timeout_ns)
            process = self._operations.complete(process, "opinion", server, reply)
            due = next_due(due, PERIOD_NS, self._cluster.now())
            await self._paces[server].wait_until(due)
