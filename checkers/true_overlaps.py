"""One leader at an instant, by the nodes' own state: no two true reigns of a simulated run share an instant.

Observers see two leaders only if both claims last long enough; a simulation knows when each reign began and ended. So
this finds the overlaps that ``exclusivity`` misses, and is judged only where exclusivity is guaranteed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Verdict
from splitbrain.checkers.witness import judged, not_judged, seen_inside
from splitbrain.checkers.words import duration, during
from splitbrain.names import REIGNED, Guarantee

PROPERTY = "one-leader-at-an-instant"
GUARANTEE: Guarantee = "exclusivity"
MOST_FINDINGS = 200


class _Reign(NamedTuple):
    began: int
    ended: int
    node: str
    line: int


def check(history: History) -> Verdict:
    """Check that no two nodes led at one instant. The evidence is the two lines of their reigns."""
    reigns = sorted(_reigns(history))
    if not reigns:
        return not_judged(PROPERTY, "no node ever led")
    return judged(PROPERTY, tuple(_overlaps(reigns)), "no two nodes led at one instant, by their own state")


def _reigns(history: History) -> Iterator[_Reign]:
    for event, facts in seen_inside(history, REIGNED):
        match facts:
            case {"began": int(began), "ended": int(ended)} if began < ended:  # not over before the history began
                yield _Reign(began, ended, event.node, event.index)
            case _:
                pass


def _overlaps(reigns: list[_Reign]) -> Iterator[Finding]:
    """The first pairs that share an instant, of reigns in order of their beginnings."""
    going_on: list[_Reign] = []
    found = 0
    for reign in reigns:
        going_on = [each for each in going_on if each.ended > reign.began]
        for other in going_on:
            if other.node != reign.node and found < MOST_FINDINGS:
                found += 1
                yield _finding(other, reign, min(other.ended, reign.ended))
        going_on.append(reign)


def _finding(first: _Reign, second: _Reign, end: int) -> Finding:
    start = second.began
    return Finding(
        guarantee=GUARANTEE,
        words=f"{first.node} and {second.node} both led for {duration(end - start)} {during(start, end)}, "
        "by their own state",
        evidence=tuple(sorted((first.line, second.line))),
        start=start,
        end=end,
        nodes=(first.node, second.node),
    )
