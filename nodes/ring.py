"""Ring elections, in which each node forwards messages to the next; and that of Chang and Roberts.

E. Chang and R. Roberts, "An Improved Algorithm for Decentralized Extrema-Finding in Circular Configurations of
Processes", CACM 22(5), 1979. A node sends its name round the ring. A node with a higher name drops it, and sends its
name instead if it does not take part yet. The node whose name comes home leads, and announces that round the ring.

The paper's ring loses no messages and no nodes. A real ring needs more, shared with ``nodes.append_ring``. Every
message is acknowledged by the next node; without an acknowledgement within ``ack_timeout`` it goes to the next but one,
and so on; a message that no node acknowledges has gone round a ring of one. Skipped nodes are not remembered: the next
message tries them again, so a dead node costs one wasted send each time round. An election without a leader after
``election_timeout`` is begun again; each has a unique identity, so that a token of an earlier one does not win. A
message passes each node once, or messages with late acknowledgements would multiply at every node. A token that has
been forwarded as often as there are nodes is an orphan, whose origin will never see it again, and is dropped.

Guarantee: while messages and acknowledgements take less than ``ack_timeout`` and no link is cut, all live nodes come
to follow the highest of them. An election that all n nodes begin at once takes 2n-1 messages if names increase along
the ring, n(n+1)/2 if they decrease, n H_n on average; one that a single node begins takes n to 2n-1; and the
announcement takes n more. Acknowledgements are not counted.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from splitbrain.names import MS
from splitbrain.nodes.highest import HighestId, HighestOptions, rank
from splitbrain.nodes.protocol import CancelTimer, Json, SetTimer

ELECTION: Final = "election"
ELECTED: Final = "elected"
ACK: Final = "ack"

ELECTION_TIMER: Final = "election"
ACK_TIMER: Final = "ack"  # followed by a space and the number of the parcel

REMEMBERED: Final = 256  # of the last tokens and results, to recognise duplicates


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOptions(HighestOptions):
    """Timeouts in nanoseconds: for an acknowledgement by the next node, and for an election to bring a leader."""

    ack_timeout: int = 50 * MS
    election_timeout: int = 700 * MS

    def __post_init__(self) -> None:
        HighestOptions.__post_init__(self)
        if not 0 < self.ack_timeout < self.election_timeout:
            raise ValueError(
                f"expected 0 < ack_timeout < election_timeout, got {self.ack_timeout} and {self.election_timeout}"
            )


RING: Final = RingOptions()


@dataclass(slots=True)
class _Parcel:
    """An unacknowledged message, and the number of nodes ahead that did not acknowledge it."""

    message: Mapping[str, Json]
    skipped: int = 0


class RingNode(HighestId[RingOptions]):
    """A node that sends to the next live node on the ring.

    Each message has an ``origin``, the node that sent it first, and ``hops``, the number of times it was sent.
    """

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RingOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        ring = self._arranged((id, *peers))
        here = ring.index(id)
        self.ahead = (*ring[here + 1 :], *ring[:here])
        self._election: str | None = None  # this node's election, while its token may come home
        self._elections = 0
        self._parcels: dict[int, _Parcel] = {}
        self._number = 0
        self._taken: dict[tuple[str, Json, Json], None] = {}  # kind, origin, election, in order of arrival

    def _arranged(self, names: Sequence[str]) -> Sequence[str]:
        """The ring in the direction of messages: the order of the names."""
        return sorted(names, key=rank)

    # The election

    @abstractmethod
    def _begin(self, at: int) -> None:
        """Send this node's token."""

    @abstractmethod
    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        """Handle an ELECTION token, perhaps this node's."""

    @abstractmethod
    def _on_result(self, at: int, result: Mapping[str, Json]) -> None:
        """Handle the announcement of a winner."""

    RESULT: str

    def _elect(self, at: int) -> None:
        self._stand()
        self._begin(at)

    def _new_election(self) -> str:
        self._elections += 1
        self._election = f"{self._boot}-{self._elections}"
        self._effects.append(SetTimer(ELECTION_TIMER, self.options.election_timeout))
        return self._election

    def _follow(self, at: int, leader: str) -> None:
        self._election = None  # a token that comes home no longer wins
        super()._follow(at, leader)

    # The ring

    def _start_round(self, message: Mapping[str, Json]) -> None:
        """Send a new message round the ring."""
        self._post({**message, "origin": self.id, "hops": 1})

    def _pass_on(self, message: Mapping[str, Json]) -> None:
        """Forward a message to the next node, unless it has been round."""
        if message["hops"] <= len(self.ahead):
            self._post({**message, "hops": message["hops"] + 1})

    def _post(self, message: Mapping[str, Json]) -> None:
        self._number += 1
        self._parcels[self._number] = _Parcel({**message, "number": self._number, "boot": self._boot})
        self._try(self._number)

    def _try(self, number: int) -> bool:
        """Send a parcel to the next node that has not been tried; False if there is none left."""
        parcel = self._parcels[number]
        if parcel.skipped == len(self.ahead):
            del self._parcels[number]
            return False
        self._send(self.ahead[parcel.skipped], parcel.message)
        self._effects.append(SetTimer(f"{ACK_TIMER} {number}", self.options.ack_timeout))
        return True

    def _on_election_timer(self, at: int, timer: str) -> None:
        if timer == ELECTION_TIMER:
            self._election_timed_out(at)
            return
        number = int(timer.removeprefix(ACK_TIMER + " "))
        parcel = self._parcels.get(number)
        if parcel is None:
            return
        parcel.skipped += 1
        # On a ring of one, a node's message comes home at once. The messages of others are orphans.
        if not self._try(number) and parcel.message["origin"] == self.id:
            self._deliver(at, parcel.message)

    def _election_timed_out(self, at: int) -> None:
        if self.leader is None:
            self._elect(at)

    def _on_election_message(self, at: int, sender: str, kind: str, message: Mapping[str, Json]) -> None:
        if kind == ACK:
            self._on_ack(message)
            return
        number, boot, election = message.get("number"), message.get("boot"), message.get("election")
        if kind not in (ELECTION, self.RESULT) or not isinstance(election, str) or not isinstance(number, int):
            return
        if not self._is_node(message.get("origin")) or not isinstance(message.get("hops"), int):
            return
        self._send(sender, {"kind": ACK, "number": number, "boot": boot})
        identity = (kind, message["origin"], election)
        if identity not in self._taken:
            self._taken[identity] = None
            if len(self._taken) > REMEMBERED:
                del self._taken[next(iter(self._taken))]
            self._deliver(at, message)

    def _on_ack(self, ack: Mapping[str, Json]) -> None:
        number = ack.get("number")
        if ack.get("boot") == self._boot and isinstance(number, int) and number in self._parcels:
            del self._parcels[number]
            self._effects.append(CancelTimer(f"{ACK_TIMER} {number}"))

    def _deliver(self, at: int, message: Mapping[str, Json]) -> None:
        if message["kind"] == ELECTION:
            self._on_token(at, message)
        else:
            self._on_result(at, message)


class Ring(RingNode):
    """One node of a Chang-Roberts election."""

    RESULT = ELECTED

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RingOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(id, peers, options, rng, boot, state)
        self.taking_part = False

    def _begin(self, at: int) -> None:
        self.taking_part = True
        self._start_round({"kind": ELECTION, "election": self._new_election()})

    def _on_token(self, at: int, token: Mapping[str, Json]) -> None:
        name = token["origin"]
        if name == self.id:
            if token.get("election") == self._election:
                self._win(token["election"])
        elif self._outranks(name, self.id):
            self.taking_part = True
            self._effects.append(SetTimer(ELECTION_TIMER, self.options.election_timeout))
            self._pass_on(token)
        elif not self.taking_part:
            self._begin(at)

    def _win(self, election: str) -> None:
        self._election, self.taking_part = None, False
        self._lead()
        self._start_round({"kind": ELECTED, "election": election})

    def _on_result(self, at: int, result: Mapping[str, Json]) -> None:
        name = result["origin"]
        if name == self.id:
            return
        if self._outranks(name, self.id):
            self.taking_part = False
            self._follow(at, name)
        self._pass_on(result)

    def _election_timed_out(self, at: int) -> None:
        self.taking_part = False
        super()._election_timed_out(at)
