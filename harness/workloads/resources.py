"""Shared resources that applications write to while they believe that their node leads, or that they hold a lock.

Each is a state machine without a clock that takes one request at a time. It lives with the controller, in both
runtimes, and no fault of the nemesis reaches it. Requests and replies take some milliseconds each (``Latency``), drawn
from the seed of the run, so that one may overtake another.

A fence (Kleppmann, "How to do distributed locking", 2016; Burrows, "The Chubby lock service", OSDI 2006, section 2.4)
accepts a write iff its token is at least the greatest that it accepted so far and, if equal, of the same holder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol

from splitbrain.nodes.clients.base import Fail, Ok, Reply
from splitbrain.runtimes.base import Alarm, Cluster
from splitbrain.units import MS

LATENCY_NS: Final = (MS // 2, 3 * MS)  # of a request, and of a reply: shortest and longest

Sleep = Callable[[int], Awaitable[None]]
"""Waits for that many ns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """A write in a ledger's log: its number ``seq`` among all writes, and the reason if it was refused."""

    seq: int
    token: int | None
    holder: str
    entry: str
    refusal: str | None

    @property
    def accepted(self) -> bool:
        return self.refusal is None


class Ledger:
    """A ledger that accepts every write: it does not check tokens."""

    def __init__(self) -> None:
        self.log: list[Write] = []
        self.accepted: list[Write] = []

    def append(self, token: int | None, holder: str, entry: str) -> Write:
        """Log a write, and accept it unless it is refused."""
        write = Write(seq=len(self.log), token=token, holder=holder, entry=entry, refusal=self.refusal(token, holder))
        self.log.append(write)
        if write.accepted:
            self.accepted.append(write)
        return write

    def refusal(self, token: int | None, holder: str) -> str | None:
        """The reason to refuse a write now, or None."""
        return None

    def read(self) -> list[dict[str, Any]]:
        """The accepted entries in order, as a history holds them."""
        return [{"token": write.token, "holder": write.holder, "entry": write.entry} for write in self.accepted]


class FencedLedger(Ledger):
    """A ledger that checks the token of every write, in one step with the write."""

    def refusal(self, token: int | None, holder: str) -> str | None:
        if token is None:
            return "there is no token"
        if not self.accepted:
            return None
        newest = self.accepted[-1]
        assert newest.token is not None
        if token < newest.token:
            return f"token {token} is below {newest.token}, which {newest.holder} wrote with"
        if token == newest.token and holder != newest.holder:
            return f"token {token} is that of {newest.holder}"
        return None


class SharedSet:
    """A set that is read and written in one piece: a write undoes all others since its read."""

    def __init__(self) -> None:
        self.members: frozenset[str] = frozenset()


class LedgerService(Protocol):
    """A ledger as its clients reach it. Each caller passes its ``sleep``, so that no caller delays another."""

    async def append(self, token: int | None, holder: str, entry: str, sleep: Sleep) -> Reply: ...

    async def read(self, sleep: Sleep) -> Reply: ...


class Latency:
    """The latency between a resource and its clients, drawn anew for each request and reply."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    async def wait(self, sleep: Sleep) -> None:
        await sleep(self._rng.randint(*LATENCY_NS))


class RemoteLedger:
    """A ledger behind a latency. It always answers."""

    def __init__(self, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        self._latency = Latency(rng)

    async def append(self, token: int | None, holder: str, entry: str, sleep: Sleep) -> Reply:
        await self._latency.wait(sleep)
        write = self._ledger.append(token, holder, entry)
        position = len(self._ledger.accepted) - 1
        await self._latency.wait(sleep)
        return Ok({"position": position}) if write.refusal is None else Fail(write.refusal)

    async def read(self, sleep: Sleep) -> Reply:
        await self._latency.wait(sleep)
        entries = self._ledger.read()
        await self._latency.wait(sleep)
        return Ok({"entries": entries})


class RemoteSet:
    """A shared set behind a latency."""

    def __init__(self, shared: SharedSet, rng: Random) -> None:
        self._shared = shared
        self._latency = Latency(rng)

    async def read(self, sleep: Sleep) -> frozenset[str]:
        await self._latency.wait(sleep)
        members = self._shared.members
        await self._latency.wait(sleep)
        return members

    async def write(self, members: Collection[str], sleep: Sleep) -> None:
        await self._latency.wait(sleep)
        self._shared.members = frozenset(members)
        await self._latency.wait(sleep)


def sleeper(cluster: Cluster) -> Sleep:
    """A function by which one client waits, once at a time."""
    alarm: Alarm = cluster.alarm()

    async def sleep(ns: int) -> None:
        await alarm.wait_until(cluster.now() + ns)

    return sleep
