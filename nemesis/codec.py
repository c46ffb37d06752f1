"""Faults and triggers as JSON: an object with the name of the class in ``f``, or an ``event``, without default values.

``{"f": "kill", "target": "leader", "state": "lost"}``. Names, groups or links in the place of a role or shape are
written under keys of their own: ``{"f": "kill", "nodes": ["n3"]}``. The constructors of the dataclasses check the
values; this module adds the place in the document to their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar

from splitbrain.names import did_you_mean
from splitbrain.nemesis.faults import FAULTS, Fault, ScheduleError, one_of
from splitbrain.nemesis.targets import Explicit, Groups, Links, Named, OfRole
from splitbrain.nemesis.triggers import Trigger

T = TypeVar("T")
BY_NAME: Mapping[str, type[Fault]] = MappingProxyType({fault.f: fault for fault in FAULTS})
KEYS: Mapping[type[Explicit], str] = MappingProxyType(
    {OfRole: "target", Named: "nodes", Groups: "groups", Links: "links"}
)
"""The key of each way to aim other than by the usual name."""


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """The fault as JSON holds it, keys in a fixed order."""
    return {"f": fault.f, **_given(fault)}


def fault_from_json(value: object, where: str = "fault") -> Fault:
    """The inverse of ``fault_to_json``; ``where`` is how errors name the place. Raises ``ScheduleError``."""
    given = mapping(where, value, required=("f",))
    one_of(f"{where}.f", given["f"], BY_NAME)
    fault = BY_NAME[str(given["f"])]
    keys = tuple(KEYS[each] for each in fault.explicit)
    return _build(fault, _aimed(fault, given, where), where, named=("f",), elsewhere=keys)


def _aimed(fault: type[Fault], given: Mapping[str, object], where: str) -> Mapping[str, object]:
    """The fields of a fault, with names, groups or links in the field that says where it applies."""
    by_key = {KEYS[each]: each for each in fault.explicit}
    keys = [key for key in (fault.aimed_by, *by_key) if key in given]
    if len(keys) > 1:
        raise ScheduleError(f"{where}.{keys[1]}", f"only one of {' and '.join(keys)}", "both")
    if not keys and any(part.name == fault.aimed_by and part.default is MISSING for part in fields(fault)):
        raise ScheduleError(
            where, f"one of the keys {', '.join((fault.aimed_by, *by_key))}", f"only {', '.join(given)}"
        )
    if not keys or keys[0] == fault.aimed_by:
        return given
    rest = {key: item for key, item in given.items() if key != keys[0]}
    return {**rest, fault.aimed_by: by_key[keys[0]](_tuples(given[keys[0]]))}  # type: ignore[arg-type]  # checked there


def _tuples(value: object) -> object:
    """JSON lists as tuples, lists within them too."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def trigger_to_json(trigger: Trigger) -> dict[str, Any]:
    return _given(trigger)


def trigger_from_json(value: object, where: str = "when") -> Trigger:
    """The inverse of ``trigger_to_json``. Raises ``ScheduleError``."""
    return _build(Trigger, value, where)


def _given(value: Any) -> dict[str, Any]:
    """The fields that are not as they would be by default."""
    each = ((field, getattr(value, field.name)) for field in fields(value))
    return dict(_written(field.name, given) for field, given in each if given != field.default)


def _written(name: str, given: Any) -> tuple[str, Any]:
    """The key and value of a field."""
    if not isinstance(given, Explicit):
        return name, given
    (inner,) = (getattr(given, field.name) for field in fields(given))
    return KEYS[type(given)], _lists(inner)


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _build(
    build: Callable[..., T],
    value: object,
    where: str,
    named: tuple[str, ...] = (),
    elsewhere: tuple[str, ...] = (),
) -> T:
    """An instance of the dataclass ``build`` from an object with its fields, and those ``named`` besides.

    Errors list the keys ``elsewhere`` too.
    """
    parts = fields(build)  # type: ignore[arg-type]  # a dataclass's constructor is the dataclass
    given = mapping(
        where,
        value,
        required=(*named, *(part.name for part in parts if part.default is MISSING)),
        optional=(*elsewhere, *(part.name for part in parts if part.default is not MISSING)),
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
    keys = tuple(dict.fromkeys((*required, *optional)))
    for key in value:
        if closed and key not in keys:
            got = f"{key!r}{did_you_mean(str(key), keys)}"
            raise ScheduleError(f"{where}.{key}", f"no other keys than {', '.join(keys)}", got)
    return value
