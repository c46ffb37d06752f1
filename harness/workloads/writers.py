"""Clients that use leadership: one for each node writes to a shared resource while its node claims to lead.

This is where a leader that has been replaced does harm. Each client acts like an application beside its node: it asks
the node for its claim and its token, and then writes. Between the answer and the arrival of the write lie the work of
the client (1 to 5 ms) and the latency of the resource (0.5 to 3 ms), both drawn from the seed of the run; so the claim
may no longer hold when the write arrives, as in any application that checks and then acts. A client is not paused,
killed or cut off with its node: it lives with the controller, as the resource does. It asks only while its node's last
answer to its observer said that it leads, so followers are not asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from splitbrain.nodes.clients.base import Ok
from splitbrain.plugins import shipped
from splitbrain.runtimes.base import Alarm, Cluster, Job
from splitbrain.units import MS
from splitbrain.workloads import ShippedWorkload, Workload
from splitbrain.workloads.adders import Adders
from splitbrain.workloads.clients import ClientGroup, LeaderView, OperationRecorder, next_due
from splitbrain.workloads.locks import Contenders, LeadershipLock
from splitbrain.workloads.resources import (
    FencedLedger,
    Ledger,
    LedgerService,
    RemoteLedger,
    RemoteSet,
    SharedSet,
    Sleep,
    sleeper,
)

WORK_NS: Final = (1 * MS, 5 * MS)  # of a client, between its node's answer and the sending of the write

TokenOf = Callable[[Mapping[str, Any]], int | None]
"""Gives the token of a leadership, from the answer of its node."""


def term(answer: Mapping[str, Any]) -> int | None:
    """The token of every system here: the term of the leadership."""
    value = answer["term"]
    return None if value is None else int(value)


def writers(
    cluster: Cluster, operations: OperationRecorder, view: LeaderView, workload: Workload, seed: int
) -> Sequence[ClientGroup]:
    """The clients of that workload beside the observers."""
    match workload.kind:
        case "election":
            return []
        case "ledger":
            return [Writers(cluster, operations, view, workload, seed, ledger(FencedLedger(), seed))]
        case "ledger-unfenced":
            return [Writers(cluster, operations, view, workload, seed, ledger(Ledger(), seed))]
        case "lock":
            shared = RemoteSet(SharedSet(), Random(f"{seed}/set"))
            return [Contenders(cluster, operations, workload, LeadershipLock(cluster), shared)]
        case "writes":
            return [Adders(cluster, operations, view, workload)]
        case other:
            clients = shipped("workloads", ShippedWorkload)[other].value.clients
            return clients(cluster, operations, view, workload, seed)


def ledger(kept: Ledger, seed: int) -> LedgerService:
    """A ledger at a latency that the seed decides."""
    return RemoteLedger(kept, Random(f"{seed}/ledger"))


class Writers:
    """The clients of a ledger, one for each node. The last that stops reads the ledger."""

    def __init__(
        self,
        cluster: Cluster,
        operations: OperationRecorder,
        view: LeaderView,
        workload: Workload,
        seed: int,
        service: LedgerService,
        token_of: TokenOf = term,
    ) -> None:
        self._cluster = cluster
        self._operations = operations
        self._view = view
        self._period_ns = workload.write_period_ms * MS
        self._timeout_ns = workload.probe_timeout_ms * MS
        self._service = service
        self._token_of = token_of
        self._rngs = {node: Random(f"{seed}/writer/{node}") for node in cluster.nodes}
        self._paces: dict[str, Alarm] = {node: cluster.alarm() for node in cluster.nodes}
        self._written = dict.fromkeys(cluster.nodes, 0)
        self._at_work = set(cluster.nodes)
        self._over = False

    def jobs(self) -> Sequence[Job]:
        return [self._write_forever(node) for node in self._cluster.nodes]

    def stop(self) -> None:
        self._over = True
        for pace in self._paces.values():
            pace.ring()

    async def _write_forever(self, node: str) -> None:
        process = self._operations.new_process()
        sleep = sleeper(self._cluster)
        due = self._cluster.now()
        while not self._over:
            if self._view.claims_to_lead(node):
                process = await self._write(process, node, sleep)
            due = next_due(due, self._period_ns, self._cluster.now())
            await self._paces[node].wait_until(due)
        self._at_work.remove(node)
        if not self._at_work:
            self._operations.invoke(process, "read-ledger", None)
            reply = await self._service.read(sleep)
            entries = reply.value["entries"] if isinstance(reply, Ok) else None
            self._operations.complete(process, "read-ledger", None, reply, entries)

    async def _write(self, process: int, node: str, sleep: Sleep) -> int:
        """Ask, and if the node leads, write with its token; the id under which the client continues."""
        self._operations.invoke(process, "observe", node)
        reply = await self._cluster.observe(node, self._timeout_ns)
        process = self._operations.complete(process, "observe", node, reply)
        if not isinstance(reply, Ok) or not reply.value["leading"]:
            return process
        await sleep(self._rngs[node].randint(*WORK_NS))
        token = self._token_of(reply.value)
        self._written[node] += 1
        entry = f"{node}-{self._written[node]}"
        self._operations.invoke(process, "append", node, {"token": token, "entry": entry})
        answer = await self._service.append(token, node, entry, sleep)
        return self._operations.complete(process, "append", node, answer)
