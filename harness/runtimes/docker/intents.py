"""Intents: actions of the harness on the nodes' containers, so that the engine's reports of other causes stand out.

The engine reports that a container ended or started, and not the cause. A report is of our doing if its time lies
between the instants at which the harness began the action and was done.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Final, Literal

from splitbrain.names import NEMESIS

Action = Literal["die", "start", "pause", "ration", "stop"]
"""Actions as the engine names them, and ``ration`` and ``stop`` (by a signal), which last from beginning to end."""

REMEMBERED: Final = 64  # past intents of one node and action; reports come within seconds


@dataclass(slots=True)
class _Intent:
    by: str
    since: int
    until: int | None = None


class Intents:
    """The intents of one run, by node and action. Times are ns of this machine's wall clock."""

    def __init__(self) -> None:
        self._intents: defaultdict[tuple[str, Action], deque[_Intent]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def begin(self, node: str, action: Action, by: str = NEMESIS) -> None:
        """The harness is about to bring this about."""
        self._intents[node, action].append(_Intent(by, time.time_ns()))

    def end(self, node: str, action: Action) -> None:
        """What has been begun has happened, if it ever will."""
        for intent in self._intents[node, action]:
            intent.until = intent.until or time.time_ns()

    def by(self, node: str, action: Action, at: int) -> str | None:
        """The part of the harness that caused the action at ``at`` (ns); None if none did."""
        known = (each for each in self._intents[node, action] if each.since <= at <= (each.until or at))
        return next((each.by for each in known), None)

    def since(self, node: str, action: Action, at: int) -> bool:
        """True if this was under way at any time since ``at``."""
        return any(intent.until is None or intent.until >= at for intent in self._intents[node, action])

    def under_way(self, node: str, action: Action) -> bool:
        """True if this has been begun and is not over."""
        return any(intent.until is None for intent in self._intents[node, action])
