"""What is known of one planted bug: which correct system has it, what must catch it, and how it is provoked.

The promise of this package: each system here is a correct one but for the one mistake that its file describes, and
makes the correct one's promises. So whatever a run finds against these promises is that mistake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from splitbrain.nodes.systems.base import Factory, System

PREFIX = "broken/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """One bug, by its ``name``: the correct system ``of``, with another factory or other options.

    ``mistake`` is what it does, in a few words; ``catches`` the property that must catch it, as the checkers of
    histories or the facts about traces call it; ``trigger`` the cheapest way to provoke it, in words; ``nodes`` the
    size of cluster in which it shows. ``harmless`` is None, or the reason why no run can tell this system from the
    correct one: it is then searched for like the others, and must not be found. ``by_wall_clock``: its driver tells it
    the time of day where it should tell it elapsed time.
    """

    name: str
    of: System
    mistake: str
    catches: str
    trigger: str
    factory: Factory | None = None
    options: Any = None
    nodes: int = 5
    harmless: str | None = None
    by_wall_clock: bool = False

    @property
    def system(self) -> System:
        """The broken system, under the name ``broken/NAME``: its promises, bounds and roles are the correct one's."""
        return replace(
            self.of,
            name=PREFIX + self.name,
            help=self.mistake,
            factory=self.factory or self.of.factory,
            options=self.options or self.of.options,
            by_wall_clock=self.by_wall_clock,
        )
