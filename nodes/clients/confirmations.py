"""A request that is acknowledged, or is not: by its status, or by what it answers."""

from __future__ import annotations

from collections.abc import Mapping

from splitbrain.nodes.clients import formats
from splitbrain.nodes.clients.answers import Answer, WrongAnswer
from splitbrain.nodes.clients.base import OperationFailed, OutcomeUnknown
from splitbrain.nodes.clients.claims import is_usual
from splitbrain.nodes.clients.expressions import Asked, Expression
from splitbrain.nodes.clients.ways import Target, asker
from splitbrain.nodes.systems.probes import Confirm, Format, Way, statuses_of


class Confirmation:
    """Asks one node for an acknowledgement."""

    def __init__(self, confirm: Confirm, target: Target) -> None:
        self._way = confirm.way
        self._asker = asker(confirm.way, target)
        self._format = confirm.format
        self._ok = None if confirm.ok is None else Expression(confirm.ok, statuses_of(confirm.way))
        self._own = target.own

    async def ask(self) -> None:
        """Return if it was acknowledged. Raises OperationFailed or OutcomeUnknown."""
        try:
            answer = await self._asker.ask()
            if self._ok is None:
                _check_status(answer, self._way)
            elif not self._ok.holds(_asked(answer, self._format, self._ok, self._own)):
                raise OperationFailed(f"not ok: {answer.refusal}")
        except WrongAnswer as wrong:  # it was asked for, whatever the answer is
            raise OutcomeUnknown(str(wrong)) from wrong

    async def close(self) -> None:
        await self._asker.close()


def _check_status(answer: Answer, way: Way) -> None:
    """Raise OperationFailed or OutcomeUnknown unless the status is one of success."""
    if not is_usual(answer, way):
        unclear = answer.status is not None and answer.status >= 500
        raise (OutcomeUnknown if unclear else OperationFailed)(answer.refusal)


def _asked(answer: Answer, format: Format, read: Expression, own: Mapping[str, str]) -> Asked:
    value = formats.read(format, answer.body, answer.kind) if read.paths else None
    return Asked(value=value, status=answer.status, own=own)
