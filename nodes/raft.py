"""Raft's leader election, without the log, as a pure state machine.

Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (USENIX ATC 2014), sections 5.1 and 5.2, and
Ongaro's dissertation "Consensus: Bridging Theory and Practice" (Stanford 2014): 4.2.3 (a server that hears a leader
ignores vote requests), 6.2 (a leader without a quorum steps down), 6.4.1 (leader lease), 9.6 (pre-vote). Without a
log, every candidate's log is up to date; only that comparison is missing.

Guarantees: at most one leader per term, since a vote is durable before it is sent, any two majorities share a voter,
and no voter votes twice in a term. With the lease, also at most one leader at any instant: a node claims to lead only
while no majority can have voted for another (``RaftOptions.lease``).

Every request that a node sends to all its peers is a *round*, identified by the instant at which it was sent (made
strictly increasing) and echoed in the replies. The latest round that a majority answered is therefore one number, and a
leader's quorum check, lease and confirmations are three tests of that number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

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
    Persist,
    Received,
    Send,
    SetTimer,
    Started,
    Status,
    TimerFired,
)

# Kinds of message. All carry "kind", "term" and "round"; the replies to votes carry "granted" as well.
PRE_VOTE: Final = "pre_vote"
PRE_VOTE_REPLY: Final = "pre_vote_reply"
VOTE: Final = "vote"
VOTE_REPLY: Final = "vote_reply"
HEARTBEAT: Final = "heartbeat"
HEARTBEAT_REPLY: Final = "heartbeat_reply"

RaftRole = Literal["follower", "pre-candidate", "candidate", "leader"]
FOLLOWER: Final = "follower"
PRE_CANDIDATE: Final = "pre-candidate"
CANDIDATE: Final = "candidate"
LEADER: Final = "leader"

ELECTION_TIMER: Final = "election"
HEARTBEAT_TIMER: Final = "heartbeat"

# A leader that neither reaches a quorum nor checks for one would accumulate unanswered confirmations for ever.
CONFIRM_PATIENCE: Final = 10_000 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftOptions:
    """Options of a cluster, the same on every node. Times in nanoseconds; election timeouts from a closed range.

    ``pre_vote``: before raising its term, a node asks for pre-votes, and stands only if it could win (9.6).
    ``check_quorum``: a leader steps down when no majority has answered a round sent within the last
    ``election_timeout_max`` (6.2), and a node that heard a leader within ``election_timeout_min`` ignores vote requests
    and their terms (4.2.3).
    ``lease``: a leader leads until ``election_timeout_min / (1 + drift_percent / 100)`` after it sent the last round
    that a majority answered (6.4.1). A node does not vote for ``election_timeout_max`` after it booted, since the
    promise in its earlier heartbeat replies was not durable. Requires ``check_quorum``.

    Raises ValueError if the options contradict each other.
    """

    heartbeat: int = 50 * MS
    election_timeout_min: int = 150 * MS
    election_timeout_max: int = 300 * MS
    pre_vote: bool = True
    check_quorum: bool = True
    lease: bool = False
    drift_percent: int = 10

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat < self.election_timeout_min <= self.election_timeout_max:
            raise ValueError(
                "expected 0 < heartbeat < election_timeout_min <= election_timeout_max, "
                f"got {self.heartbeat}, {self.election_timeout_min} and {self.election_timeout_max}"
            )
        if self.lease and not self.check_quorum:
            raise ValueError("lease requires check_quorum, without which voters may leave a leader at any time")
        if self.drift_percent < 0:
            raise ValueError(f"expected drift_percent >= 0, got {self.drift_percent}")


RAFT: Final = RaftOptions()
RAFT_BASIC: Final = RaftOptions(pre_vote=False, check_quorum=False)
RAFT_LEASE: Final = RaftOptions(lease=True)


class Raft:
    """One node. ``peers`` are the other nodes; ``boot`` is unique to this start of the process.

    ``state`` is the last persisted state, ``{"term": int, "voted_for": str | None}``; None on the first start.
    """

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: RaftOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        self.id = id
        self.peers = tuple(peers)
        self.options = options
        self.term: int = state["term"] if state else 0
        self.voted_for: str | None = state["voted_for"] if state else None
        self.role: RaftRole = FOLLOWER
        self.leader: str | None = None
        self._rng = rng
        self._boot = boot
        self._majority = (len(self.peers) + 1) // 2 + 1
        self._lease = options.election_timeout_min * 100 // (100 + options.drift_percent)
        self._booted = 0
        self._timeout = options.election_timeout_max
        self._quiet_since = 0  # start of the election timer
        # When the leader of this term was last heard. On the leader itself: when it sent the last round that a
        # majority answered, the latest instant at which it knows that it was heard.
        self._contact = 0
        self._round = 0
        self._votes: set[str] = set()
        self._answered: dict[str, int] = {}  # node -> the latest round it answered, this leader included
        self._confirms: list[tuple[int, int]] = []  # (request, round that must be answered)
        self._wins = 0
        self._reign: str | None = None
        self._effects: list[Effect] = []

    def handle(self, event: Event) -> list[Effect]:
        """Process one event; return the effects in order, a ``Persist`` always first."""
        effects: list[Effect] = []
        self._effects = effects
        term, voted_for = self.term, self.voted_for
        if isinstance(event, Received):  # nearly all events; unpacking three values in a pattern is slow
            self._receive(event.at, event.sender, event.message)
        else:
            match event:
                case TimerFired(at, timer):
                    self._timer_fired(at, timer)
                case ConfirmAsked(at, request):
                    self._confirm(at, request)
                case Started(at):
                    self._booted = self._round = at
                    self._restart_election_timer(at)
        if term != self.term or voted_for != self.voted_for:
            effects.insert(0, Persist({"term": self.term, "voted_for": self.voted_for}))
        return effects

    def status(self, at: int) -> Status:
        """The claim at the instant ``at``. A leader that needs a lease claims nothing without a valid one."""
        leads = self._leads(at)
        return Status(
            role=self.role,
            leading=leads,
            leader=self.leader if leads or self.role != LEADER else None,
            term=self.term,
            reign=self._reign if leads else None,
            lease=leads if self.options.lease else None,
            vote=self.voted_for,
        )

    def _leads(self, at: int) -> bool:
        return self._reign is not None and (not self.options.lease or at < self._contact + self._lease)

    # Timers

    def _timer_fired(self, at: int, timer: str) -> None:
        if timer == HEARTBEAT_TIMER and self.role == LEADER:
            self._heartbeat(at)
        elif timer == ELECTION_TIMER and self.role != LEADER:
            # A heartbeat only records its arrival, and the timer is extended when it fires.
            remaining = self._quiet_since + self._timeout - at
            if remaining > 0:
                self._effects.append(SetTimer(ELECTION_TIMER, remaining))
            else:
                self._campaign(at, PRE_CANDIDATE if self.options.pre_vote else CANDIDATE)

    def _restart_election_timer(self, at: int) -> None:
        options = self.options
        self._timeout = self._rng.randint(options.election_timeout_min, options.election_timeout_max)
        self._quiet_since = at
        self._effects.append(SetTimer(ELECTION_TIMER, self._timeout))

    def _heartbeat(self, at: int) -> None:
        if self.options.check_quorum and self._lost_quorum(at):
            self._follow(at, self.term, None)
            return
        if self._confirms:
            self._give_up_confirms(at)
        self._ask_heartbeat(at)
        self._effects.append(SetTimer(HEARTBEAT_TIMER, self.options.heartbeat))

    def _lost_quorum(self, at: int) -> bool:
        """True if no majority has answered a round of this leader within the longest timeout."""
        return at - self._contact > self.options.election_timeout_max

    # Messages

    def _receive(self, at: int, sender: str, message: Json) -> None:
        """Dispatch a message to its handler; drop a malformed one, as if the network had lost it."""
        try:
            kind, term, round_ = message["kind"], message["term"], message["round"]
        except (TypeError, LookupError):
            return
        if type(term) is not int or type(round_) is not int or sender not in self.peers:
            return
        match kind:
            case "heartbeat":
                self._on_heartbeat(at, sender, term, round_)
            case "heartbeat_reply":
                self._on_heartbeat_reply(at, sender, term, round_)
            case "vote":
                self._on_vote(at, sender, term, round_)
            case "vote_reply":
                self._on_vote_reply(at, sender, term, round_, message.get("granted") is True)
            case "pre_vote":
                self._on_pre_vote(at, sender, term, round_)
            case "pre_vote_reply":
                self._on_pre_vote_reply(at, sender, term, round_, message.get("granted") is True)

    def _on_heartbeat(self, at: int, sender: str, term: int, round_: int) -> None:
        if term >= self.term:
            if term > self.term or sender != self.leader:
                self._follow(at, term, sender)
            self._contact = self._quiet_since = at
        reply = {"kind": HEARTBEAT_REPLY, "term": self.term, "round": round_}
        self._effects.append(Send(sender, HEARTBEAT_REPLY, reply))

    def _on_heartbeat_reply(self, at: int, sender: str, term: int, round_: int) -> None:
        if term > self.term:
            self._follow(at, term, None)
        elif self.role == LEADER and term == self.term and round_ <= self._round:
            answered = self._answered
            if round_ > answered.get(sender, round_ - 1):
                answered[sender] = round_
                if round_ > self._contact:  # otherwise a majority has answered a later round already
                    self._count_answers(at)

    def _on_pre_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        """Handle a pre-vote request; ``term`` is the term the sender would stand in. A grant promises nothing."""
        if term >= self.term and (self._hears_leader(at) or self._just_booted(at)):
            return
        granted = term > self.term or (term == self.term and self.voted_for in (None, sender))
        # A refusal carries this node's term, to be adopted if higher; a grant carries the term that it is for.
        self._reply_to_candidate(sender, PRE_VOTE_REPLY, term if granted else self.term, round_, granted)

    def _on_vote(self, at: int, sender: str, term: int, round_: int) -> None:
        if term >= self.term and ((self.options.check_quorum and self._hears_leader(at)) or self._just_booted(at)):
            return
        if term > self.term:
            self._follow(at, term, None)
        granted = term == self.term and self.voted_for in (None, sender)
        if granted:
            self.voted_for = sender
            self.role = FOLLOWER  # only a pre-candidate changes role here, giving way to its candidate
            self._quiet_since = at
        self._reply_to_candidate(sender, VOTE_REPLY, self.term, round_, granted)

    def _reply_to_candidate(self, to: str, kind: str, term: int, round_: int, granted: bool) -> None:
        reply = {"kind": kind, "term": term, "round": round_, "granted": granted}
        self._effects.append(Send(to, kind, reply))

    def _on_pre_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        if not granted and term > self.term:
            self._follow(at, term, None)
        elif granted and term == self.term + 1 and self.role == PRE_CANDIDATE and round_ == self._round:
            self._votes.add(sender)
            self._count_votes(at)

    def _on_vote_reply(self, at: int, sender: str, term: int, round_: int, granted: bool) -> None:
        if term > self.term:
            self._follow(at, term, None)
        elif granted and term == self.term and self.role == CANDIDATE and round_ == self._round:
            self._votes.add(sender)
            self._count_votes(at)

    def _hears_leader(self, at: int) -> bool:
        """True if a leader of this term, perhaps this node, was heard within the shortest timeout."""
        return self.leader is not None and at - self._contact < self.options.election_timeout_min

    def _just_booted(self, at: int) -> bool:
        return self.options.lease and at - self._booted < self.options.election_timeout_max

    # Changes of role

    def _follow(self, at: int, term: int, leader: str | None) -> None:
        """Become a follower of ``leader``, if known, in ``term``, which is never below the present one."""
        if self.role == LEADER:
            self._effects.append(CancelTimer(HEARTBEAT_TIMER))
            self._fail_confirms(self._confirms, "lost leadership")
            self._confirms = []
        if term > self.term:
            self.term, self.voted_for = term, None
        self.role, self.leader, self._reign = FOLLOWER, leader, None
        self._restart_election_timer(at)
        self._effects.append(Followed(term, leader))

    def _campaign(self, at: int, role: Literal["pre-candidate", "candidate"]) -> None:
        """Request a vote or a pre-vote from every peer; a single node has its majority at once."""
        if role == CANDIDATE:
            self.term, self.voted_for = self.term + 1, self.id
        self.role, self.leader = role, None
        self._votes = {self.id}
        self._restart_election_timer(at)
        self._effects.append(Followed(self.term, None))
        if role == CANDIDATE:
            self._ask(at, VOTE, self.term)
        else:
            self._ask(at, PRE_VOTE, self.term + 1)
        self._count_votes(at)

    def _count_votes(self, at: int) -> None:
        if len(self._votes) < self._majority:
            return
        if self.role == PRE_CANDIDATE:
            self._campaign(at, CANDIDATE)
        else:
            self._lead(at)

    def _lead(self, at: int) -> None:
        self.role, self.leader = LEADER, self.id
        self._contact = self._round  # the round that the voters have answered
        self._answered = {}
        self._effects.append(CancelTimer(ELECTION_TIMER))
        if not self.options.lease:  # otherwise the reign begins when a majority has answered a heartbeat
            self._begin_reign()
        self._heartbeat(at)

    def _begin_reign(self) -> None:
        self._wins += 1
        self._reign = f"{self._boot}-{self._wins}"
        self._effects.append(Led(self.term, self._reign))

    # Rounds

    def _ask(self, at: int, kind: str, term: int) -> None:
        self._round = at if at > self._round else self._round + 1
        message = {"kind": kind, "term": term, "round": self._round}
        self._effects += [Send(peer, kind, message) for peer in self.peers]

    def _ask_heartbeat(self, at: int) -> None:
        self._ask(at, HEARTBEAT, self.term)
        self._answered[self.id] = self._round
        self._count_answers(at)

    def _count_answers(self, at: int) -> None:
        """Find the latest round that a majority has answered; renew the lease and the confirmations that rest on it."""
        if len(self._answered) < self._majority:
            return
        latest = sorted(self._answered.values())[-self._majority]
        if latest <= self._contact:
            return
        lapsed = not self._leads(at)
        self._contact = latest
        # A lease that expired before it was renewed makes two reigns: this node led, did not lead, and leads again.
        if lapsed and at < latest + self._lease:
            self._begin_reign()
        if self._confirms:
            self._answer_confirms(at)

    # Confirmations: a majority's answers to a round sent after the request prove leadership after the request.

    def _confirm(self, at: int, request: int) -> None:
        if self.role != LEADER:
            self._effects.append(Answer(request, self.term, None, "not leading"))
            return
        self._ask_heartbeat(at)
        self._confirms.append((request, self._round))
        self._answer_confirms(at)

    def _answer_confirms(self, at: int) -> None:
        proven = [confirm for confirm in self._confirms if confirm[1] <= self._contact]
        self._confirms = [confirm for confirm in self._confirms if confirm[1] > self._contact]
        if self._leads(at):
            self._effects += [Answer(request, self.term, self._reign, None) for request, _ in proven]
        else:
            self._fail_confirms(proven, "lease ran out")

    def _give_up_confirms(self, at: int) -> None:
        expired = [confirm for confirm in self._confirms if confirm[1] < at - CONFIRM_PATIENCE]
        self._confirms = [confirm for confirm in self._confirms if confirm[1] >= at - CONFIRM_PATIENCE]
        self._fail_confirms(expired, "no quorum")

    def _fail_confirms(self, confirms: Sequence[tuple[int, int]], error: str) -> None:
        self._effects += [Answer(request, self.term, None, error) for request, _ in confirms]
