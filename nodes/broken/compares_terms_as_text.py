"""Compares terms as text, so that term 10 is below term 9.

This happens to numbers that pass through a configuration store, a header or a shell script. Caught by term
monotonicity, after ten elections.
"""

from __future__ import annotations

from splitbrain.nodes.broken.base import Broken
from splitbrain.nodes.protocol import Json, Status
from splitbrain.nodes.raft import Raft
from splitbrain.nodes.systems.raft import RAFT_BASIC_SYSTEM


class Text(int):
    """A number in the order of its digits. Python asks it first, whichever side of a comparison it is on."""

    def __lt__(self, other: int) -> bool:
        return str(int(self)) < str(int(other))

    def __le__(self, other: int) -> bool:
        return str(int(self)) <= str(int(other))

    def __gt__(self, other: int) -> bool:
        return str(int(self)) > str(int(other))

    def __ge__(self, other: int) -> bool:
        return str(int(self)) >= str(int(other))


class ComparesTermsAsText(Raft):
    """Keeps its term as text and lets it be compared so."""

    _term = Text(0)

    @property
    def term(self) -> int:
        return self._term

    @term.setter
    def term(self, term: int) -> None:
        self._term = Text(term)

    def status(self, at: int) -> Status:
        return super().status(at)._replace(term=int(self.term))

    def _receive(self, at: int, sender: str, message: Json) -> None:
        super()._receive(at, sender, {**message, "term": int(message["term"])})


BUG = Broken(
    name="compares-terms-as-text",
    of=RAFT_BASIC_SYSTEM,
    mistake="takes term 10 to be below term 9",
    factory=ComparesTermsAsText,
    catches="term-monotonicity",
    trigger="ten elections: isolate leaders, or flap",
    steps=({"at_ms": 2000, "for_ms": 20000, "fault": {"f": "partition", "shape": "flapping", "flap_ms": 700}},),
)
