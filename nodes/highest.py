"""The common part of elections of the highest name: heartbeats, suspicion, following, and confirmations.

The elections themselves (``nodes.bully``, ``nodes.ring``, ``nodes.append_ring``) come from textbooks, and end when a
leader is known. The rest is the same for all: the leader sends a heartbeat to every node every ``heartbeat``; a node
that has not heard its leader for ``suspicion`` holds an election; and, with ``merge``, a node that hears the heartbeat
of a leader that outranks its own follows that one, so that two leaders become one after a partition heals.
(Garcia-Molina 1982 leaves failure detection open; without merging, two leaders remain.) A node that has just started
waits ``suspicion`` before it holds an election, since otherwise the first node to start would lead until a higher one
is there.

Guarantee: a node follows only a node that outranks it and has announced that it leads. These algorithms have no quorum
and no terms: in a partition every part elects a leader, by design. So there is no fencing token, and ``term`` is always
None. A reign is a boot ID and a count of wins.

A confirmation cannot rest on a quorum that elected the leader. It proves that the leader works for a majority: more
than half of all nodes, itself included, report within a round trip that they follow it. One follower would not be
enough: the leader of a minority would then count as the working leader of a majority. So a leader that is deaf, alone
or in a minority cannot confirm, though it leads.
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
CONFIRM_TIMER: Final = "confirm"  # followed by a space and the round

CONFIRM_PATIENCE: Final = 500 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class HighestOptions:
    """Options of a cluster, the same on every node, times in nanoseconds.

    ``heartbeat`` is the interval of a leader's heartbeats, ``suspicion`` the silence after which a leader is suspected.
    ``merge``: a node follows any leader whose heartbeat it hears and that outranks its leader.

    Raises ValueError if a leader would be suspected before it can be heard.
    """

    heartbeat: int = 50 * MS
    suspicion: int = 250 * MS
    merge: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat < self.suspicion:
            raise ValueError(f"expected 0 < heartbeat < suspicion, got {self.heartbeat} and {self.suspicion}")


Options = TypeVar("Options", bound=HighestOptions)


def rank(name: str) -> tuple[str | int, ...]:
    """The sort key of a name, with numbers compared as numbers: n2 before n10."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"(\d+)", name)))


@dataclass(slots=True)
class _Confirm:
    """A pending confirmation: the request, and the nodes that have reported so far that they follow this node."""

    request: int
    followers: set[str] = field(default_factory=set)


class HighestId(ABC, Generic[Options]):
    """One node. ``peers`` are the other nodes; ``boot`` is unique to this start. It has no durable state."""

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
        """Process one event; return the effects, in order of execution."""
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
        """The node's claim, which depends on no clock."""
        return Status(
            role=self.role,
            leading=self._reign is not None,
            leader=self.leader,
            term=None,
            reign=self._reign,
        )

    # The election

    @abstractmethod
    def _elect(self, at: int) -> None:
        """Begin an election: after the start, and when the leader is suspected."""

    @abstractmethod
    def _on_election_message(self, at: int, sender: str, kind: str, message: Mapping[str, Json]) -> None:
        """Handle a message of the election. A malformed one is dropped, as if the network had lost it."""

    @abstractmethod
    def _on_election_timer(self, at: int, timer: str) -> None:
        """Handle a timer of the election."""

    # Incoming

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
                self._on_election_message(at, sender, kind, message)

    def _timer_fired(self, at: int, timer: str) -> None:
        if timer == HEARTBEAT_TIMER:
            if self.leading:
                self._beat()
        elif timer == SUSPICION_TIMER:
            # A heartbeat only records its arrival, and the timer is extended when it fires.
            remaining = self._heard + self.options.suspicion - at
            if self.role == FOLLOWER and remaining > 0:
                self._effects.append(SetTimer(SUSPICION_TIMER, remaining))
            elif self.role in (FOLLOWER, STARTING):
                self._elect(at)
        elif timer.startswith(CONFIRM_TIMER):
            self._give_up(timer.removeprefix(CONFIRM_TIMER + " "), "no majority follows")
        else:
            self._on_election_timer(at, timer)

    def _on_heartbeat(self, at: int, sender: str) -> None:
        if sender == self.leader:
            self._heard = at
        elif self.options.merge and self._replaces_leader(sender):
            self._follow(at, sender)

    def _replaces_leader(self, leader: str) -> bool:
        """True if a leader just heard replaces this node's leader, which may be the node itself, or None."""
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
        """Become a candidate, without a leader while the election is held."""
        self._step_down()
        if self.leader is not None or self.role in (FOLLOWER, STARTING):
            self._effects += [CancelTimer(SUSPICION_TIMER), Followed(None, None)]
        self.role, self.leader = CANDIDATE, None

    def _lead(self) -> None:
        """Begin a reign with a heartbeat at once; no effect if this node leads already."""
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

    # Outgoing

    def _beat(self) -> None:
        self._send_all(self.peers, {"kind": HEARTBEAT})
        for round_ in self._confirms:  # the request or its answer may have been lost
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
