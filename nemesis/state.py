"""The state of a cluster that several plans in force ask for together; each runtime makes it true.

Cuts unite, chances of loss combine as those of independent events, delays and clock errors add up (though no clock
ever stops or runs backwards), of bandwidths the narrowest decides, and a node is down or paused for as long as any
plan asks for it. So plans may begin and end in any order, and when all have ended nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from splitbrain.nemesis.faults.resolution import ANSWERS, Answer
from splitbrain.nemesis.partitions import HOWS, NOTHING, Cut, How, Link
from splitbrain.nemesis.plans import Plan

SLOWEST_PPM = 1 - 1_000_000
LONGEST_QUEUE_MS = 1_000
"""How long a packet waits at most for a narrow link."""


@dataclass(frozen=True, slots=True)
class Flaws:
    """The flaws of a link: chances from 0 to 1, and ms.

    Each of ``bursts`` is a chance of loss and the mean length of its runs, in packets. Packets are held back with the
    chance ``hold``, each for ``hold_ms``.
    """

    loss: float = 0.0
    duplication: float = 0.0
    ms: int = 0
    jitter_ms: int = 0
    bursts: tuple[tuple[float, int], ...] = ()
    hold: float = 0.0
    hold_ms: int = 0
    corruption: float = 0.0
    ms_per_kb: int = 0


@dataclass(frozen=True, slots=True)
class Error:
    """The error of a clock."""

    offset_ms: int = 0
    rate_ppm: int = 0


@dataclass(slots=True)
class State:
    """The faulty nodes and links; those that are not named are healthy. Errors are by node and name of the clock.

    ``cut`` holds all links that carry nothing; ``manner`` says how, for those that do not simply drop packets.
    ``ports`` holds the ports of which links carry nothing, and how. ``names`` are the names that do not resolve as they
    should: of a link, the name of its receiver as its sender looks it up.
    ``frozen`` nodes may be paused as well. ``full`` nodes have a full disk, ``unflushed`` nodes one that fails to
    flush, and those of ``flush_ms`` one that takes that much longer to flush. Of ``partly_down`` and ``partly_paused``
    nodes only the processes that match the pattern beside the name are affected.
    """

    cut: Cut = NOTHING
    manner: dict[Link, How] = field(default_factory=dict)
    ports: dict[tuple[Link, int], How] = field(default_factory=dict)
    names: dict[Link, Answer] = field(default_factory=dict)
    down: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()
    unflushed: frozenset[str] = frozenset()
    flush_ms: dict[str, int] = field(default_factory=dict)
    partly_down: frozenset[tuple[str, str]] = frozenset()
    partly_paused: frozenset[tuple[str, str]] = frozenset()
    flaws: dict[Link, Flaws] = field(default_factory=dict)
    errors: dict[tuple[str, str], Error] = field(default_factory=dict)
    slow_ms: dict[str, int] = field(default_factory=dict)
    per_mille: dict[str, int] = field(default_factory=dict)

    def flaws_of(self, link: Link) -> Flaws:
        return self.flaws.get(link, Flaws())

    def sever(self, links: Cut, how: How) -> None:
        """Add a cut. Of several on one link the hardest decides: what is dropped cannot be refused as well."""
        for link in links:
            before = self.manner.get(link, "drop") if link in self.cut else how
            hardest = min(before, how, key=HOWS.index)
            if hardest == "drop":
                self.manner.pop(link, None)
            else:
                self.manner[link] = hardest
        self.cut |= links

    def sever_port(self, links: Cut, port: int, how: How) -> None:
        """Add a cut of one port."""
        for link in links:
            self.ports[link, port] = min(self.ports.get((link, port), how), how, key=HOWS.index)

    def mislead(self, links: Cut, answer: Answer) -> None:
        """Add wrong answers to lookups of names."""
        for link in links:
            self.names[link] = min(self.names.get(link, answer), answer, key=ANSWERS.index)

    def skew(self, node: str, clock: str, offset_ms: int, rate_ppm: int) -> None:
        """Add an error of a clock."""
        before = self.errors.get((node, clock), Error())
        self.errors[node, clock] = Error(before.offset_ms + offset_ms, before.rate_ppm + rate_ppm)


def state_of(plans: Iterable[Plan]) -> State:
    """The state that these plans together ask for."""
    state = State()
    for plan in plans:
        plan.fault.add_to(state, plan.nodes, plan.links)
    state.errors = {
        clock: Error(error.offset_ms, max(error.rate_ppm, SLOWEST_PPM)) for clock, error in state.errors.items()
    }
    return state


def gilbert(share: float, burst: int) -> tuple[float, float]:
    """The chances that a good link turns bad with a packet, and a bad one good, for that share of losses.

    A link that loses more than it carries is bad for longer than ``burst``, if its share asks for that.
    """
    if share >= 1.0:
        return 1.0, 0.0
    mends = 1.0 / max(1.0, burst, share / (1.0 - share))
    return mends * share / (1.0 - share), mends
