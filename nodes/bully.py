"""The Bully election: the highest-named node that answers in time leads.

H. Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on Computers C-31(1), 1982, in its
textbook form (Coulouris et al., "Distributed Systems", 5th ed., section 15.3). A node that suspects the leader, or has
just started, sends ELECTION to every higher node. A node that receives one answers OK and holds an election itself,
unless one is in progress. A node that receives no OK within ``ok_timeout`` leads, and sends COORDINATOR to every lower
node; one that receives an OK waits ``coordinator_timeout`` longer for a COORDINATOR, and then begins again.

Guarantee: while messages take less than half of ``ok_timeout``, no process pauses and no link is cut, all live nodes
come to follow the highest of them. Without these assumptions nothing is guaranteed: a partition or a pause makes two
leaders, and the 1982 paper gives another algorithm for that case (Invitation).

An election lasts ``ok_timeout``, even for the highest node; that defines "in progress", and makes the message count
exact: if node n is dead and node i detects it, with k = n - i, it takes k(k+1)/2 ELECTION, k(k-1)/2 OK and n-2
COORDINATOR messages. A leader that receives ELECTION answers OK and, as its election ends, announces itself once more;
its reign goes on.
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

WAITING: Final = "waiting"  # a higher node has answered OK and will announce a leader

OK_TIMER: Final = "ok"
COORDINATOR_TIMER: Final = "coordinator"


@dataclass(frozen=True, slots=True, kw_only=True)
class BullyOptions(HighestOptions):
    """Options of the Bully election, times in nanoseconds.

    ``ok_timeout`` is the wait for an OK, ``coordinator_timeout`` the further wait for a COORDINATOR after an OK.
    ``guard``: a node that receives ELECTION while it holds an election does not begin another.
    """

    ok_timeout: int = 100 * MS
    coordinator_timeout: int = 150 * MS
    guard: bool = True

    def __post_init__(self) -> None:
        HighestOptions.__post_init__(self)
        if not (self.ok_timeout > 0 and self.coordinator_timeout > 0):
            raise ValueError(f"expected timeouts above 0, got {self.ok_timeout} and {self.coordinator_timeout}")


BULLY: Final = BullyOptions()
BULLY_TEXTBOOK: Final = BullyOptions(merge=False)


class Bully(HighestId[BullyOptions]):
    """One node of a Bully election."""

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
        self._answered = False  # a higher node has answered OK
        self._announcing = False  # this leader has received ELECTION, and will announce itself again

    def _elect(self, at: int) -> None:
        self._stand()
        self._elections += 1
        self._election = f"{self._boot}-{self._elections}"
        self._answered = False
        self._effects.append(CancelTimer(COORDINATOR_TIMER))
        self._effects.append(SetTimer(OK_TIMER, self.options.ok_timeout))
        self._send_all(self._recipients(), {"kind": ELECTION, "election": self._election})

    def _recipients(self) -> Sequence[str]:
        return self.higher

    def _on_election_message(self, at: int, sender: str, kind: str, message: Mapping[str, Json]) -> None:
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

    def _on_election_timer(self, at: int, timer: str) -> None:
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

    def _replaces_leader(self, leader: str) -> bool:
        # An election in progress runs its full time; abandoning it would only start another.
        return self.role != CANDIDATE and super()._replaces_leader(leader)
