"""What is known of one planted bug: the system that has it, what must catch it, and how it is provoked.

The promise of this package: each system here is a correct one but for the one mistake that its file describes, and
makes the correct one's promises. So whatever a run finds against these promises is that mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nodes.systems.base import Factory, System

PREFIX = "broken/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """One bug.

    ``catches`` is the property that must catch it, as the checkers of histories or the facts about traces call it;
    ``trigger`` the cheapest way to provoke it, in words; ``nodes`` the size of cluster in which it shows.
    ``harmless`` is None, or the reason why no run can tell this system from the correct one: it is then listed and
    searched for like the others, and must not be found. ``by_wall_clock``: its driver tells it the time of day where
    it should tell it elapsed time.
    """

    system: System
    catches: str
    trigger: str
    nodes: int = 5
    harmless: str | None = None
    by_wall_clock: bool = False

    @property
    def name(self) -> str:
        """Its name without the prefix that sets it apart from a correct system."""
        return self.system.name.removeprefix(PREFIX)


def with_bug(system: System, name: str, mistake: str, factory: Factory | None = None, options: Any = None) -> System:
    """``system`` under the name ``broken/NAME``, with another factory or other options, and nothing else changed."""
    return replace(
        system,
        name=PREFIX + name,
        help=mistake,
        command=(PREFIX + name,),
        factory=factory or system.factory,
        options=options or system.options,
    )
