"""Counts an answer to its heartbeat whatever term the answer speaks of: voters that have left still support it.

The reply's term is the only word that the voter has gone over to somebody else (Ongaro & Ousterhout 2014, figure 2).
That higher terms are adopted must catch it; where the old leader is not told otherwise, its lease lasts beside the
new one. Cheapest trigger: a leader that is cut off for about a timeout, and heard again before it has given up.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_LEASE_SYSTEM


class CountsForeignAnswers(Raft):
    """Reads every answer as one in its own term."""

    def _on_heartbeat_reply(self, at: int, sender: str, term: int, round_: int) -> None:
        super()._on_heartbeat_reply(at, sender, self.term, round_)


BUG = Broken(
    name="counts-foreign-answers",
    of=RAFT_LEASE_SYSTEM,
    mistake="counts answers of another term for its lease",
    factory=CountsForeignAnswers,
    catches="higher-term-adopted",
    trigger="cut the leader off, on and off, for about a timeout each",
)
