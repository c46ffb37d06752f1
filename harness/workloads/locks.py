"""Locks as a workload: contenders that acquire, change something shared while they hold, and release.

The clients change a set that is read and written in one piece and knows no tokens, so a second holder shows as lost
updates (the "locking set" of Jepsen's etcd tests). ``Lock`` is the interface of a lock; the leadership of any election
is one (``LeadershipLock``).

A ``release`` that is ok says in ``held`` whether the lock was held until then. Where it was lost before, nothing is
claimed for the time since it was acquired: the holder may have written after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from splitbrain.nodes.clients.base import Fail, Ok, Reply
from splitbrain.runtimes.base import Alarm, Cluster, Job
from splitbrain.units import MS
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import OperationRecorder, next_due
from splitbrain.workloads.resources import RemoteSet, Sleep, sleeper

HOLD_NS: Final = 20 * MS  # between reading the set and writing it


class Lock(Protocol):
    """How a contender gets a lock and gives it back; one lock for all of them."""

    async def acquire(self, node: str, timeout_ns: int) -> Reply:
        """Ok: ``node`` holds it, and the value is the argument of ``release``. Fail: it may be held; try later."""
        ...

    async def release(self, node: str, held: Mapping[str, Any], timeout_ns: int) -> Reply:
        """Release the lock of that answer of ``acquire``. Ok: released; ``held`` in its value is True if it was held
        all the time."""
        ...


class LeadershipLock:
    """The leadership of an election as a lock, held by a node that claims to lead until its reign ends.

    Nothing is given back, for the node goes on leading. That it still leads, in the same reign, proves that it did so
    all the while, a reign being contiguous.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def acquire(self, node: str, timeout_ns: int) -> Reply:
        reply = await self._cluster.observe(node, timeout_ns)
        if not isinstance(reply, Ok):
            return reply
        if not reply.value["leading"]:
            return Fail("it does not lead")
        return Ok({"term": reply.value["term"], "reign": reply.value["reign"]})

    async def release(self, node: str, held: Mapping[str, Any], timeout_ns: int) -> Reply:
        reply = await self._cluster.observe(node, timeout_ns)
        if not isinstance(reply, Ok):
            return reply
        same = all(reply.value[key] == held[key] for key in ("term", "reign"))
        return Ok({"held": bool(reply.value["leading"] and same)})


class Contenders:
    """The clients of a lock, one for each node. The last that stops reads the set."""

    def __init__(
        self, cluster: Cluster, operations: OperationRecorder, workload: Workload, lock: Lock, shared: RemoteSet
    ) -> None:
        self._cluster = cluster
        self._operations = operations
        self._period_ns = workload.write_period_ms * MS
        self._timeout_ns = workload.probe_timeout_ms * MS
        self._lock = lock
        self._shared = shared
        self._paces: dict[str, Alarm] = {node: cluster.alarm() for node in cluster.nodes}
        self._added = dict.fromkeys(cluster.nodes, 0)
        self._at_work = set(cluster.nodes)
        self._over = False

    def jobs(self) -> Sequence[Job]:
        return [self._contend_forever(node) for node in self._cluster.nodes]

    def stop(self) -> None:
        self._over = True
        for pace in self._paces.values():
            pace.ring()

    async def _contend_forever(self, node: str) -> None:
        process = self._operations.new_process()
        sleep = sleeper(self._cluster)
        due = self._cluster.now()
        while not self._over:
            process = await self._contend(process, node, sleep)
            due = next_due(due, self._period_ns, self._cluster.now())
            await self._paces[node].wait_until(due)
        self._at_work.remove(node)
        if not self._at_work:
            self._operations.invoke(process, "read-set", None)
            members = await self._shared.read(sleep)
            self._operations.complete(process, "read-set", None, Ok({}), sorted(members))

    async def _contend(self, process: int, node: str, sleep: Sleep) -> int:
        """One try, and if the lock was got one addition under it; the id under which the client goes on."""
        self._operations.invoke(process, "acquire", node)
        got = await self._lock.acquire(node, self._timeout_ns)
        process = self._operations.complete(process, "acquire", node, got)
        if not isinstance(got, Ok):
            return process
        await self._add(process, node, sleep)
        self._operations.invoke(process, "release", node)
        given_back = await self._lock.release(node, got.value, self._timeout_ns)
        return self._operations.complete(process, "release", node, given_back)

    async def _add(self, process: int, node: str, sleep: Sleep) -> None:
        """Read, wait and write: the critical section that the lock protects."""
        self._added[node] += 1
        element = f"{node}-{self._added[node]}"
        self._operations.invoke(process, "add", node, element)
        members = await self._shared.read(sleep)
        await sleep(HOLD_NS)
        await self._shared.write({*members, element}, sleep)
        self._operations.complete(process, "add", node, Ok({}), element)
