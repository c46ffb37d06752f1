"""Ways of asking one node of a described system, one module each, all with one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from splitbrain.nodes.clients.answers import Answer
from splitbrain.nodes.clients.base import Endpoint
from splitbrain.nodes.systems.probes import Http, Way


class Asker(Protocol):
    """Asks one node one question, as often as wanted.

    Answers are bounded in size, and belong to the question that was just asked. ``ask`` raises OperationFailed or
    OutcomeUnknown; timeouts are the caller's, which cancels the call.
    """

    async def ask(self) -> Answer: ...

    async def close(self) -> None: ...


def asker(way: Way, endpoint: Endpoint, own: Mapping[str, str]) -> Asker:
    """The asker of that way for a node; ``own`` are the placeholders that stand for it."""
    match way:
        case Http():
            from splitbrain.nodes.clients.ways.http import HttpAsker

            return HttpAsker(way, endpoint, own)
