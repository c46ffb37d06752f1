"""Leader election by a lease in a shared store, as in Kubernetes controllers: two pure state machines.

The algorithm is that of client-go, ``tools/leaderelection/leaderelection.go``. The store keeps one record, replaced by
compare-and-swap on its version. The record names the holder of the lease. The holder renews it every ``retry_period``,
and steps down when a series of attempts has not succeeded for ``renew_deadline``. A contender takes the lease over when
*it* has seen no change of the record for ``lease_duration`` on its monotonic clock, so that no wall clock matters.

Guarantee: at most one holder for each value of ``transitions``, since each is made by a compare-and-swap. Not
guaranteed, as client-go's documentation says ("does not guarantee that only one client is acting as a leader"): that
the previous holder has stopped by then. Three reasons, read in that source and kept here:

- the deadline starts anew with each series, so a leader stops ``retry_period + renew_deadline`` after its last answer
  arrived, not after the swap that it acknowledged. An answer late by d leaves two leaders if
  ``d + retry_period + renew_deadline > lease_duration``;
- leadership is a flag that no clock lowers: a paused process still leads when it resumes;
- a leader that reads another holder in the record goes on leading until its deadline.

``judged_at_use`` corrects all three: a node claims to lead only while the lease, counted from when it *requested* its
last renewal, cannot have expired for any contender (C. Gray & D. Cheriton, "Leases", SOSP 1989).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

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

# Requests of contenders, and answers of the store. All carry "kind" and "request", which the answer echoes.
GET: Final = "get"
UPDATE: Final = "update"  # with the "version" to replace, and the new "record"
CONFIRM: Final = "confirm"  # a get, counted separately: only observers cause it
RECORD: Final = "record"  # the answer to a get: "version" and "record", which is None before the first update
UPDATED: Final = "updated"  # the answer to an update: "done", and the present "version"

RETRY_TIMER: Final = "retry"  # time of the next attempt
DEADLINE_TIMER: Final = "deadline"  # end of the present series of attempts
RESEND_TIMER: Final = "resend"  # datagrams may be lost, so a request is sent again until it is answered

CONFIRM_PATIENCE: Final = 10_000 * MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseOptions:
    """Options of all contenders; times in nanoseconds, in the proportions of client-go's defaults of 15, 10 and 2 s.

    A contender that does not lead waits ``retry_period`` plus up to ``jitter_percent`` of it between attempts.
    ``judged_at_use``: a node leads until ``lease_duration / (1 + drift_percent / 100)`` after it first sent the last
    successful renewal, regardless of its timers. ``trusts_renewal_times``: a lease expires by the renewal time in the
    record, on its holder's clock, instead of by the time since the last observed change; a mistake unless all clocks
    agree.

    Raises ValueError if the options contradict each other.
    """

    lease_duration: int = 750 * MS
    renew_deadline: int = 500 * MS
    retry_period: int = 100 * MS
    jitter_percent: int = 120
    judged_at_use: bool = False
    drift_percent: int = 10
    trusts_renewal_times: bool = False

    def __post_init__(self) -> None:
        most = self.retry_period * (100 + self.jitter_percent) // 100
        if not self.retry_period > 0 or not most < self.renew_deadline < self.lease_duration:
            raise ValueError(
                "expected 0 < retry_period, with jitter < renew_deadline < lease_duration, "
                f"got {self.retry_period}, with jitter {most}, {self.renew_deadline} and {self.lease_duration}"
            )
        if self.jitter_percent < 0 or self.drift_percent < 0:
            raise ValueError(
                f"expected jitter_percent and drift_percent >= 0, got {self.jitter_percent} and {self.drift_percent}"
            )


LEASE: Final = LeaseOptions()
LEASE_STRICT: Final = LeaseOptions(judged_at_use=True)
LEASE_WALL: Final = LeaseOptions(trusts_renewal_times=True)


class LeaseStore:
    """The store: one record, and its version. ``state`` is both, ``{"version": int, "record": ...}``.

    A repeated update, whose answer was lost or late, is answered as it was the first time: a record contains the
    instant of its renewal, so no two updates are equal.
    """

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: LeaseOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        self.version: int = state["version"] if state else 0
        self.record: Json = state["record"] if state else None

    def handle(self, event: Event) -> list[Effect]:
        """Answer a contender; a record is durable before it is acknowledged."""
        if isinstance(event, Received):
            return self._answer(event.sender, event.message)
        if isinstance(event, ConfirmAsked):
            return [Answer(event.request, None, None, "a store does not lead")]
        return []

    def status(self, at: int) -> Status:
        """The holder of the lease; the store itself never leads."""
        record = self.record or {"node": None, "transitions": None}
        return Status("store", leading=False, leader=record["node"], term=record["transitions"], reign=None)

    def _answer(self, sender: str, message: Json) -> list[Effect]:
        try:
            kind, request = message["kind"], message["request"]
            if kind in (GET, CONFIRM):
                return [Send(sender, RECORD, {"kind": RECORD, "request": request, **self._state()})]
            if kind == UPDATE:
                return self._update(sender, request, message["version"], message["record"])
        except (TypeError, LookupError):
            pass  # malformed: dropped, as if the network had lost it
        return []

    def _update(self, sender: str, request: Json, version: Json, record: Json) -> list[Effect]:
        effects: list[Effect] = []
        if version == self.version:
            self.version, self.record = self.version + 1, record
            effects.append(Persist(self._state()))
        done = version == self.version - 1 and record == self.record
        effects.append(
            Send(sender, UPDATED, {"kind": UPDATED, "request": request, "done": done, "version": self.version})
        )
        return effects

    def _state(self) -> dict[str, Json]:
        return {"version": self.version, "record": self.record}


@dataclass(frozen=True, slots=True)
class _Call:
    """A contender's pending request, and when it was made; a refused ``fast`` one is followed by a get."""

    request: str
    message: Json
    at: int
    fast: bool = False


class LeaseContender:
    """One contender. ``peers`` is the store alone; ``boot`` is unique to this start of the process.

    It has no durable state: after a restart it is a new holder, and waits like all others. Its term is the record's
    ``transitions``, which grows with each change of the holder.
    """

    def __init__(
        self,
        id: str,
        peers: Sequence[str],
        options: LeaseOptions,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> None:
        self.id = id
        self.options = options
        self._store = peers[0]
        self._rng = rng
        self._boot = boot
        self._identity = self._make_identity()
        self._lease = options.lease_duration * 100 // (100 + options.drift_percent)
        self._version = 0
        self._record: Json = None
        self._changed = 0  # when a change of the record was last seen
        self._call: _Call | None = None
        self._requests = 0
        self._succeeded_last = False
        self._renewed = 0  # when the last successful renewal was first sent
        self._term: int | None = None
        self._reign: str | None = None
        self._wins = 0
        self._confirms: dict[str, tuple[int, int]] = {}  # request to the store -> the client's, and when
        self._effects: list[Effect] = []

    def _make_identity(self) -> str:
        return f"{self.id}/{self._boot}"

    def handle(self, event: Event) -> list[Effect]:
        """Process one event; return the effects, in order of execution."""
        effects: list[Effect] = []
        self._effects = effects
        match event:
            case Received(at, _, message):
                self._receive(at, message)
            case TimerFired(at, timer):
                self._timer_fired(at, timer)
            case ConfirmAsked(at, request):
                self._confirm(at, request)
            case Started(at):
                self._attempt_in_time(at)
        return effects

    def status(self, at: int) -> Status:
        """The claim to lead, or the holder of the lease as far as this node knows."""
        if self._leads(at):
            lease = True if self.options.judged_at_use else None
            return Status("leader", leading=True, leader=self.id, term=self._term, reign=self._reign, lease=lease)
        other = self._record if self._record and not self._is_mine() else {"node": None, "transitions": None}
        lease = False if self.options.judged_at_use else None
        term = self._record["transitions"] if self._record else None
        return Status("contender", leading=False, leader=other["node"], term=term, reign=None, lease=lease)

    def _leads(self, at: int) -> bool:
        return self._reign is not None and (not self.options.judged_at_use or at < self._renewed + self._lease)

    # Attempts: a leader renews the lease, all others try to acquire it

    def _timer_fired(self, at: int, timer: str) -> None:
        if timer == RETRY_TIMER:
            # A leader's deadline runs from its first attempt since the last success, a contender's from each attempt.
            if self._reign is None or self._succeeded_last:
                self._attempt_in_time(at)
            else:
                self._attempt(at)
        elif timer == RESEND_TIMER and self._call is not None:
            self._send(self._call)
        elif timer == DEADLINE_TIMER:
            self._give_up(at)

    def _attempt_in_time(self, at: int) -> None:
        self._effects.append(SetTimer(DEADLINE_TIMER, self.options.renew_deadline))
        self._attempt(at)

    def _attempt(self, at: int) -> None:
        self._succeeded_last = False
        if self._is_mine() and self._is_valid(at):
            self._update(at, fast=True)
        else:
            self._ask(at, {"kind": GET})

    def _is_mine(self) -> bool:
        return self._record is not None and bool(self._record["holder"] == self._identity)

    def _is_valid(self, at: int) -> bool:
        """True unless the lease in the record is known to have expired."""
        since: int = self._record["renewed"] if self.options.trusts_renewal_times else self._changed
        return at < since + self.options.lease_duration

    def _update(self, at: int, *, fast: bool = False) -> None:
        """Request the lease, or its renewal. Transitions count from 1, that of the first holder."""
        transitions = self._record["transitions"] if self._record else 0
        record = {
            "holder": self._identity,
            "node": self.id,
            "renewed": at,
            "transitions": transitions if self._is_mine() else transitions + 1,
        }
        self._ask(at, {"kind": UPDATE, "version": self._version, "record": record}, fast=fast)

    def _ask(self, at: int, message: Json, *, fast: bool = False) -> None:
        request = self._next_request()
        self._call = _Call(request, {**message, "request": request}, at, fast)
        self._send(self._call)

    def _next_request(self) -> str:
        self._requests += 1
        return f"{self._boot}-{self._requests}"

    def _send(self, call: _Call) -> None:
        self._effects.append(Send(self._store, call.message["kind"], call.message))
        self._effects.append(SetTimer(RESEND_TIMER, self.options.retry_period))

    def _receive(self, at: int, message: Json) -> None:
        """Match an answer with its request; drop unexpected and malformed ones."""
        try:
            kind, request, version = message["kind"], message["request"], message["version"]
            if request in self._confirms:
                self._answer_confirm(at, request, message["record"])
            elif self._call is not None and request == self._call.request:
                call, self._call = self._call, None
                self._effects.append(CancelTimer(RESEND_TIMER))
                if kind == RECORD:
                    self._on_record(at, version, message["record"])
                elif kind == UPDATED:
                    self._on_updated(at, call, version, message["done"])
        except (TypeError, LookupError):
            return

    def _on_record(self, at: int, version: int, record: Json) -> None:
        self._observe(at, version, record)
        if record is not None and not self._is_mine() and self._is_valid(at):
            self._failed()
        else:
            self._update(at)

    def _on_updated(self, at: int, call: _Call, version: int, done: bool) -> None:
        if done:
            self._observe(at, call.message["version"] + 1, call.message["record"])
            self._succeeded(at, call.at)
        elif call.fast:  # the record has changed: read it
            self._ask(at, {"kind": GET})
        else:
            self._failed()

    def _observe(self, at: int, version: int, record: Json) -> None:
        if (version, record) != (self._version, self._record):
            self._version, self._record, self._changed = version, record, at
            if self._reign is None and record is not None and not self._is_mine():
                self._effects.append(Followed(record["transitions"], record["node"]))

    # Success and failure

    def _failed(self) -> None:
        """Schedule the next attempt; a leader's deadline keeps running."""
        period = self.options.retry_period
        if self._reign is None:
            period += self._rng.randint(0, period * self.options.jitter_percent // 100)
            self._effects.append(CancelTimer(DEADLINE_TIMER))
        self._effects.append(SetTimer(RETRY_TIMER, period))

    def _succeeded(self, at: int, asked: int) -> None:
        lapsed = not self._leads(at)
        self._renewed = asked
        self._succeeded_last = True
        self._effects.append(CancelTimer(DEADLINE_TIMER))
        self._effects.append(SetTimer(RETRY_TIMER, self.options.retry_period))
        if lapsed and (not self.options.judged_at_use or at < asked + self._lease):
            self._lead(self._record["transitions"])

    def _lead(self, term: int) -> None:
        self._wins += 1
        self._term, self._reign = term, f"{self._boot}-{self._wins}"
        self._effects.append(Led(self._term, self._reign))

    def _give_up(self, at: int) -> None:
        """End a series of attempts that took too long: a leader steps down, and a new series begins."""
        self._call = None
        self._effects += [CancelTimer(RESEND_TIMER), CancelTimer(RETRY_TIMER)]
        if self._reign is None:
            self._failed()
            return
        self._reign = None
        self._effects.append(Followed(self._term, None))
        for request, _ in self._confirms.values():
            self._effects.append(Answer(request, self._term, None, "lost leadership"))
        self._confirms = {}
        self._attempt_in_time(at)

    # Confirmations: a read after the request, in which the record still names this node. They write nothing, since
    # renewals caused by observers would make every lease longer than it is without them.

    def _confirm(self, at: int, request: int) -> None:
        self._forget_confirms(at)
        if not self._leads(at):
            self._effects.append(Answer(request, self._term, None, "not leading"))
            return
        asked = self._next_request()
        self._confirms[asked] = (request, at)
        self._effects.append(Send(self._store, CONFIRM, {"kind": CONFIRM, "request": asked}))

    def _answer_confirm(self, at: int, asked: str, record: Json) -> None:
        request, _ = self._confirms.pop(asked)
        if self._leads(at) and record is not None and record["holder"] == self._identity:
            self._effects.append(Answer(request, self._term, self._reign, None))
        else:
            self._effects.append(Answer(request, self._term, None, "the lease is another's, or ran out"))

    def _forget_confirms(self, at: int) -> None:
        old = [asked for asked, (_, since) in self._confirms.items() if since < at - CONFIRM_PATIENCE]
        for asked in old:
            request, _ = self._confirms.pop(asked)
            self._effects.append(Answer(request, self._term, None, "no answer of the store"))
