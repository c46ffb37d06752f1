"""What a cluster should be like while several plans are in force: what each of its runtimes makes true.

Cuts unite, chances of loss combine as those of independent dice do, delays and clock errors add up (though no clock
ever stops or runs backwards), of narrow links the narrowest decides, and a node is down or paused for as long as any
plan wants it so. So plans may come and go in any order, and what is left of them when all are gone is nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from splitbrain.nemesis.faults import HOWS, MILLION, How
from splitbrain.nemesis.partitions import NOTHING, Cut, Link
from splitbrain.nemesis.plans import (
    Corrupted,
    Crashed,
    Doubled,
    Filled,
    Frozen,
    Killed,
    Late,
    Lossy,
    Narrow,
    Paused,
    Plan,
    Reordered,
    Severed,
    Skewed,
    Slowed,
    SlowToFlush,
    Starved,
    Stopped,
    Throttled,
    Unflushed,
)

SLOWEST_PPM = 1 - MILLION


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with a link: chances from 0 to 1, and ms.

    Each of ``bursts`` is a chance of loss and the mean length of its runs, in packets. Of those held back, by that
    chance, each is held for ``hold_ms``.
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
    """What is wrong with a clock."""

    offset_ms: int = 0
    rate_ppm: int = 0


@dataclass(slots=True)
class State:
    """Nodes and links that are not named are whole. Errors are by node and name of the clock.

    ``cut`` holds all links that carry nothing; ``manner`` says how, for those that do not simply drop what comes.
    ``frozen`` nodes may be paused besides; ``full`` ones have a full disk, ``unflushed`` ones one that refuses to be
    flushed, and those of ``flush_ms`` one that takes so much longer over it. Of ``partly_down`` and
    ``partly_paused`` nodes only the processes like the pattern beside the name are so, whatever the rest is.
    """

    cut: Cut = NOTHING
    manner: dict[Link, How] = field(default_factory=dict)
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


def state_of(plans: Iterable[Plan]) -> State:
    """The state that these plans together ask for."""
    state = State()
    hows: dict[Link, set[How]] = {}
    for plan in plans:
        _add(state, plan)
        for link, how in _cuts(plan):
            hows.setdefault(link, set()).add(how)
    state.cut = frozenset(hows)
    state.manner = {link: how for link, ways in hows.items() if (how := _hardest(ways)) != "drop"}
    for clock, error in state.errors.items():
        if error.rate_ppm < SLOWEST_PPM:
            state.errors[clock] = replace(error, rate_ppm=SLOWEST_PPM)
    return state


def _add(state: State, plan: Plan) -> None:
    match plan.harm:
        case Severed():
            pass
        case Killed(nodes=nodes, process=str(process)):
            state.partly_down |= {(node, process) for node in nodes}
        case Killed(nodes=nodes) | Crashed(nodes=nodes) | Stopped(nodes=nodes) | Starved(nodes=nodes):
            state.down |= frozenset(nodes)
        case Paused(nodes=nodes, process=str(process)):
            state.partly_paused |= {(node, process) for node in nodes}
        case Paused(nodes=nodes):
            state.paused |= frozenset(nodes)
        case Frozen(nodes=nodes):
            state.frozen |= frozenset(nodes)
        case Filled(nodes=nodes):
            state.full |= frozenset(nodes)
        case SlowToFlush(nodes=nodes, ms=ms):
            for node in nodes:
                state.flush_ms[node] = state.flush_ms.get(node, 0) + ms
        case Unflushed(nodes=nodes):
            state.unflushed |= frozenset(nodes)
        case Lossy() | Doubled() | Late() | Reordered() | Corrupted() | Narrow():
            for link in plan.harm.links:
                state.flaws[link] = _worse(state.flaws.get(link, Flaws()), plan.harm)
        case Skewed(nodes=nodes, clock=clock, offset_ms=offset_ms, rate_ppm=rate_ppm):
            for node in nodes:
                error = state.errors.get((node, clock), Error())
                state.errors[node, clock] = Error(error.offset_ms + offset_ms, error.rate_ppm + rate_ppm)
        case Slowed(nodes=nodes, ms=ms):
            for node in nodes:
                state.slow_ms[node] = state.slow_ms.get(node, 0) + ms
        case Throttled(nodes=nodes, per_mille=per_mille):
            for node in nodes:
                state.per_mille[node] = max(state.per_mille.get(node, 0), per_mille)


def _worse(flaws: Flaws, harm: Lossy | Doubled | Late | Reordered | Corrupted | Narrow) -> Flaws:
    """A link with those flaws, and this one."""
    match harm:
        case Lossy(percent=percent, burst=0):
            return replace(flaws, loss=_either(flaws.loss, percent / 100))
        case Lossy(percent=percent, burst=burst):
            return replace(flaws, bursts=tuple(sorted((*flaws.bursts, (percent / 100, burst)))))
        case Doubled(percent=percent):
            return replace(flaws, duplication=_either(flaws.duplication, percent / 100))
        case Late(ms=ms, jitter_ms=jitter_ms):
            return replace(flaws, ms=flaws.ms + ms, jitter_ms=flaws.jitter_ms + jitter_ms)
        case Reordered(percent=percent, ms=ms):
            return replace(flaws, hold=_either(flaws.hold, percent / 100), hold_ms=max(flaws.hold_ms, ms))
        case Corrupted(percent=percent):
            return replace(flaws, corruption=_either(flaws.corruption, percent / 100))
        case Narrow(ms_per_kb=ms_per_kb):
            return replace(flaws, ms_per_kb=max(flaws.ms_per_kb, ms_per_kb))


def gilbert(share: float, burst: int) -> tuple[float, float]:
    """The chances that a good link turns bad with a packet, and a bad one good, for that share of losses.

    A link that loses more than it carries is bad for longer than ``burst``, if that is less than what its share asks.
    """
    if share >= 1.0:
        return 1.0, 0.0
    mends = 1.0 / max(1.0, burst, share / (1.0 - share))
    return mends * share / (1.0 - share), mends


def _cuts(plan: Plan) -> Iterator[tuple[Link, How]]:
    """The links that carry nothing because of a plan, and how."""
    match plan.harm:
        case Severed(links=links, how=how):
            yield from ((link, how) for link in links)
        case Crashed(links=links):
            yield from ((link, "drop") for link in links)
        case _:
            return


def _hardest(hows: Collection[How]) -> How:
    """What becomes of packets to which several things are to happen: what is dropped can no more be refused."""
    return next(how for how in HOWS if how in hows)


def _either(one: float, other: float) -> float:
    """The chance of at least one of two independent events."""
    return 1.0 - (1.0 - one) * (1.0 - other)
