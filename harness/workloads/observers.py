"""The clients of every workload, all concurrent: for each node an observer and a confirming client, and the canary.

No client waits for another, so a dead or paused node delays no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.nodes.clients.base import Ok
from splitbrain.runtimes.base import Alarm, Cluster, Job
from splitbrain.units import MS
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import Claim, LeaderView, OperationRecorder, Recorder, next_due


class Observers:
    """The workload of one run: ``jobs`` are its coroutines, ``stop`` ends them after their present operation.

    Only the nodes ``asked_to_confirm`` have a confirming client: none where a system knows no acknowledgement.
    """

    def __init__(
        self,
        cluster: Cluster,
        recorder: Recorder,
        operations: OperationRecorder,
        view: LeaderView,
        workload: Workload,
        asked_to_confirm: Sequence[str],
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._operations = operations
        self._view = view
        self._observe_ns = workload.observe_period_ms * MS
        self._confirm_ns = workload.confirm_period_ms * MS
        self._timeout_ns = workload.probe_timeout_ms * MS
        self._canary_ms = workload.canary_period_ms
        self._over = False
        self._observers: dict[str, Alarm] = {node: cluster.alarm() for node in cluster.nodes}
        self._confirmers: dict[str, Alarm] = {node: cluster.alarm() for node in asked_to_confirm}
        self._ask_after: dict[str, set[str]] = {node: set() for node in cluster.nodes}
        self._canary = cluster.alarm()

    def jobs(self) -> list[Job]:
        nodes = self._cluster.nodes
        canary = [] if self._canary_ms is None else [self._run_canary(self._canary_ms * MS)]
        return [*map(self._observe_forever, nodes), *map(self._confirm_forever, self._confirmers), *canary]

    def stop(self) -> None:
        self._over = True
        for alarm in (*self._observers.values(), *self._confirmers.values(), self._canary):
            alarm.ring()

    async def _observe_forever(self, node: str) -> None:
        process = self._operations.new_process()
        due = self._cluster.now()
        while not self._over:
            process = await self._observe(process, node)
            period = max(self._observe_ns, self._cluster.rest_ns(node))
            due = next_due(due, period, self._cluster.now())
            await self._observers[node].wait_until(due)

    async def _observe(self, process: int, node: str) -> int:
        self._recorder.invoke(process, "observe", node)
        reply = await self._cluster.observe(node, self._timeout_ns)
        if not isinstance(reply, Ok):
            return self._operations.complete(process, "observe", node, reply)
        self._recorder.ok(process, "observe", node, reply.value)
        self._saw(node, reply.value)
        return process

    def _saw(self, node: str, value: Mapping[str, Any]) -> None:
        """Adaptive probing: when a new leadership shows up, every node last seen leading is asked again at once,
        and the new leader again after each answer; that turns nearly every overlap longer than two round trips
        into a proof."""
        term, reign = value["term"], value["reign"]
        leading, leader_term = value["leading"], value.get("leader_term", term)
        claim = Claim(self._cluster.now(), leading, value["leader"], term, reign, value.get("vote"), leader_term)
        if self._view.saw(node, claim):
            if node in self._confirmers:
                self._confirmers[node].ring()
            for rival in self._view.rivals(node):
                self._ask_after[rival].add(node)
                self._observers[rival].ring()
        if newcomers := self._ask_after[node]:
            self._ask_after[node] = set()
            if claim.leading:
                for newcomer in sorted(newcomers):
                    self._observers[newcomer].ring()

    async def _confirm_forever(self, node: str) -> None:
        """Ask a node to confirm while it claims to lead, and while no node does, so that in a stall every node is
        asked."""
        process = self._operations.new_process()
        due = self._cluster.now()
        while not self._over:
            if self._view.claims_to_lead(node) or not self._view.anyone_leads():
                process = await self._confirm(process, node)
            due = next_due(due, self._confirm_ns, self._cluster.now())
            await self._confirmers[node].wait_until(due)

    async def _confirm(self, process: int, node: str) -> int:
        self._recorder.invoke(process, "confirm", node)
        reply = await self._cluster.confirm(node, self._timeout_ns)
        if not isinstance(reply, Ok):
            return self._operations.complete(process, "confirm", node, reply)
        self._view.saw_confirmation()
        self._recorder.ok(process, "confirm", node, reply.value)
        return process

    async def _run_canary(self, period: int) -> None:
        """The canary: sleep, and record how late it woke, so that a starved controller is noticed."""
        due = self._cluster.now() + period
        while not self._over:
            await self._canary.wait_until(due)
            now = self._cluster.now()
            if now >= due:
                self._recorder.note("canary", "canary", None, {"late": now - due})
            due = now + period
