"""What a cluster should be like while several plans are in force: what each of its runtimes makes true.

Cuts unite, chances of loss combine as those of independent dice do, delays and clock errors add up (though no clock
ever stops or runs backwards), and a node is down or paused for as long as any plan wants it so. So plans may come and
go in any order, and what is left of them when all are gone is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from nemesis.faults import MILLION
from nemesis.partitions import NOTHING, Cut, Link
from nemesis.plans import Doubled, Killed, Late, Lossy, Paused, Plan, Severed, Skewed, Slowed

SLOWEST_PPM = 1 - MILLION


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with a link: chances from 0 to 1, and ms."""

    loss: float = 0.0
    duplication: float = 0.0
    ms: int = 0
    jitter_ms: int = 0


@dataclass(frozen=True, slots=True)
class Error:
    """What is wrong with a clock."""

    offset_ms: int = 0
    rate_ppm: int = 0


@dataclass(slots=True)
class State:
    """Nodes and links that are not named are whole. Errors are by node and name of the clock."""

    cut: Cut = NOTHING
    down: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()
    flaws: dict[Link, Flaws] = field(default_factory=dict)
    errors: dict[tuple[str, str], Error] = field(default_factory=dict)
    slow_ms: dict[str, int] = field(default_factory=dict)


def state_of(plans: Iterable[Plan]) -> State:
    """The state that these plans together ask for."""
    state = State()
    for plan in plans:
        _add(state, plan)
    for clock, error in state.errors.items():
        if error.rate_ppm < SLOWEST_PPM:
            state.errors[clock] = replace(error, rate_ppm=SLOWEST_PPM)
    return state


def _add(state: State, plan: Plan) -> None:
    match plan.harm:
        case Severed(links=links):
            state.cut |= links
        case Killed(nodes=nodes):
            state.down |= frozenset(nodes)
        case Paused(nodes=nodes):
            state.paused |= frozenset(nodes)
        case Lossy(links=links, percent=percent):
            for link in links:
                flaws = state.flaws.get(link, Flaws())
                state.flaws[link] = replace(flaws, loss=_either(flaws.loss, percent / 100))
        case Doubled(links=links, percent=percent):
            for link in links:
                flaws = state.flaws.get(link, Flaws())
                state.flaws[link] = replace(flaws, duplication=_either(flaws.duplication, percent / 100))
        case Late(links=links, ms=ms, jitter_ms=jitter_ms):
            for link in links:
                flaws = state.flaws.get(link, Flaws())
                state.flaws[link] = replace(flaws, ms=flaws.ms + ms, jitter_ms=flaws.jitter_ms + jitter_ms)
        case Skewed(nodes=nodes, clock=clock, offset_ms=offset_ms, rate_ppm=rate_ppm):
            for node in nodes:
                error = state.errors.get((node, clock), Error())
                state.errors[node, clock] = Error(error.offset_ms + offset_ms, error.rate_ppm + rate_ppm)
        case Slowed(nodes=nodes, ms=ms):
            for node in nodes:
                state.slow_ms[node] = state.slow_ms.get(node, 0) + ms


def _either(one: float, other: float) -> float:
    """The chance of at least one of two independent events."""
    return 1.0 - (1.0 - one) * (1.0 - other)
