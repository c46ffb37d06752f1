"""Trace of a simulated election, for stories and coverage: boots, deaths, votes, wins, and the state of every node.

A trace is an instrument of the simulation. It records events as they happen inside the nodes, which no observer sees,
and samples all nodes whenever the part of one in the election changes. Times are true time, ns since the simulation
began; the history begins at ``START_WITHIN_NS``. Runs are judged by the events of ``invariants``, not by these.

Votes are recognized by their names on the wire: a granted ``vote_reply`` is a vote for the receiver, and a ``vote``
request is the sender's vote for itself. A system that sends neither has no votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from splitbrain.invariants.events import VOTE, VOTE_REPLY, vote_in
from splitbrain.nodes.protocol import Effect, Event, Followed, Led, Send, Started
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument

DOWN = "down"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """The process of the node started, for the ``boot``-th time."""

    at: int
    node: str
    boot: int


@dataclass(frozen=True, slots=True)
class Died:
    """The process of the node ended."""

    at: int
    node: str


@dataclass(frozen=True, slots=True)
class Voted:
    """The node voted in ``term`` for ``candidate``, perhaps itself."""

    at: int
    node: str
    term: int
    candidate: str


@dataclass(frozen=True, slots=True)
class Won:
    """The node became leader."""

    at: int
    node: str
    term: int | None
    reign: str


@dataclass(frozen=True, slots=True)
class Yielded:
    """The node became a follower of ``leader``, or of no leader yet."""

    at: int
    node: str
    term: int | None
    leader: str | None


TraceEvent = ProcessStarted | Died | Voted | Won | Yielded


class NodeState(NamedTuple):
    """One node at one instant. ``connected``: both directions work to enough live nodes for a majority."""

    node: str
    role: str
    term: int | None
    voted: bool
    connected: bool
    follows: str | None


class ClusterSample(NamedTuple):
    """All nodes at one instant of true time, by name."""

    at: int
    nodes: tuple[NodeState, ...]


class Trace(Instrument):
    """The events and samples of one run."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.samples: list[ClusterSample] = []
        self._hosts: dict[str, Host] = {}
        self._voted: dict[str, int] = {}  # the latest term in which a node is known to have voted

    def after(self, host: Host, event: Event) -> None:
        if type(event) is Started:
            self._hosts[host.name] = host
            self.events.append(ProcessStarted(host.true_now, host.name, host.boots))
            self._sample(host.true_now)

    def effect(self, host: Host, effect: Effect) -> None:
        kind = type(effect)
        if kind is Send:
            name = effect[1]  # type: ignore[index]
            if name in (VOTE, VOTE_REPLY):
                self._sent(host, effect)  # type: ignore[arg-type]
        elif kind is Led or kind is Followed:
            self._changed(host, effect)

    def down(self, host: Host) -> None:
        self.events.append(Died(host.true_now, host.name))
        self._sample(host.true_now)

    def _sent(self, host: Host, send: Send) -> None:
        given = vote_in(send, host.name)
        if given is None:
            return
        term, candidate = given
        vote = Voted(host.true_now, host.name, term, candidate)
        last = self.events[-1]
        if isinstance(last, Voted) and (last.node, last.term, last.candidate) == (vote.node, vote.term, candidate):
            return  # a candidate asks every peer, but votes for itself once
        self.events.append(vote)
        self._voted[host.name] = vote.term
        self._sample(host.true_now)

    def _changed(self, host: Host, effect: Effect) -> None:
        match effect:
            case Led(term, reign):
                self.events.append(Won(host.true_now, host.name, term, reign))
            case Followed(term, leader):
                self.events.append(Yielded(host.true_now, host.name, term, leader))
            case _:
                return
        self._sample(host.true_now)

    def _sample(self, now: int) -> None:
        self.samples.append(ClusterSample(now, tuple(self._state(self._hosts[name]) for name in sorted(self._hosts))))

    def _state(self, host: Host) -> NodeState:
        status = host.status()
        if status is None:
            return NodeState(host.name, DOWN, None, False, False, None)
        voted = status.term is not None and self._voted.get(host.name) == status.term
        role = PAUSED if host.paused else status.role
        return NodeState(host.name, role, status.term, voted, self._connected(host), status.leader)

    def _connected(self, host: Host) -> bool:
        peers = sum(
            not out.cut and not other.links[host.name].cut and other.up and not other.paused
            for name, out in host.links.items()
            if (other := self._hosts.get(name)) is not None
        )
        return 2 * (peers + 1) > len(host.links) + 1
