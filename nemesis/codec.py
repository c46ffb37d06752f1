"""Faults and triggers as JSON: an object with the name of the class in ``f``, or an ``event``, without default values.

``{"f": "kill", "target": "leader", "state": "lost"}``. The constructors of the dataclasses check the values; this
module adds the place in the document to their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar

from splitbrain.nemesis.faults import FAULTS, Fault, ScheduleError, one_of
from splitbrain.nemesis.triggers import Trigger

T = TypeVar("T")
BY_NAME: Mapping[str, Callable[..., Fault]] = MappingProxyType({fault.f: fault for fault in FAULTS})


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """The fault as JSON holds it, keys in a fixed order."""
    return {"f": fault.f, **_given(fault)}


def fault_from_json(value: object, where: str = "fault") -> Fault:
    """The inverse of ``fault_to_json``; ``where`` is how errors name the place. Raises ``ScheduleError``."""
    name = mapping(where, value, required=("f",))["f"]
    one_of(f"{where}.f", name, BY_NAME)
    return _build(BY_NAME[str(name)], value, where, named=("f",))


def trigger_to_json(trigger: Trigger) -> dict[str, Any]:
    return _given(trigger)


def trigger_from_json(value: object, where: str = "when") -> Trigger:
    """The inverse of ``trigger_to_json``. Raises ``ScheduleError``."""
    return _build(Trigger, value, where)


def _given(value: Any) -> dict[str, Any]:
    """The fields that are not as they would be by default."""
    each = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: given for field, given in each if given != field.default}


def _build(build: Callable[..., T], value: object, where: str, named: tuple[str, ...] = ()) -> T:
    """An instance of the dataclass ``build`` from an object with its fields, and those ``named`` besides."""
    parts = fields(build)  # type: ignore[arg-type]  # a dataclass's constructor is the dataclass
    given = mapping(
        where,
        value,
        required=(*named, *(part.name for part in parts if part.default is MISSING)),
        optional=tuple(part.name for part in parts if part.default is not MISSING),
        closed=True,
    )
    try:
        return build(**{key: item for key, item in given.items() if key not in named})
    except ScheduleError as wrong:
        raise ScheduleError(f"{where}.{wrong.where}", wrong.expected, wrong.got) from wrong


def mapping(
    where: str,
    value: object,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
    closed: bool = False,
) -> Mapping[str, object]:
    """``value`` if it is an object with the required keys and, if closed, no unknown ones."""
    if not isinstance(value, Mapping):
        raise ScheduleError(where, f"an object with {', '.join(required)}", repr(value))
    for key in required:
        if key not in value:
            raise ScheduleError(f"{where}.{key}", "this key", "nothing")
    keys = (*required, *optional)
    for key in value:
        if closed and key not in keys:
            raise ScheduleError(f"{where}.{key}", f"no other keys than {', '.join(keys)}", repr(key))
    return value
