"""Shrink a case to the fewest faults, smallest cluster, shortest run and roundest numbers that still reproduce it.

Delta debugging (A. Zeller & R. Hildebrandt, 2002) on the schedule as JSON, so that a new kind of fault shrinks like the
others: steps are removed, numbers go towards zero or a rounder one, and results that are no valid schedule are skipped.
The targets of a fault depend on the seed, so a schedule with one fault less often reproduces a finding only with
another seed. Each removal is therefore tried again with many seeds, which gets from five faults to two.

Every step keeps the broken promise and the kind of evidence of the original case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from splitbrain.campaigns.hunt.case import Case, FailureSignature, needs_white_box, run_case
from splitbrain.errors import UsageError
from splitbrain.nemesis import schedules
from splitbrain.nemesis.faults import ScheduleError
from splitbrain.nemesis.partitions import ImpossibleShape
from splitbrain.nemesis.schedules import Schedule
from splitbrain.user_systems.lookup import find_system

SECONDS: Final = 25.0
SEEDS: Final = 300
FEW_SEEDS: Final = 20
CALMER_WHEN_HIGH: Final = frozenset({"flap_ms"})
ROUND_MS: Final = (1_000, 500, 250, 100, 50, 10)
GRAIN_MS: Final = 500  # granularity of the length of a run

Test = Callable[[Case], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shrunk:
    """The result of shrinking: the smallest case reached, and the number of cases tried.

    ``in_time`` is False if time ran out before the case was minimal.
    """

    case: Case
    tried: int
    in_time: bool


class OutOfTime(Exception):
    """The time for shrinking is up."""


def shrink(case: Case, signature: FailureSignature, seconds: float = SECONDS) -> Shrunk:
    """The smallest case found within the time; the case itself if none is smaller."""
    tests = _Tests(signature, time.monotonic() + seconds)
    best = case
    in_time = True
    try:
        for smaller in descend(case, tests):
            best = smaller
    except OutOfTime:
        in_time = False
    return Shrunk(case=best, tried=tests.tried, in_time=in_time)


class _Tests:
    """Tests that a case still breaks the promise, each case once."""

    def __init__(self, signature: FailureSignature, until: float) -> None:
        self._signature = signature
        self._until = until
        self._known: dict[Case, bool] = {}
        self.tried = 0

    def __call__(self, case: Case) -> bool:
        known = self._known.get(case)
        if known is None:
            if time.monotonic() >= self._until:
                raise OutOfTime
            self.tried += 1
            known = self._known[case] = still(case, self._signature)
        return known


def still(case: Case, signature: FailureSignature) -> bool:
    """True if the case breaks that promise with that kind of evidence."""
    try:
        return signature in run_case(
            case, white_box=needs_white_box(signature.property), wanted=signature.property
        ).signatures(signature.property)
    except (ImpossibleShape, UsageError):  # a fault that needs more nodes
        return False


def descend(case: Case, test: Test) -> Iterator[Case]:
    """Ever smaller cases that pass the test; no reduction of the last one does."""
    best = case
    for smaller in _fewer_steps(best, test):
        yield (best := smaller)
    plain = replace(best, workload="election")
    if plain != best and test(plain):
        yield (best := plain)
    for smaller in _fewer_nodes(best, test):
        yield (best := smaller)
    for smaller in _calmer(best, test):
        yield (best := smaller)
    for smaller in _reseeded(best, test):
        yield (best := smaller)
    for smaller in _calmer(best, test):
        yield (best := smaller)


def _fewer_steps(case: Case, test: Test) -> Iterator[Case]:
    """Remove halves, quarters, ... single steps, with the same seed."""
    size = max(1, len(case.schedule.steps) // 2)
    while size and case.schedule.steps:
        for at in range(0, len(case.schedule.steps), size):
            steps = case.schedule.steps
            fewer = _with_steps(case, steps[:at] + steps[at + size :])
            if test(fewer):
                case = fewer
                yield case
                break
        else:
            size //= 2


def _fewer_nodes(case: Case, test: Test) -> Iterator[Case]:
    least = max(1, find_system(case.system).min_nodes)
    for nodes in range(least, case.nodes):
        for seed in (case.seed, *range(FEW_SEEDS)):
            fewer = replace(case, nodes=nodes, seed=seed)
            if test(fewer):
                yield fewer
                return


def _reseeded(case: Case, test: Test) -> Iterator[Case]:
    """Remove one step after the other, each with many seeds; then look for a small seed."""
    again = True
    while again and case.schedule.steps:
        again = False
        for fewer in _one_less(case):
            # A finding that needs no fault shows with most seeds.
            seeds = SEEDS if fewer.schedule.steps else FEW_SEEDS
            found = next((c for c in _with_seeds(fewer, seeds) if test(c)), None)
            if found is not None:
                again, case = True, found
                yield case
                break
    found = next((c for c in _with_seeds(case, min(FEW_SEEDS, case.seed)) if test(c)), None)
    if found is not None:
        yield found


def _one_less(case: Case) -> Iterator[Case]:
    steps = case.schedule.steps
    return (_with_steps(case, steps[:at] + steps[at + 1 :]) for at in range(len(steps)))


def _with_seeds(case: Case, seeds: int) -> Iterator[Case]:
    return (replace(case, seed=seed) for seed in range(seeds))


def _calmer(case: Case, test: Test) -> Iterator[Case]:
    """Move steps earlier, drop optional fields, and reduce or round every number."""
    again = True
    while again:
        again = False
        for calmer in _candidates(case):
            if test(calmer):
                again, case = True, calmer
                yield case
                break


def _candidates(case: Case) -> Iterator[Case]:
    """Cases with one simplification each, large ones first. Each is smaller by ``_weight``, so shrinking terminates."""
    value = schedules.to_json(case.schedule)
    weight = _weight(value)
    for changed in (*_sooner(value), *_plainer(value), *_numbers_changed(value)):
        schedule = _read(changed)
        if schedule is not None and _weight(changed) < weight:
            yield replace(case, schedule=schedule)


def _weight(value: dict[str, Any]) -> tuple[int, int, int]:
    """The size of a schedule: its number of fields, the sum of its numbers, and the digits they need."""
    numbers = [number for _, number in _numbers(value)]
    fields = sum(len(step) + len(step["fault"]) for step in value["steps"])
    return fields, value["length_ms"] + sum(map(abs, numbers)), sum(len(str(number).rstrip("0")) for number in numbers)


def _sooner(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schedule with an earlier end, or with all steps from one on moved earlier."""
    steps = value["steps"]
    ends = max((step["at_ms"] + step["for_ms"] for step in steps), default=0)
    for spare in (1, 2, 4):
        length = (ends // GRAIN_MS + spare) * GRAIN_MS
        if length < value["length_ms"]:
            yield {**value, "length_ms": length}
    for first in range(len(steps)):
        gap = steps[first]["at_ms"] - (steps[first - 1]["at_ms"] if first else 0)
        for sooner in (gap, gap // 2, gap // 4):
            if sooner:
                yield {
                    **value,
                    "length_ms": value["length_ms"] - sooner,
                    "steps": steps[:first] + [{**step, "at_ms": step["at_ms"] - sooner} for step in steps[first:]],
                }


Path = tuple[str | int, ...]


def _plainer(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schedule without one field of a step or fault; removing a required field gives no valid schedule."""
    for at, step in enumerate(value["steps"]):
        for key in step:
            yield _with_step(value, at, {name: item for name, item in step.items() if name != key})
        for key in step["fault"]:
            fault = {name: item for name, item in step["fault"].items() if name != key}
            yield _with_step(value, at, {**step, "fault": fault})


def _with_step(value: dict[str, Any], at: int, step: dict[str, Any]) -> dict[str, Any]:
    steps = value["steps"]
    return {**value, "steps": [*steps[:at], step, *steps[at + 1 :]]}


def _numbers_changed(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, number in _numbers(value):
        for smaller in _smaller(number):
            yield _changed(value, path, smaller)


def _smaller(number: int) -> Iterator[int]:
    """Zero and other integers closer to zero: fractions of the number, and rounder ones."""
    size, sign = abs(number), 1 if number > 0 else -1
    rounder = [size // grain * grain for grain in ROUND_MS]
    for smaller in dict.fromkeys((0, 1, size // 4, size // 2, size * 3 // 4, size * 7 // 8, *rounder)):
        if smaller < size:
            yield sign * smaller


def _numbers(value: Any, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Every nonzero integer of a schedule's steps with its path."""
    match value:
        case bool():
            return
        case int() if value and path[0] == "steps":
            yield path, value
        case dict():
            for key, item in value.items():
                if key not in CALMER_WHEN_HIGH:
                    yield from _numbers(item, (*path, key))
        case list():
            for at, item in enumerate(value):
                yield from _numbers(item, (*path, at))


def _changed(value: Any, path: Path, number: int) -> Any:
    if not path:
        return number
    first, *rest = path
    if isinstance(value, dict):
        return {**value, first: _changed(value[first], tuple(rest), number)}
    return [_changed(item, tuple(rest), number) if at == first else item for at, item in enumerate(value)]


def _read(value: dict[str, Any]) -> Schedule | None:
    try:
        return schedules.from_json(value)
    except ScheduleError:
        return None


def _with_steps(case: Case, steps: tuple[schedules.Step, ...]) -> Case:
    return replace(case, schedule=Schedule(steps=steps, length_ms=case.schedule.length_ms))
