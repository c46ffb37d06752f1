"""The faults and triggers that each runtime supports, derived from its handlers, and the refusal of all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Protocol

from splitbrain.errors import UsageError
from splitbrain.names import ALLOW_PRIVILEGED
from splitbrain.nemesis.faults import Capability, Fault
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nemesis.triggers import EVENTS, OBSERVED, Event
from splitbrain.runtimes.docker.handlers import DISKS
from splitbrain.runtimes.docker.handlers import HANDLERS as DOCKER
from splitbrain.runtimes.sim.handlers import HANDLERS as SIM

PRIVILEGED_DISKS = "loop"


class FaultHandler(Protocol):
    """What a runtime states of a class of fault that it carries out: the capabilities that it lacks nevertheless."""

    @property
    def lacks(self) -> frozenset[Capability]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """The capabilities of a runtime, and the events that it can wait for.

    ``privileged`` are those that it has besides where a user allows them. Of each group in ``apart`` one run can use
    only one.
    """

    faults: frozenset[Capability]
    triggers: frozenset[Event]
    privileged: frozenset[Capability] = frozenset()
    apart: tuple[frozenset[Capability], ...] = ()


def supported(handlers: Mapping[type[Fault], FaultHandler]) -> frozenset[Capability]:
    """The capabilities of a runtime with these handlers."""
    every = {capability for fault in handlers for capability in fault.capabilities}
    return frozenset(every) - frozenset().union(*(handler.lacks for handler in handlers.values()))


def _docker() -> Capabilities:
    """Loop devices need privileges, and all nodes of a run have disks of one kind."""
    privileged = frozenset(capability for capability, kind in DISKS.items() if kind == PRIVILEGED_DISKS)
    return Capabilities(
        faults=supported(DOCKER) - privileged,
        triggers=OBSERVED,
        privileged=privileged,
        apart=tuple(frozenset({one, two}) for one, two in combinations(DISKS, 2) if DISKS[one] != DISKS[two]),
    )


CAPABILITIES: Mapping[str, Capabilities] = {
    "docker": _docker(),
    "sim": Capabilities(faults=supported(SIM), triggers=frozenset(EVENTS)),
}
"""The capabilities of each runtime by its name. A schedule that needs others is refused before a run."""


def known_runtime(name: str) -> str:
    """Return ``name`` if there is such a runtime, else raise UsageError."""
    if name not in CAPABILITIES:
        raise UsageError(f"--runtime: expected {' or '.join(CAPABILITIES)}, got {name!r}")
    return name


def unsupported(schedule: Schedule, supports: Capabilities) -> tuple[str, ...]:
    """What the schedule requires beyond these capabilities, each once with the first step that does, in words."""
    found: dict[str, str] = {}
    for at, step in enumerate(schedule.steps):
        for capability in step.fault.required():
            if capability not in supports.faults:
                found.setdefault(capability, f"{capability} (steps[{at}])")
        if step.when is not None and step.when.event not in supports.triggers:
            found.setdefault(step.when.event, f"wait for the event {step.when.event} (steps[{at}])")
    return tuple(found.values())


def refuse_unsupported(schedule: Schedule, runtime: str, privileged: bool = False) -> None:
    """Raise UsageError if the runtime cannot carry out the whole schedule in one run, with or without privileges."""
    supports = CAPABILITIES[runtime]
    if found := unsupported(schedule, replace(supports, faults=supports.faults | supports.privileged)):
        raise UsageError(f"the runtime {runtime} cannot do all of this schedule; it lacks: {', '.join(found)}")
    if not privileged and (found := unsupported(schedule, supports)):
        raise UsageError(
            f"This schedule needs loop devices on the host; rerun with {ALLOW_PRIVILEGED}: {', '.join(found)}"
        )
    asked = {capability for step in schedule.steps for capability in step.fault.required()}
    for group in supports.apart:
        if len(group & asked) > 1:
            words = " and ".join(sorted(group & asked))
            raise UsageError(f"the runtime {runtime} cannot do these in one run, but only in one each: {words}")
