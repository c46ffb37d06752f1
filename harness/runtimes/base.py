"""The seam between a run and the world it runs in: one interface, two worlds.

Everything above this line (workload, nemesis, phases of a run) is written once, as coroutines over a
``Cluster``. The docker runtime drives them with asyncio, the simulation with its own event queue, so what is
tested in one world is tested in the same way in the other.

All times are integer nanoseconds on the controller's monotonic clock, ``Cluster.now``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from splitbrain.nemesis.faults import Capability
from splitbrain.nemesis.plans import Plan
from splitbrain.nemesis.triggers import Trigger
from splitbrain.nodes.clients.base import Question, Reply
from splitbrain.nodes.systems.base import System

Job = Coroutine[Any, Any, None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rechecked:
    """How often a plan was verified again while it was in force, and when last (ns, as ``Cluster.now``).

    ``lost`` are the signs that something else ended it, one sentence each; it was last verified before that.
    """

    times: int
    last: int | None
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """The measured effect of a fault or of its healing.

    ``verified`` is False when real packets showed something else than was asked for; ``problems`` then says
    what. ``in_effect_ns`` is the time from asking to the last host's answer that it was applied, before the
    verification; ``facts`` are further figures for the history. ``rechecked`` holds the plans that a healing ended and
    that were rechecked until then.
    """

    verified: bool
    in_effect_ns: int
    problems: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    rechecked: Sequence[tuple[Plan, Rechecked]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """Something that happened to a machine's software, by a kind of ``splitbrain.checkers.incidents``.

    ``at`` is ns on the cluster's clock, and ``facts`` are for the history.
    """

    f: str
    node: str
    at: int
    facts: Mapping[str, Any]


Tell = Callable[[Incident], None]


class Rechecks(Protocol):
    """A watch over the machines: ``jobs`` are its coroutines, which end soon after ``stop``."""

    def jobs(self) -> Sequence[Job]: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that happened inside a node: its kind, its instants (ns on the cluster's clock) and more, by name."""

    node: str
    f: str
    at: Mapping[str, int]
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class LastWords:
    """What a node said last: its answer to a probe as it came, None where none is kept, and the end of its log."""

    answer: str | None
    log: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSpec:
    """A cluster to be set up: the system, the names of its machines, the seed, and the faults it must allow."""

    system: System
    nodes: tuple[str, ...]
    servers: tuple[str, ...]
    seed: int
    needs: frozenset[Capability] = frozenset()

    @property
    def machines(self) -> tuple[str, ...]:
        return self.nodes + self.servers


class Alarm(Protocol):
    """A sleeper that others may wake."""

    def wait_until(self, at: int) -> Awaitable[None]:
        """Return at the instant ``at``, or as soon as the alarm rings; at once when it has rung since last."""
        ...

    def ring(self) -> None: ...


class Cluster(Protocol):
    """A running cluster, as the workload and the nemesis see it."""

    @property
    def nodes(self) -> Sequence[str]:
        """Those that stand for election, and are observed."""
        ...

    @property
    def servers(self) -> Sequence[str]:
        """The machines beside them that the election rests on; mostly none."""
        ...

    def now(self) -> int: ...

    def alarm(self) -> Alarm: ...

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        """Ask ``node`` what it claims: leading, leader, term, reign. Never raises for what the node does."""
        ...

    def rest_ns(self, node: str) -> int:
        """The least time between the beginnings of two observations of ``node`` that leaves its machine most of its
        time; 0 where an observation costs next to nothing."""
        ...

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        """Ask ``node`` for an acknowledgement that needs a round trip to its quorum."""
        ...

    async def ask(self, question: Question, timeout_ns: int) -> Reply:
        """Ask a question that only some systems answer. Never raises for what a machine does."""
        ...

    async def leading_server(self) -> str | None:
        """The server that leads the servers now, where that is known."""
        ...

    async def happens(self, trigger: Trigger, give_up: int) -> str | None:
        """The node of the event that ``trigger`` waits for, counted from now; None if it has not come by ``give_up``.

        Called for events that no observer can see, where the runtime says that it can wait for them. It returns
        before anything that the node does because of the event.
        """
        ...

    def watch(self, tell: Tell) -> Rechecks:
        """Rechecks all machines, and call ``tell`` at once when the software of one ends, starts again or is disturbed.

        What has ended already is told first.
        """
        ...

    async def crashes_logged(self) -> Sequence[Incident]:
        """One incident for each machine with lines in its log that look like a crash: their count, and some of them."""
        ...

    def witnessed(self) -> Sequence[Fact] | None:
        """All that happened inside the nodes so far; None where that cannot be seen."""
        ...

    async def last_words(self, node: str) -> LastWords:
        """What ``node`` said last, for a message about it."""
        ...

    async def keep_disks(self) -> None:
        """Copy every machine's durable state as it is now, in place of any earlier copy, for faults that restore it.

        To be called while no fault is in force. Each machine may stand still for a moment.
        """
        ...

    async def inflict(self, plan: Plan) -> Effect:
        """Make ``plan`` true on all hosts at once, beside every other in force, and verify that it is.

        Any number of plans may be inflicted and undone at the same time, by several tasks; none waits for another.
        """
        ...

    async def undo(self, plan: Plan) -> Effect:
        """End a plan in force, and verify that its effects are gone, except those of other plans in force.

        A node that no plan wants down is started again, one that none wants paused goes on.
        """
        ...

    async def heal(self) -> Effect:
        """Undo everything, on every host, whatever was done before, and verify it. Doing so again does nothing."""
        ...

    async def run_all(self, main: Job, others: Sequence[Job]) -> None:
        """Run ``main`` and ``others`` until all have ended; an error in one ends them all, and is raised."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Facts about a run that has ended: what it ran on, and problems of its tear-down."""

    versions: Mapping[str, Any]
    problems: tuple[str, ...] = ()


Work = Callable[[Cluster], Coroutine[Any, Any, None]]
"""The work of a run: a coroutine that is given a cluster that is up, and may do with it what it likes."""


class Runtime(Protocol):
    """Sets up a cluster, awaits ``work`` on it, and tears it down however that ends; logs of nodes go to ``logs``.

    ``phase`` is called with the name of each phase that begins here: ``set-up`` and ``tear-down``. Raises
    EnvironmentFailure where the environment fails, and Interrupted on a signal.
    """

    def __call__(
        self, spec: ClusterSpec, work: Work, logs: Path, say: Say, phase: Callable[[str], None] = ...
    ) -> Facts: ...
