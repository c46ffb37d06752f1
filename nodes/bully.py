"""The Bully election: of those that answer in time, the one with the highest name leads.

H. Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on Computers C-31(1), 1982, in the
form that textbooks give it (Coulouris et al., "Distributed Systems", 5th ed., section 15.3): whoever suspects the
leader, or has just started, asks all that outrank it; who is asked says OK and holds an election of its own, unless
one is in progress; who hears no OK within ``ok_timeout`` is the leader and tells all below; who hears one waits
``coordinator_timeout`` longer for word of a leader, and else begins again.

The promise: while messages take less than half of ``ok_timeout``, no process pauses and nothing is cut, all live
nodes come to follow the highest of them. Without these assumptions it keeps nothing: two parts of a cluster, or a
pause, make two leaders, and the 1982 paper itself turns to another algorithm there (Invitation).

An election lasts ``ok_timeout``, also for a node that nobody outranks. That is what "in progress" means, and what
makes the count of messages exact: with node n dead and node i the one to notice, k = n - i, it takes k(k+1)/2
ELECTION, k(k-1)/2 OK and n-2 COORDINATOR. A leader that is asked while it leads says OK and, as its election ends,
once more that it leads; its reign goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from splitbrain.names import MS
from splitbrain.nodes.highest import CANDIDATE, HighestId, HighestOptions
from splitbrain.nodes.protocol import CancelTimer, Json, SetTimer

ELECTION: Final = "election"
OK: Final = "ok"
COORDINATOR: Final = "coordinator"

WAITING: Final = "waiting"  # somebody higher has said OK and will say who leads

OK_TIMER: Final = "ok"
COORDINATOR_TIMER: Final = "coordinator"


@dataclass(frozen=True, slots=True, kw_only=True)
class BullyOptions(HighestOptions):
    """``guard``: who is asked while it holds an election begins no other. The timeouts in nanoseconds: how long an OK
    is waited for, and then, if one came, word of the leader."""

    ok_timeout: int = 100 * MS
    coordinator_timeout: int = 150 * MS
    guard: bool = True

    def __post_init__(self) -> None:
        HighestOptions.__post_init__(self)
        if not (self.ok_timeout > 0 and self.coordinator_timeout > 0):
            raise ValueError("expected timeouts above 0")


BULLY: Final = BullyOptions()
BULLY_TEXTBOOK: Final = BullyOptions(merge=False)


class Bully(HighestId[BullyOptions]):
    """One node of it."""

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: BullyOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self.higher = tuple(peer for peer in self.peers if self._outranks(peer, id))
        self.lower = tuple(peer for peer in self.peers if self._outranks(id, peer))
        self._elections = 0
        self._election = ""
        self._answered = False  # somebody higher has said OK
        self._announcing = False  # this leader has been asked, and will say again that it leads

    def _elect(self, at: int) -> None:
        self._stand()
        self._elections += 1
        self._election = f"{self._boot}-{self._elections}"
        self._answered = False
        self._effects.append(CancelTimer(COORDINATOR_TIMER))
        self._effects.append(SetTimer(OK_TIMER, self.options.ok_timeout))
        self._send_all(self._asked(), {"kind": ELECTION, "election": self._election})

    def _asked(self) -> Sequence[str]:
        return self.higher

    def _take(self, at: int, sender: str, kind: str, message: Mapping[str, Json]) -> None:
        if self._outranks(self.id, sender):
            if kind == ELECTION:
                self._on_election(at, sender, message.get("election"))
        elif kind == OK:
            self._on_ok(message.get("election"))
        elif kind == COORDINATOR:
            self._follow(at, sender)

    def _on_election(self, at: int, sender: str, election: Json) -> None:
        self._send(sender, {"kind": OK, "election": election})
        if self.leading:
            if not self._announcing:
                self._announcing = True
                self._effects.append(SetTimer(OK_TIMER, self.options.ok_timeout))
        elif not (self.options.guard and self.role in (CANDIDATE, WAITING)):
            self._elect(at)

    def _on_ok(self, election: Json) -> None:
        if self.role == CANDIDATE and election == self._election:
            self._answered = True

    def _ran_out(self, at: int, timer: str) -> None:
        if timer == COORDINATOR_TIMER and self.role == WAITING:
            self._elect(at)
        elif timer == OK_TIMER and self.leading:
            self._announce()
        elif timer == OK_TIMER and self.role == CANDIDATE:
            if self._answered:
                self.role = WAITING
                self._effects.append(SetTimer(COORDINATOR_TIMER, self.options.coordinator_timeout))
            else:
                self._lead()
                self._announce()

    def _announce(self) -> None:
        self._announcing = False
        self._send_all(self.lower, {"kind": COORDINATOR})

    def _goes_over(self, leader: str) -> bool:
        # Until its time is up an election is in progress, whatever is heard; else it would be held again.
        return self.role != CANDIDATE and super()._goes_over(leader)
