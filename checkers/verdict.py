"""What a checker answers: valid, unknown or invalid, with the evidence.

Three values, and the worst of several wins (invalid > unknown > valid). "Could not tell" is never a pass: the
whole harness rests on that (Jepsen's ``merge-valid`` orders them the same way).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from splitbrain.names import Guarantee


class Outcome(IntEnum):
    """Ordered so that the worst of several is their ``max``."""

    VALID = 0
    UNKNOWN = 1
    INVALID = 2

    @property
    def word(self) -> str:
        return self.name.lower()


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several; of none at all nothing is known."""
    return max(outcomes, default=Outcome.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One violation, as the history proves it.

    ``guarantee`` is the one that it breaks. ``evidence`` are indexes of history lines; ``start`` and ``end`` (ns,
    closed) bound the time that it is about.
    """

    guarantee: Guarantee
    words: str
    evidence: tuple[int, ...]
    start: int
    end: int
    nodes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What one property's checker found, as if everything were promised; ``checkers.judge`` holds it to a contract.

    ``words`` is one sentence for a reader. ``facts`` are measured figures, all of them what JSON can hold.
    """

    property: str
    outcome: Outcome
    words: str
    evidence: tuple[int, ...] = ()
    kind: str | None = None  # of exclusivity: proven, possible or excluded
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
