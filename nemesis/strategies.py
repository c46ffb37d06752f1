"""Hypothesis strategies for what may go wrong, made to shrink towards calm.

What Hypothesis takes as simpler is what a reader takes as calmer: fewer faults, milder ones (in the order
of ``SHAPES``), shorter ones, closer to the beginning, fewer nodes, a cut of fewer links. Times are drawn in
whole grains, so that a shrunken schedule has round numbers in it.

Schedules are drawn in swarm style (A. Groce et al., "Swarm Testing", ISSTA 2012): each case first switches
most kinds of fault off, then draws from those that are left, since some failures show only when one kind is
repeated undisturbed by the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from nemesis.faults import Fault, Partition
from nemesis.nemeses import FLAPS_MS, LEAD_IN_MS
from nemesis.partitions import Cut, all_links
from nemesis.schedules import Schedule, Step
from nemesis.shapes import SHAPES
from nemesis.targets import View

GRAIN_MS = 50


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


@st.composite
def faults(draw: DrawFn, nodes: int, shapes: Sequence[str] | None = None) -> Fault:
    """A fault that so many nodes allow, of the shapes named or of all; the first of them is the simplest."""
    shape = draw(st.sampled_from(possible_shapes(nodes) if shapes is None else list(shapes)))
    if shape == "flapping":
        return Partition(shape=shape, flap_ms=draw(st.sampled_from(FLAPS_MS)))
    return Partition(shape=shape)


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
) -> Schedule:
    """A schedule for so many nodes, at least two; the simplest has no fault.

    No fault begins before ``lead_in_ms``, and the last is healed ``recovery_ms`` before the end.
    """
    switched_on = draw(st.lists(st.sampled_from(possible_shapes(nodes)), min_size=1, unique=True))
    drawn = draw(
        st.lists(
            st.tuples(_times(0, max_quiet_ms), _times(GRAIN_MS, max_window_ms), faults(nodes, switched_on)),
            max_size=max_faults,
        )
    )
    steps: list[Step] = []
    now = lead_in_ms
    for quiet_ms, for_ms, fault in drawn:
        steps.append(Step(at_ms=now + quiet_ms, for_ms=for_ms, fault=fault))
        now = steps[-1].end_ms
    return Schedule(steps=tuple(steps), length_ms=now + recovery_ms)


def _times(low_ms: int, high_ms: int) -> SearchStrategy[int]:
    return st.integers(low_ms // GRAIN_MS, high_ms // GRAIN_MS).map(lambda grains: grains * GRAIN_MS)
