"""A planted bug: the correct system that has it, the property that must catch it, and the faults that provoke it.

Each broken system is a correct one with a single mistake, described in its file, and is held to the correct system's
promises. So any violation that a run finds is that mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from splitbrain.nodes.systems.base import Factory, System

PREFIX = "broken/"

Step: TypeAlias = Mapping[str, Any]
"""One step of a schedule, in the JSON format of ``nemesis.schedules``: ``at_ms``, ``for_ms``, ``fault``, ``when``."""

LEADER_ISOLATED_AT_MS: Final = (2000, 4500, 7000)
CONTESTED_ELECTIONS: Final[tuple[Step, ...]] = (
    # Delays so uneven that candidates meet: a request takes from a third to all of the spread of the timeouts.
    {"at_ms": 1000, "for_ms": 9000, "fault": {"f": "delay", "ms": 20, "jitter_ms": 120}},
    *(
        {"at_ms": at_ms, "for_ms": 1000, "fault": {"f": "partition", "shape": "isolated-leader"}}
        for at_ms in LEADER_ISOLATED_AT_MS
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """One bug, by its ``name``: the correct system ``of``, with another factory or other options.

    ``mistake`` says in a few words what the system does wrong. ``catches`` is the property that must catch it, by its
    name among the checkers of histories or the invariants of elections. ``trigger`` is the cheapest way to provoke it
    in words, and ``steps`` the same as steps of a schedule, empty for a bug that shows without faults. ``nodes`` is
    the cluster size in which it shows. ``harmless`` is None, or the reason why no run can distinguish this system from
    the correct one: the bug is then searched for like the others, and must not be found. ``by_wall_clock``: its driver
    passes the time of day where a node expects elapsed time.
    """

    name: str
    of: System
    mistake: str
    catches: str
    trigger: str
    steps: tuple[Step, ...] = ()
    factory: Factory | None = None
    options: Any = None
    nodes: int = 5
    harmless: str | None = None
    by_wall_clock: bool = False

    @property
    def system(self) -> System:
        """The broken system, named ``broken/NAME``, with the promises, bounds and roles of the correct one."""
        return replace(
            self.of,
            name=PREFIX + self.name,
            help=self.mistake,
            factory=self.factory or self.of.factory,
            options=self.options or self.of.options,
            features=self.of.features | ({"wall-clock"} if self.by_wall_clock else set()),
        )
