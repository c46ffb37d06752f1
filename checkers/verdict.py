"""Verdicts: valid, unknown or invalid, with the evidence.

The worst of several wins (invalid > unknown > valid), as in Jepsen's ``merge-valid``. "Unknown" is never a pass: the
harness rests on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from splitbrain.names import Guarantee


class Outcome(IntEnum):
    """The three outcomes, ordered so that the worst of several is their ``max``."""

    VALID = 0
    UNKNOWN = 1
    INVALID = 2

    @property
    def word(self) -> str:
        """The outcome as histories and reports write it: "valid", "unknown" or "invalid"."""
        return self.name.lower()


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of several outcomes; UNKNOWN if there are none."""
    return max(outcomes, default=Outcome.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One violation that the history proves.

    ``guarantee`` is the one that it breaks. ``evidence`` holds indexes of history lines. The violation lies in the
    closed interval [``start``, ``end``], in ns.
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
    """The result of one checker, as if everything were promised; ``checkers.judge`` weighs it against the promises.

    ``words`` is one sentence for a reader. ``facts`` are measured figures, all of them JSON values.
    """

    property: str
    outcome: Outcome
    words: str
    evidence: tuple[int, ...] = ()
    kind: str | None = None  # exclusivity only: proven, possible or excluded
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
