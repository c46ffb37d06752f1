"""What every election of the highest name shares: heartbeats, suspicion, following, and proof of being followed.

The elections themselves (``nodes.bully``, ``nodes.ring``, ``nodes.append_ring``) come from textbooks that end when a
leader is known. What is around them is the same for all: the leader tells everybody every ``heartbeat`` that it is
there; whoever has not heard its own leader for ``suspicion`` holds an election; and, with ``merge``, whoever hears the
heartbeat of a leader that outranks its own goes over to that one, which is how two leaders become one after a cut has
healed. (Garcia-Molina 1982 leaves the detection of failures open; with no merging, two leaders stay two.) A node that
has just started gives those that are started with it as much time before it holds its election: else whoever is first
would lead until a higher one is there.

The promise, and it is a small one: a node only ever follows who outranks it, and only after that one has said that it
leads. There is no quorum and no term, for these algorithms know neither: in a partition every part elects its own
leader, and that is what they are there for. So nothing here is a fencing token, and ``term`` is always None. A reign
is a boot and its count of wins.

A confirmation cannot rest on a quorum that elected. What it proves is that the leader works for a majority: more than
half of all nodes, itself included, say within a round trip that it is the leader they follow. One follower would be
too little to ask: the leader of a minority would then count as the working leader that a majority is to have. So a
leader that is deaf, alone or in a minority has nothing to show, though it leads.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Generic, TypeGuard, TypeVar

from splitbrain.names import MS
from splitbrain.nodes.protocol import (
    Answer,
    CancelTimer,
    ConfirmAsked,
    Effect,
    Event,
    Followed,
    Json,
    Led,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)

HEARTBEAT: Final = "heartbeat"
CONFIRM: Final = "confirm"
CONFIRMED: Final = "confirmed"

STARTING: Final = "starting"
FOLLOWER: Final = "follower"
CANDIDATE: Final = "candidate"
LEADER: Final = "leader"

HEARTBEAT_TIMER: Final = "heartbeat"
SUSPICION_TIMER: Final = "suspicion"
CONFIRM_TIMER: Final = "confirm"  # and a space and the round

CONFIRM_PATIENCE: Final = 500 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class HighestOptions:
    """The same on every node, times in nanoseconds: how often a leader is heard, after how much silence it is given
    up, and whether a leader that is heard to outrank one's own is followed.

    Raises ValueError when a leader would be suspected before it can be heard.
    """

    heartbeat: int = 50 * MS
    suspicion: int = 250 * MS
    merge: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat < self.suspicion:
            raise ValueError("expected 0 < heartbeat < suspicion")


Options = TypeVar("Options", bound=HighestOptions)


def rank(name: str) -> tuple[str | int, ...]:
    """Names in their order, the numbers in them as numbers: n2 before n10."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name)))


@dataclass(slots=True)
class _Confirm:
    """A confirmation under way: who asked, and who has said so far that it follows this node."""

    request: int
    followers: set[str] = field(default_factory=set)


class HighestId(ABC, Generic[Options]):
    """One node. ``peers`` are the others; ``boot`` is unique to this start of the process. Nothing is durable."""

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: Options,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        self.id = id
        self.peers = tuple(sorted(peers, key=rank))
        self.options = options
        self.role: str = STARTING
        self.leader: str | None = None
        self._places = {name: place for place, name in enumerate(sorted((id, *peers), key=rank))}
        self._majority = (len(self.peers) + 1) // 2 + 1
        self._boot = boot
        self._wins = 0
        self._reign: str | None = None
        self._heard = 0  # when the leader was last heard
        self._rounds = 0
        self._confirms: dict[str, _Confirm] = {}
        self._effects: list[Effect] = []

    def handle(self, event: Event) -> list[Effect]:
        """Take one event; return what must be done, in order."""
        effects: list[Effect] = []
        self._effects = effects
        match event:
            case Received(at, sender, message):
                self._receive(at, sender, message)
            case TimerFired(at, timer):
                self._timer_fired(at, timer)
            case ConfirmAsked(at, request):
                self._confirm(request)
            case Started():
                effects.append(SetTimer(SUSPICION_TIMER, self.options.suspicion))
        return effects

    def status(self, at: int) -> Status:
        """What this node claims; that hangs on no clock."""
        return Status(
            role=self.role,
            leading=self._reign is not None,
            leader=self.leader,
            term=None,
            reign=self._reign,
        )

    # What an election is made of

    @abstractmethod
    def _elect(self, at: int) -> None:
        """Begin an election of one's own: after the start, and when the leader is suspected."""

    @abstractmethod
    def _take(self, at: int, sender: str, kind: str, message: Mapping[str, Json]) -> None:
        """Take in a message of the election. What is not one is dropped, as if the network had lost it."""

    @abstractmethod
    def _ran_out(self, at: int, timer: str) -> None:
        """A timer of the election has fired."""

    # What comes in

    def _receive(self, at: int, sender: str, message: Json) -> None:
        if not isinstance(message, Mapping) or sender == self.id or not self._is_node(sender):
            return
        kind = message.get("kind")
        match kind:
            case "heartbeat":
                self._on_heartbeat(at, sender)
            case "confirm" if self.leader == sender:
                self._send(sender, {"kind": CONFIRMED, "round": message.get("round")})
            case "confirmed":
                self._on_confirmed(sender, message.get("round"))
            case str():
                self._take(at, sender, kind, message)

    def _timer_fired(self, at: int, timer: str) -> None:
        if timer == HEARTBEAT_TIMER:
            if self.leading:
                self._beat()
        elif timer == SUSPICION_TIMER:
            # A heartbeat only notes when it came; the timer set before it looks at that when it fires.
            remaining = self._heard + self.options.suspicion - at
            if self.role == FOLLOWER and remaining > 0:
                self._effects.append(SetTimer(SUSPICION_TIMER, remaining))
            elif self.role in (FOLLOWER, STARTING):
                self._elect(at)
        elif timer.startswith(CONFIRM_TIMER):
            self._give_up(timer.removeprefix(CONFIRM_TIMER + " "), "no majority follows")
        else:
            self._ran_out(at, timer)

    def _on_heartbeat(self, at: int, sender: str) -> None:
        if sender == self.leader:
            self._heard = at
        elif self.options.merge and self._goes_over(sender):
            self._follow(at, sender)

    def _goes_over(self, leader: str) -> bool:
        """Whether to leave one's own leader, perhaps oneself, perhaps nobody, for one that is heard to lead."""
        if self.role == STARTING:
            return False
        return self._outranks(leader, self.id) and (self.leader is None or self._outranks(leader, self.leader))

    # Changes of role

    @property
    def leading(self) -> bool:
        return self._reign is not None

    def _is_node(self, name: Json) -> TypeGuard[str]:
        return isinstance(name, str) and name in self._places

    def _outranks(self, one: str, other: str) -> bool:
        return self._places[one] > self._places[other]

    def _follow(self, at: int, leader: str) -> None:
        self._heard = at
        if self.role == FOLLOWER and self.leader == leader:
            return
        self._step_down()
        self.role, self.leader = FOLLOWER, leader
        self._effects += [SetTimer(SUSPICION_TIMER, self.options.suspicion), Followed(None, leader)]

    def _stand(self) -> None:
        """Follow nobody while an election is held."""
        self._step_down()
        if self.leader is not None or self.role in (FOLLOWER, STARTING):
            self._effects += [CancelTimer(SUSPICION_TIMER), Followed(None, None)]
        self.role, self.leader = CANDIDATE, None

    def _lead(self) -> None:
        """Begin a reign, and be heard at once; one that goes on goes on."""
        if self.leading:
            return
        self.role, self.leader = LEADER, self.id
        self._wins += 1
        self._reign = f"{self._boot}-{self._wins}"
        self._effects += [CancelTimer(SUSPICION_TIMER), Led(None, self._reign)]
        self._beat()

    def _step_down(self) -> None:
        if self.leading:
            self._reign = None
            self._effects.append(CancelTimer(HEARTBEAT_TIMER))
            for round_ in tuple(self._confirms):
                self._give_up(round_, "lost leadership")

    # What goes out

    def _beat(self) -> None:
        self._send_all(self.peers, {"kind": HEARTBEAT})
        for round_ in self._confirms:  # the question or its answer may have been lost
            self._send_all(self.peers, {"kind": CONFIRM, "round": round_})
        self._effects.append(SetTimer(HEARTBEAT_TIMER, self.options.heartbeat))

    def _send(self, to: str, message: Mapping[str, Json]) -> None:
        self._effects.append(Send(to, message["kind"], message))

    def _send_all(self, to: Sequence[str], message: Mapping[str, Json]) -> None:
        for each in to:
            self._send(each, message)

    # Confirmations

    def _confirm(self, request: int) -> None:
        if not self.leading:
            self._effects.append(Answer(request, None, None, "not leading"))
            return
        self._rounds += 1
        round_ = f"{self._boot}-{self._rounds}"
        self._confirms[round_] = _Confirm(request)
        self._effects.append(SetTimer(f"{CONFIRM_TIMER} {round_}", CONFIRM_PATIENCE))
        self._send_all(self.peers, {"kind": CONFIRM, "round": round_})
        self._on_confirmed(self.id, round_)

    def _on_confirmed(self, follower: str, round_: Json) -> None:
        if not isinstance(round_, str) or round_ not in self._confirms:
            return
        confirm = self._confirms[round_]
        confirm.followers.add(follower)
        if len(confirm.followers) >= self._majority:
            del self._confirms[round_]
            self._effects.append(CancelTimer(f"{CONFIRM_TIMER} {round_}"))
            self._effects.append(Answer(confirm.request, None, self._reign, None))

    def _give_up(self, round_: str, error: str) -> None:
        confirm = self._confirms.pop(round_, None)
        if confirm is not None:
            self._effects.append(CancelTimer(f"{CONFIRM_TIMER} {round_}"))
            self._effects.append(Answer(confirm.request, None, None, error))
