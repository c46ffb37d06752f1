"""Shared resources that applications write to while they believe that their node leads, or that they hold a lock.

The promise: each is one object that does one thing at a time, a state machine without a clock; it lives with the
controller, in both runtimes, and no fault of the nemesis reaches it. What lies between it and its clients is a way of
some milliseconds, drawn from the run's seed (``Remote``), so that what is on its way may be overtaken.

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

WAY_NS: Final = (MS // 2, 3 * MS)  # to the resource, and back: shortest and longest

Sleep = Callable[[int], Awaitable[None]]
"""Lets so many ns pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """One line of a ledger's log: write number ``seq`` of all that came; ``refusal`` is why it was refused, if so."""

    seq: int
    token: int | None
    holder: str
    entry: str
    refusal: str | None

    @property
    def accepted(self) -> bool:
        return self.refusal is None


class Ledger:
    """Accepts every write: a resource that does not know what a token is for."""

    def __init__(self) -> None:
        self.log: list[Write] = []
        self.accepted: list[Write] = []

    def append(self, token: int | None, holder: str, entry: str) -> Write:
        """The write as it stands in the log; one that was accepted has its place in ``accepted`` from now on."""
        write = Write(seq=len(self.log), token=token, holder=holder, entry=entry, refusal=self.refusal(token, holder))
        self.log.append(write)
        if write.accepted:
            self.accepted.append(write)
        return write

    def refusal(self, token: int | None, holder: str) -> str | None:
        """Why a write would be refused now, None if it would not."""
        return None

    def read(self) -> list[dict[str, Any]]:
        """The accepted entries in order, as a history holds them."""
        return [{"token": write.token, "holder": write.holder, "entry": write.entry} for write in self.accepted]


class FencedLedger(Ledger):
    """Checks the token of every write, in one step with the write."""

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
    """A set that is read and written whole: whoever writes what it read before somebody else wrote undoes that."""

    def __init__(self) -> None:
        self.members: frozenset[str] = frozenset()


class LedgerService(Protocol):
    """A ledger as its clients reach it. ``sleep`` is the caller's own, so that no caller delays another."""

    async def append(self, token: int | None, holder: str, entry: str, sleep: Sleep) -> Reply: ...

    async def read(self, sleep: Sleep) -> Reply: ...


class Way:
    """What lies between a resource and its clients; how long it takes is drawn anew each time."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    async def go(self, sleep: Sleep) -> None:
        await sleep(self._rng.randint(*WAY_NS))


class RemoteLedger:
    """A ledger some way off. It always answers, for nothing in a run hurts it."""

    def __init__(self, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        self._way = Way(rng)

    async def append(self, token: int | None, holder: str, entry: str, sleep: Sleep) -> Reply:
        await self._way.go(sleep)
        write = self._ledger.append(token, holder, entry)
        position = len(self._ledger.accepted) - 1
        await self._way.go(sleep)
        return Ok({"position": position}) if write.refusal is None else Fail(write.refusal)

    async def read(self, sleep: Sleep) -> Reply:
        await self._way.go(sleep)
        entries = self._ledger.read()
        await self._way.go(sleep)
        return Ok({"entries": entries})


class RemoteSet:
    """A shared set some way off."""

    def __init__(self, shared: SharedSet, rng: Random) -> None:
        self._shared = shared
        self._way = Way(rng)

    async def read(self, sleep: Sleep) -> frozenset[str]:
        await self._way.go(sleep)
        members = self._shared.members
        await self._way.go(sleep)
        return members

    async def write(self, members: Collection[str], sleep: Sleep) -> None:
        await self._way.go(sleep)
        self._shared.members = frozenset(members)
        await self._way.go(sleep)


def sleeper(cluster: Cluster) -> Sleep:
    """A way for one client to let time pass; one at a time."""
    alarm: Alarm = cluster.alarm()

    async def sleep(ns: int) -> None:
        await alarm.wait_until(cluster.now() + ns)

    return sleep
