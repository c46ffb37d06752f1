"""The overlaps of two leaders that a history proves, compared with those that the simulation knows of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from splitbrain.checkers import exclusivity
from splitbrain.checkers.history import History
from splitbrain.runtimes.sim.ground_truth import Overlap, TrueReign, overlaps

Pair = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class RunWithTruth:
    """The recorded history of a run and its true reigns.

    ``reigns`` are in true time; the history begins at ``zero_ns`` of true time.
    """

    history: History
    reigns: tuple[TrueReign, ...]
    zero_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """Findings of histories compared with the ground truth: lengths in ns of true overlaps, number of false ones."""

    proven: tuple[int, ...]
    missed: tuple[int, ...]
    false: int

    @property
    def true(self) -> int:
        return len(self.proven) + len(self.missed)


def compare(run: RunWithTruth) -> Accuracy:
    """Compare the findings in the history of a run with the ground truth."""
    true = {_pair(each): each for each in overlaps(run.reigns)}
    verdict = exclusivity.check(run.history)
    proven: set[Pair] = set()
    false = 0
    for finding in verdict.findings:
        pair = frozenset(zip(finding.nodes, finding.facts["reigns"], strict=True))
        real = true.get(pair)
        if real is None or not _meets(real, finding.start, finding.end, finding.facts["momentary"], run.zero_ns):
            false += 1
        else:
            proven.add(pair)
    return Accuracy(
        proven=tuple(each.ended - each.began for pair, each in true.items() if pair in proven),
        missed=tuple(each.ended - each.began for pair, each in true.items() if pair not in proven),
        false=false,
    )


def _pair(overlap: Overlap) -> Pair:
    return frozenset((reign.node, reign.reign) for reign in (overlap.first, overlap.second))


def _meets(real: Overlap, start: int, end: int, momentary: bool, zero: int) -> bool:
    """True if the overlap covers the period of the finding, or for a momentary one meets it."""
    began, ended = real.began - zero, real.ended - zero
    return began <= end and start < ended if momentary else began <= start and end < ended


def total(each: Iterable[Accuracy]) -> Accuracy:
    """The sum of several comparisons."""
    all_of = tuple(each)
    return Accuracy(
        proven=tuple(length for one in all_of for length in one.proven),
        missed=tuple(length for one in all_of for length in one.missed),
        false=sum(one.false for one in all_of),
    )
