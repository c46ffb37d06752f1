"""A set that a described system keeps, added to and read by requests of the description.

Each request is made by an asker of its own, since its words change with the element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from splitbrain.nodes.clients import formats
from splitbrain.nodes.clients.answers import WrongAnswer, shown, text
from splitbrain.nodes.clients.base import OperationFailed
from splitbrain.nodes.clients.claims import is_usual
from splitbrain.nodes.clients.confirmations import Confirmation
from splitbrain.nodes.clients.expressions import Asked, Expression
from splitbrain.nodes.clients.ways import Target, asker
from splitbrain.nodes.systems.probes import ELEMENT, KeptSet, statuses_of


class KeptSetClient:
    """Client for the set of a system with these nodes."""

    def __init__(self, kept: KeptSet, targets: Mapping[str, Target]) -> None:
        self._kept = kept
        self._targets = targets
        self._members = Expression(kept.members, statuses_of(kept.read.way))

    async def add(self, node: str, element: str) -> None:
        """Return when the node has acknowledged the element. Raises OperationFailed or OutcomeUnknown."""
        if node not in self._targets:
            raise OperationFailed(f"{node} is no node")
        target = self._targets[node]
        request = Confirmation(self._kept.add, replace(target, own={**target.own, ELEMENT: element}))
        try:
            await request.ask()
        finally:
            await request.close()

    async def read(self, node: str) -> Sequence[str]:
        """The elements as the node has them. Raises OperationFailed or OutcomeUnknown."""
        way, format, target = self._kept.read.way, self._kept.read.format, self._targets[node]
        asked = asker(way, target)
        try:
            answer = await asked.ask()
        finally:
            await asked.close()
        if not is_usual(answer, way):
            raise WrongAnswer(answer.refusal)
        value = formats.read(format, answer.body, answer.kind)
        return members_in(self._members.value(Asked(value=value, own=target.own)), self._members.text)


def members_in(value: Any, place: str) -> Sequence[str]:
    """The elements in a list of texts, or of rows with one column. Raises WrongAnswer."""
    if not isinstance(value, list):
        raise WrongAnswer(f"{place}: expected a list, got {shown(value)}")
    found = [next(iter(each.values())) if isinstance(each, dict) and len(each) == 1 else each for each in value]
    return sorted(str(text(each, place)) for each in found)
