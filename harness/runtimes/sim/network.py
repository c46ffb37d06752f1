"""The network between the hosts: directed links with delays, losses, duplicates and cuts.

The fate of a packet is drawn twice. When it is sent, its link draws its loss, its duplication and the delay of each
copy; when it arrives, it is dropped if the link is cut at that instant. So a cut drops packets under way, and a packet
that was sent into a cut may arrive after its end, as with a rule at the receiver, by which containers are cut. Packets
overtake each other whenever a later one draws a shorter delay.

Each link has random generators of its own, keyed by seed and link, one for delays and one for losses: the k-th packet
of a link takes the same time whatever happens elsewhere, so a change of a schedule stays local.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappush
from math import sqrt
from random import Random
from types import MappingProxyType
from typing import Any, Final, Literal

from splitbrain.nodes import wire
from splitbrain.runtimes.sim.kernel import Act, Kernel

US: Final = 1_000
HEADER_BYTES: Final = 28  # of IP and UDP, as on a real link


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same ns."""

    ns: int


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything in [low, high) ns, equally likely."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Exponential:
    """``low`` ns and, on top, exponentially distributed ns of that mean."""

    low: int
    mean: int


@dataclass(frozen=True, slots=True)
class HeavyTail:
    """Pareto: at least ``low`` ns, and P(longer than x) = (low / x) ** shape; never above ``cap``.

    Shape 1 has no mean but for its cap; shape 2 has one, and no variance.
    """

    low: int
    cap: int
    shape: Literal[1, 2] = 2


@dataclass(frozen=True, slots=True)
class Later:
    """The sum of two delays."""

    usual: Delay
    by: Delay


Delay = Constant | Uniform | Exponential | HeavyTail | Later

LAN: Final = Uniform(200 * US, 1_000 * US)


def sampler(delay: Delay, rng: Random) -> Callable[[], int]:
    """A function that draws from ``delay``, in ns.

    Every machine draws the same numbers: all arithmetic is of the kind that IEEE 754 rounds correctly, with no
    logarithm and no power but the square root.
    """
    random = rng.random
    match delay:
        case Constant(ns):
            return lambda: ns
        case Uniform(low, high):
            width = high - low
            return lambda: low + int(width * random())
        case Exponential(low, mean):
            return lambda: low + int(mean * _exponential(random))
        case Later(usual, by):
            first, second = sampler(usual, rng), sampler(by, rng)
            return lambda: first() + second()
        case HeavyTail(low, cap, 1):
            return lambda: min(cap, int(low / (1.0 - random())))
        case HeavyTail(low, cap, _):
            return lambda: min(cap, int(low / sqrt(1.0 - random())))


def _exponential(random: Callable[[], float]) -> float:
    """A draw of mean 1 from comparisons alone (von Neumann 1951, "Various techniques used in connection with random
    digits"): the first of a descending run of uniforms, its run being odd; each failed attempt adds one."""
    whole = 0
    while True:
        first = last = random()
        odd = True
        while (drawn := random()) < last:
            last = drawn
            odd = not odd
        if odd:
            return whole + first
        whole += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The conditions of a link. ``loss``, ``duplication`` and ``hold`` are chances for each packet, from 0 to 1.

    Each pair of ``bursts`` holds the chances that a good link turns bad with a packet, and a bad one good; a bad one
    loses all. A packet that is held back takes ``hold_ns`` longer. With ``ns_per_byte`` packets queue, one that would
    wait for longer than ``longest_ns`` is lost.
    """

    delay: Delay = LAN
    loss: float = 0.0
    duplication: float = 0.0
    bursts: tuple[tuple[float, float], ...] = ()
    hold: float = 0.0
    hold_ns: int = 0
    ns_per_byte: int = 0
    longest_ns: int = 0

    @property
    def flawed(self) -> bool:
        """True if more than its delay must be drawn for a packet."""
        chances = self.loss > 0.0 or self.duplication > 0.0 or self.hold > 0.0
        return chances or bool(self.bursts) or self.ns_per_byte > 0

    def __post_init__(self) -> None:
        if not (0.0 <= self.loss <= 1.0 and 0.0 <= self.duplication <= 1.0):
            raise ValueError(f"expected chances from 0 to 1, got loss {self.loss}, duplication {self.duplication}")


CALM: Final = Conditions()

ConditionsOf = Callable[[str, str], Conditions]


class Link:
    """One direction between two hosts. ``cut`` may be set at any time; ``dropped`` counts the packets lost to it.

    ``sent``, ``lost`` (with those that found no room in the queue), ``doubled`` and ``held`` count packets for as long
    as the link is flawed in such a way.
    """

    __slots__ = (
        "_arrive",
        "_bad",
        "_conditions",
        "_delay",
        "_delays",
        "_flaws",
        "_free_at",
        "_kernel",
        "_key",
        "_queue",
        "_rng",
        "_ticket",
        "cut",
        "doubled",
        "dropped",
        "held",
        "lost",
        "sender",
        "sent",
        "to",
    )

    def __init__(self, kernel: Kernel, seed: int, sender: str, to: str, arrive: Act, conditions: Conditions) -> None:
        self.sender = sender
        self.to = to
        self.cut = False
        self.dropped = self.sent = self.lost = self.doubled = self.held = 0
        self._bad: list[bool] = []  # of each of its bursts
        self._free_at = 0  # when a narrow link has sent all that came before
        self._kernel = kernel
        self._queue = kernel.queue
        self._ticket = kernel.ticket
        self._arrive = arrive
        self._key = f"{seed}/link/{sender}/{to}"
        self._flaws: tuple[Callable[[], float], Callable[[], int]] | None
        self._delays: Random | None = None  # made when first needed: in a short run most links carry nothing
        self._rng: Random | None = None  # the same, for losses and doubles
        self.conditions = conditions

    @property
    def conditions(self) -> Conditions:
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._delay = self._first_delay if self._delays is None else sampler(conditions.delay, self._delays)
        self._flaws = None
        self._bad = []
        if conditions.flawed:
            if self._rng is None:
                self._rng = Random(f"{self._key}/flaws")
            self._flaws = (self._rng.random, sampler(conditions.delay, self._rng))

    def send(self, message: Any) -> None:
        """Put a packet on its way; it reaches ``arrive(link, message)``, once, twice or never."""
        at = self._kernel.now + self._delay()
        if self._flaws is None:
            heappush(self._queue, (at, self._ticket(), self._arrive, self, message))
        else:
            self._send_flawed(at, message, *self._flaws)

    def _send_flawed(self, at: int, message: Any, chance: Callable[[], float], echo: Callable[[], int]) -> None:
        """Draws the same number of times for any result, so that later packets draw the same numbers."""
        conditions = self._conditions
        lost, doubled, echo_at = (
            chance() < conditions.loss,
            chance() < conditions.duplication,
            self._kernel.now + echo(),
        )
        lost |= bool(conditions.bursts) and self._in_a_run(chance)
        later = conditions.hold_ns if conditions.hold > 0.0 and chance() < conditions.hold else 0
        self.sent += 1
        queued = None if lost else self._queued(message)
        self.lost += queued is None
        if queued is not None:
            self.held += later > 0
            self._kernel.at(at + queued + later, self._arrive, self, message)
            if doubled:
                self.doubled += 1
                self._kernel.at(echo_at + queued, self._arrive, self, message)

    def _in_a_run(self, chance: Callable[[], float]) -> bool:
        """True if any burst makes the link bad for this packet; every packet advances each burst."""
        bursts = self._conditions.bursts
        if not self._bad:
            self._bad = [chance() < worsens / (worsens + mends) for worsens, mends in bursts]
        else:
            self._bad = [
                chance() >= mends if bad else chance() < worsens
                for bad, (worsens, mends) in zip(self._bad, bursts, strict=True)
            ]
        return any(self._bad)

    def _queued(self, message: Any) -> int | None:
        """How long (ns) a packet waits for a narrow link and takes to go through it; None when there is no room."""
        conditions, now = self._conditions, self._kernel.now
        if not conditions.ns_per_byte:
            return 0
        begins = max(now, self._free_at)
        if begins - now > conditions.longest_ns:
            return None
        size = HEADER_BYTES + len(wire.encode(self.sender, message))
        self._free_at = begins + size * conditions.ns_per_byte
        return self._free_at - now

    def _first_delay(self) -> int:
        self._delays = Random(self._key)
        self._delay = sampler(self._conditions.delay, self._delays)
        return self._delay()


class Network:
    """All links between the hosts, by sender and receiver."""

    def __init__(
        self, kernel: Kernel, seed: int, arrive: Mapping[str, Act], conditions: Conditions | ConditionsOf
    ) -> None:
        """``arrive`` takes the packets that reach a host; ``conditions`` are those of every link, or are asked for
        each, by (sender, receiver)."""
        self.nodes = tuple(arrive)
        of = conditions if callable(conditions) else lambda sender, to: conditions
        self.links: Mapping[str, Mapping[str, Link]] = MappingProxyType(
            {
                sender: {
                    to: Link(kernel, seed, sender, to, arrive[to], of(sender, to)) for to in self.nodes if to != sender
                }
                for sender in self.nodes
            }
        )

    def __iter__(self) -> Iterator[Link]:
        return (link for row in self.links.values() for link in row.values())

    def cut_into(self, receiver: str, senders: Container[str]) -> None:
        """From now on drop packets that reach ``receiver`` from ``senders``, and only those."""
        for sender in self.nodes:
            if sender != receiver:
                self.links[sender][receiver].cut = sender in senders

    def set_conditions(self, conditions: Conditions, links: Iterable[tuple[str, str]] | None = None) -> None:
        """Set the conditions for packets sent from now on over the links (all, if none are named)."""
        chosen = self if links is None else (self.links[sender][to] for sender, to in links)
        for link in chosen:
            link.conditions = conditions
