"""A schedule: a timed list of faults that ends healed.

Times are whole milliseconds from the start of the fault phase. A step's fault begins at ``at_ms`` and is healed
``for_ms`` later; one with a trigger waits from ``at_ms`` for an event, and its window begins with that. Steps may
overlap. A ``Schedule`` cannot be built unless its steps are in order and all are healed before the phase ends, so a
runner needs no clean-up of its own.

As JSON, version 1::

    {"format": 1, "length_ms": 60000,
     "steps": [{"at_ms": 2000, "for_ms": 5500, "fault": {"f": "partition", "shape": "isolated-leader"}},
               {"at_ms": 4000, "for_ms": 50, "fault": {"f": "kill", "target": "subject"},
                "when": {"event": "new-leader", "count": 2}}]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

from splitbrain.nemesis.codec import fault_from_json, fault_to_json, mapping, trigger_from_json, trigger_to_json
from splitbrain.nemesis.faults import Fault, ScheduleError, integer, one_of
from splitbrain.nemesis.targets import GROUPS, Group
from splitbrain.nemesis.triggers import Trigger

FORMAT = 1
MS_PER_HOUR = 3_600_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One fault and its window: [at_ms, at_ms + for_ms), or ``for_ms`` from the event ``when``.

    A fault aimed at the ``subject`` needs a trigger to have one. ``among`` says which machines the fault's roles and
    shapes are about. Only ``again`` may a role be filled by a node that is faulty in the same way already.
    """

    at_ms: int
    for_ms: int
    fault: Fault
    when: Trigger | None = None
    among: Group = "nodes"
    again: bool = False

    def __post_init__(self) -> None:
        integer("at_ms", self.at_ms, at_least=0)
        integer("for_ms", self.for_ms, at_least=1)
        one_of("among", self.among, GROUPS)
        if not isinstance(self.again, bool):
            raise ScheduleError("again", "true or false", repr(self.again))
        if self.when is None and self.fault.role == "subject":
            raise ScheduleError("when", "a trigger, for a fault that is aimed at its subject", "nothing")

    @property
    def end_ms(self) -> int:
        """When it is healed at the latest."""
        return self.at_ms + self.for_ms + (0 if self.when is None else self.when.within_ms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Steps in the order of their beginnings, all healed before ``length_ms``; else a ``ScheduleError``."""

    steps: tuple[Step, ...]
    length_ms: int

    def __post_init__(self) -> None:
        integer("length_ms", self.length_ms, at_least=1)
        for i, (before, after) in enumerate(pairwise(self.steps), start=1):
            if after.at_ms < before.at_ms:
                expected = f"at least {before.at_ms}, when the step before begins"
                raise ScheduleError(f"steps[{i}].at_ms", expected, str(after.at_ms))
        for i, step in enumerate(self.steps):
            if step.end_ms >= self.length_ms:
                left = self.length_ms - (step.end_ms - step.for_ms)
                expected = f"less than {left}, to be healed before length_ms ({self.length_ms})"
                raise ScheduleError(f"steps[{i}].for_ms", expected, str(step.for_ms))


def fault_windows_per_hour(schedule: Schedule) -> float:
    """The number of faults per hour of the schedule."""
    return len(schedule.steps) * MS_PER_HOUR / schedule.length_ms


def step_rng(seed: int, step: Step) -> Random:
    """The random generator for aiming one step, seeded by the run's seed and the beginning of the step only.

    So when a failing schedule is shrunk to the steps that matter, those that stay are aimed as before.
    """
    return Random(f"{seed}/{step.at_ms}")  # a string seeds the same generator in every process


def to_json(schedule: Schedule) -> dict[str, Any]:
    """The schedule as JSON holds it, keys in a fixed order."""
    return {
        "format": FORMAT,
        "length_ms": schedule.length_ms,
        "steps": [_step_to_json(step) for step in schedule.steps],
    }


def _step_to_json(step: Step) -> dict[str, Any]:
    when = {} if step.when is None else {"when": trigger_to_json(step.when)}
    among = {} if step.among == "nodes" else {"among": step.among}
    again = {"again": True} if step.again else {}
    return {"at_ms": step.at_ms, "for_ms": step.for_ms, "fault": fault_to_json(step.fault), **when, **among, **again}


def from_json(value: object) -> Schedule:
    """The inverse of ``to_json``. Raises ``ScheduleError`` with the place, the expected and the given value."""
    fields = mapping("schedule", value, required=("format", "length_ms", "steps"), closed=True)
    if type(fields["format"]) is not int or fields["format"] != FORMAT:  # True == 1
        raise ScheduleError("format", f"{FORMAT}, the only version there is", repr(fields["format"]))
    steps = fields["steps"]
    if not isinstance(steps, Sequence) or isinstance(steps, str):
        raise ScheduleError("steps", "a list", repr(steps))
    return Schedule(
        steps=tuple(_step_from_json(step, f"steps[{i}]") for i, step in enumerate(steps)),
        length_ms=integer("length_ms", fields["length_ms"], at_least=1),
    )


def _step_from_json(value: object, where: str) -> Step:
    optional = ("when", "among", "again")
    fields = mapping(where, value, required=("at_ms", "for_ms", "fault"), optional=optional, closed=True)
    fault = fault_from_json(fields["fault"], f"{where}.fault")
    when = trigger_from_json(fields["when"], f"{where}.when") if "when" in fields else None
    try:
        return Step(
            at_ms=integer("at_ms", fields["at_ms"], at_least=0),
            for_ms=integer("for_ms", fields["for_ms"], at_least=1),
            fault=fault,
            when=when,
            among=fields.get("among", "nodes"),  # type: ignore[arg-type]  # checked by Step
            again=fields.get("again", False),  # type: ignore[arg-type]  # as well
        )
    except ScheduleError as wrong:
        raise ScheduleError(f"{where}.{wrong.where}", wrong.expected, wrong.got) from wrong


def dumps(schedule: Schedule) -> str:
    """The text of a ``schedule.json``: the same for equal schedules, ending in a newline."""
    return json.dumps(to_json(schedule), indent=1) + "\n"


def loads(text: str) -> Schedule:
    """The inverse of ``dumps``; text that is no JSON is a ``ScheduleError`` too."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ScheduleError(f"line {error.lineno} column {error.colno}", "JSON", error.msg) from error
    return from_json(value)
