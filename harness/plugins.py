"""Parts that other packages ship, found by their entry points (Python Packaging User Guide, "Entry points").

A package names, say, a nemesis in its ``pyproject.toml``:

    [project.entry-points."splitbrain.nemeses"]
    monsoon = "my_package.nemeses:MONSOON"

The name of the entry point is the name of the part. Entry points are looked up once in a process (some 2 ms a group),
when a part of that group is first asked for. Searches through many schedules deal built-in nemeses only, so that one
seed means the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")
Group = Literal["systems", "nemeses", "workloads", "checkers"]
PREFIX: Final = "splitbrain."


class PluginError(Exception):
    """A package that is installed ships something that cannot be used; the message names both."""

    exit_status = 3


@dataclass(frozen=True, slots=True)
class Shipped(Generic[T]):
    """A part, and the package that ships it: its name and version."""

    value: T
    package: str


def shipped(group: Group, kind: type[T]) -> Mapping[str, Shipped[T]]:
    """The parts of that group that installed packages ship, by name. Raises PluginError."""
    found = _shipped(group)
    for name, part in found.items():
        if not isinstance(part.value, kind) or getattr(part.value, "name", name) != name:
            expected = f"a {kind.__name__} of that name"
            raise PluginError(f"{part.package}: the entry point {PREFIX}{group} {name}: expected {expected}")
    return found


def with_shipped(built_in: Mapping[str, T], group: Group, kind: type[T]) -> Mapping[str, T]:
    """The built-in parts of that group and those that packages ship, by name; a built-in one keeps its name."""
    others = {name: part.value for name, part in shipped(group, kind).items() if name not in built_in}
    return {**built_in, **others}


@cache
def _shipped(group: Group) -> Mapping[str, Shipped[Any]]:
    from importlib.metadata import entry_points  # imports much, and most commands need it not

    return {point.name: _loaded(point) for point in sorted(entry_points(group=f"{PREFIX}{group}"))}


def _loaded(point: EntryPoint) -> Shipped[Any]:
    package = "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    try:
        return Shipped(point.load(), package)
    except Exception as failure:
        words = f"{type(failure).__name__}: {failure}"
        raise PluginError(f"{package}: the entry point {point.group} {point.name}: {words}") from failure
