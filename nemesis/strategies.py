"""Hypothesis strategies for faults and schedules, which shrink towards fewer and milder faults.

Simpler to Hypothesis means fewer faults, milder ones (in the order of ``SHAPES``), shorter ones, closer to the
beginning, fewer nodes, a cut of fewer links. Times are drawn in whole grains, so that a shrunken schedule has round
numbers in it.

Schedules are drawn in swarm style (A. Groce et al., "Swarm Testing", ISSTA 2012): each case first switches
most kinds of fault off, then draws from those that are left, since some failures show only when one kind is
repeated undisturbed by the others. Overlapping faults and triggers are
switched in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from splitbrain.nemesis.faults import (
    ANSWERS,
    CAPABILITY_NAMES,
    HOWS,
    WAYS,
    Bandwidth,
    Capability,
    Corrupt,
    Crash,
    Delay,
    Dns,
    Duplicate,
    Fault,
    Freeze,
    Kill,
    Loss,
    Partition,
    Pause,
    Reorder,
    Skew,
    Slow,
    Stop,
    Throttle,
    Way,
)
from splitbrain.nemesis.nemeses import FLAPS_MS, LEAD_IN_MS
from splitbrain.nemesis.partitions import Cut, all_links
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.shapes import SHAPES
from splitbrain.nemesis.targets import Role, View
from splitbrain.nemesis.triggers import EVENTS, Event, Trigger

IN_SIMULATION: Collection[Capability] = frozenset(CAPABILITY_NAMES) - {"name resolution", "partition of one port"}
"""What schedules hold unless more is asked for: a test of a node class runs them in simulation."""
GRAIN_MS = 50
MOST_FAULTS = 50
# Leaders, and the node of the event, are worth more than their share.
TARGETS: tuple[Role, ...] = ("follower", "node", "minority", "leader", "leader", "leader", "majority", "all")
TRIGGERED: tuple[Role, ...] = ("subject", "subject", "subject", "follower", "leader", "all")
WAY: SearchStrategy[Way] = st.sampled_from(WAYS)
WIDE: SearchStrategy[Role] = st.sampled_from(("follower", "leader", "minority", "all", "all"))


def node_names(n: int) -> tuple[str, ...]:
    """n1, n2, ... as many as asked for."""
    return tuple(f"n{i}" for i in range(1, n + 1))


def cuts(nodes: Sequence[str]) -> SearchStrategy[Cut]:
    """Any set of directed links between these nodes; the simplest cuts none."""
    links = sorted(all_links(nodes))
    return st.frozensets(st.sampled_from(links)) if links else st.just(frozenset())


@st.composite
def views(draw: DrawFn, min_nodes: int = 2, max_nodes: int = 7) -> View:
    """A cluster as it may be observed; the simplest is small, has no leader and no term."""
    nodes = node_names(draw(st.integers(min_nodes, max_nodes)))
    leader = draw(st.none() | st.sampled_from(nodes))
    return View(nodes=nodes, leader=leader, term=draw(st.none() | st.integers(0, 99)))


def possible_shapes(nodes: int) -> list[str]:
    """The names of the shapes that so many nodes allow, the mildest first."""
    return [shape.name for shape in SHAPES.values() if shape.min_nodes <= nodes]


def kinds(nodes: int, can: Collection[Capability] = CAPABILITY_NAMES) -> list[str]:
    """The kinds that a swarm switches on and off: shapes that so many nodes allow, mildest first, then others."""
    shapes = possible_shapes(nodes) if "partition" in can else []
    return [*shapes, *(kind for kind in OTHERS if set(OTHERS[kind]) <= set(can))]


OTHERS: Mapping[str, tuple[Capability, ...]] = MappingProxyType(
    {
        "slow": ("slow",),
        "throttle": ("throttle",),
        "dns": ("name resolution",),
        "port": ("partition", "partition of one port"),
        "duplicate": ("duplicate",),
        "reorder": ("reorder",),
        "delay": ("delay",),
        "bandwidth": ("bandwidth",),
        "corrupt": ("corrupt",),
        "loss": ("loss",),
        "bursts": ("loss in bursts",),
        "skew": ("skew of the wall clock",),
        "rate": ("skew of the monotonic clock",),
        "pause": ("pause",),
        "freeze": ("freeze",),
        "stop": ("stop",),
        "crash": ("crash",),
        "kill": ("kill",),
        "torn": ("kill", "kill with state torn"),
        "amnesia": ("kill", "kill with state lost"),
        "refused partition": ("partition", "partition that refuses", "partition of payload"),
        "kill in mid-act": ("kill", "kill with state torn", "kill after some effects"),
    }
)
"""The capabilities that each kind of fault but partitions requires, the mildest first."""


@st.composite
def faults(draw: DrawFn, nodes: int, of: Sequence[str] | None = None, triggered: bool = False) -> Fault:
    """A fault that so many nodes allow, of the ``kinds`` named or of all; the first of them is the simplest.

    Only one that is triggered may be aimed at a subject, and mostly is.
    """
    kind = draw(st.sampled_from(kinds(nodes) if of is None else list(of)))
    target: SearchStrategy[Role] = st.sampled_from(TRIGGERED if triggered else TARGETS)
    flap_ms = st.none() | st.sampled_from(FLAPS_MS)
    match kind:
        case "slow":
            return Slow(target=draw(target), ms=draw(_small(50)))
        case "throttle":
            return Throttle(target=draw(target), per_mille=draw(_small(995)))
        case "dns":
            return Dns(answer=draw(st.sampled_from(ANSWERS)), target=draw(WIDE), way=draw(WAY))
        case "port":
            return Partition(shape=draw(st.sampled_from(possible_shapes(nodes))), port=draw(st.integers(1, 65_535)))
        case "duplicate":
            return Duplicate(percent=draw(_small(100)), target=draw(WIDE), way=draw(WAY))
        case "reorder":
            return Reorder(percent=draw(_small(100)), ms=draw(_small(500)), target=draw(WIDE), way=draw(WAY))
        case "delay":
            return Delay(ms=draw(_small(300)), jitter_ms=draw(_small(300)), target=draw(WIDE), way=draw(WAY))
        case "bandwidth":
            return Bandwidth(ms_per_kb=draw(_small(1_000)), target=draw(WIDE), way=draw(WAY))
        case "corrupt":
            return Corrupt(percent=draw(_small(90)), target=draw(WIDE), way=draw(WAY))
        case "loss":
            return Loss(percent=draw(_small(90)), target=draw(WIDE), way=draw(WAY))
        case "bursts":
            return Loss(percent=draw(_small(90)), target=draw(WIDE), way=draw(WAY), burst=draw(st.integers(1, 60)))
        case "skew":
            return Skew(target=draw(target), offset_ms=draw(st.integers(-10_000, 10_000)), flap_ms=draw(flap_ms))
        case "rate":
            rate_ppm = 10_000 * draw(st.integers(-90, 90))
            return Skew(target=draw(target), clock="monotonic", offset_ms=draw(_small(1_000)), rate_ppm=rate_ppm)
        case "pause":
            return Pause(target=draw(target), flap_ms=draw(flap_ms))
        case "freeze":
            return Freeze(target=draw(target), flap_ms=draw(flap_ms))
        case "stop":
            return Stop(target=draw(target))
        case "crash":
            return Crash(target=draw(target))
        case "refused partition":
            shapes = [shape for shape in possible_shapes(nodes) if shape != "flapping"]
            return Partition(shape=draw(st.sampled_from(shapes)), how=draw(st.sampled_from(HOWS[1:])))
        case "kill":
            return Kill(target=draw(target), flap_ms=draw(flap_ms))
        case "torn":
            return Kill(target=draw(target), state="torn", flap_ms=draw(flap_ms))
        case "amnesia":
            return Kill(target=draw(target), state="lost")
        case "kill in mid-act":
            return Kill(target=draw(target), state="torn", after_effects=draw(_small(6)))
        case shape:
            flaps = draw(st.sampled_from(FLAPS_MS)) if shape == "flapping" else None
            return Partition(shape=shape, flap_ms=flaps)


def triggers(events: Sequence[Event] = EVENTS, max_within_ms: int = 2_000) -> SearchStrategy[Trigger]:
    """An event to wait for; the simplest is the next new leader, seen at once."""
    within_ms = _times(GRAIN_MS, max_within_ms)
    return st.builds(Trigger, event=st.sampled_from(list(events)), count=st.integers(1, 5), within_ms=within_ms)


@st.composite
def schedules(
    draw: DrawFn,
    nodes: int,
    *,
    max_faults: int = 6,
    max_window_ms: int = 6_000,
    max_quiet_ms: int = 4_000,
    lead_in_ms: int = LEAD_IN_MS,
    recovery_ms: int = 4_000,
    can: Collection[Capability] = IN_SIMULATION,
    events: Collection[Event] = EVENTS,
) -> Schedule:
    """A schedule for so many nodes, at least two; the simplest has no fault.

    It holds at most ``max_faults`` (of ``MOST_FAULTS``) that the runtime supports, at times and at events that it can
    wait for. Faults come one after the other or, in half of the cases, may overlap. None begins before
    ``lead_in_ms``, and the last is healed ``recovery_ms`` before the end.
    """
    waits_for = [event for event in EVENTS if event in events]
    switched_on = draw(st.lists(st.sampled_from(kinds(nodes, can)), min_size=1, unique=True))
    overlap, triggered = draw(st.booleans()), bool(waits_for) and draw(st.booleans())
    drawn = draw(
        st.lists(
            _steps(nodes, switched_on, waits_for if triggered else [], max_window_ms, max_quiet_ms),
            max_size=min(max_faults, MOST_FAULTS),
        )
    )
    steps: list[Step] = []
    now = lead_in_ms
    for quiet_ms, step in drawn:
        steps.append(replace(step, at_ms=now + quiet_ms))
        now = steps[-1].at_ms if overlap else steps[-1].end_ms
    end = max((step.end_ms for step in steps), default=lead_in_ms)
    return Schedule(steps=tuple(steps), length_ms=end + recovery_ms)


@st.composite
def _steps(
    draw: DrawFn, nodes: int, of: Sequence[str], events: Sequence[Event], max_window_ms: int, max_quiet_ms: int
) -> tuple[int, Step]:
    """A step without a time, and how long it begins after the one before."""
    quiet_ms, for_ms = draw(_times(0, max_quiet_ms)), draw(_times(GRAIN_MS, max_window_ms))
    when = draw(st.none() | triggers(events)) if events else None
    fault = draw(faults(nodes, of, triggered=when is not None))
    return quiet_ms, Step(at_ms=0, for_ms=for_ms, fault=fault, when=when)


def _small(most: int) -> SearchStrategy[int]:
    return st.integers(0, most)


def _times(low_ms: int, high_ms: int) -> SearchStrategy[int]:
    return st.integers(low_ms // GRAIN_MS, high_ms // GRAIN_MS).map(lambda grains: grains * GRAIN_MS)
