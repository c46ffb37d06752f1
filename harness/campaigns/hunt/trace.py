"""What a simulation saw of an election and no observer could: votes, wins, deaths, and the state of every node.

It is what stories and coverage are made of; the facts that a run is judged by are those of ``invariants``.

A trace is an instrument of the run. It notes a fact when it becomes one (a vote when it leaves the voter, a win when
the node is told to lead), and takes a sample of all nodes whenever somebody's part in the election has changed.
Times are true time, ns since the simulation began; ``START_WITHIN_NS`` of it is the zero of the history.

Votes are known by what they are called on the wire: a granted ``vote_reply`` gives the sender's vote to the
receiver, and a ``vote`` request is the sender's vote for itself. A system that sends neither has no votes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from splitbrain.invariants.events import VOTE, VOTE_REPLY
from splitbrain.nodes.protocol import Effect, Event, Followed, Led, Send, Started
from splitbrain.runtimes.sim.hosts import Host
from splitbrain.runtimes.sim.instruments import Instrument

DOWN = "down"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Booted:
    """The node's process began, for the ``boot``-th time."""

    at: int
    node: str
    boot: int


@dataclass(frozen=True, slots=True)
class Died:
    at: int
    node: str


@dataclass(frozen=True, slots=True)
class Voted:
    """The node gave its vote in ``term`` to ``candidate``, perhaps itself."""

    at: int
    node: str
    term: int
    candidate: str


@dataclass(frozen=True, slots=True)
class Won:
    """The node leads from here on."""

    at: int
    node: str
    term: int | None
    reign: str


@dataclass(frozen=True, slots=True)
class Yielded:
    """The node follows ``leader``, or nobody, from here on."""

    at: int
    node: str
    term: int | None
    leader: str | None


TraceEvent = Booted | Died | Voted | Won | Yielded


class NodeState(NamedTuple):
    """One node at one instant. ``connected``: it can talk, both ways, to enough nodes that are up for a majority."""

    node: str
    role: str
    term: int | None
    voted: bool
    connected: bool
    follows: str | None


class Sample(NamedTuple):
    """All nodes at one instant of true time, by name."""

    at: int
    nodes: tuple[NodeState, ...]


class Trace(Instrument):
    """The events and samples of one run."""

    def __init__(self) -> None:
        self.facts: list[TraceEvent] = []
        self.samples: list[Sample] = []
        self._hosts: dict[str, Host] = {}
        self._voted: dict[str, int] = {}  # the latest term in which a node is known to have voted

    def after(self, host: Host, event: Event) -> None:
        if type(event) is Started:
            self._hosts[host.name] = host
            self.facts.append(Booted(host.true_now, host.name, host.boots))
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
        self.facts.append(Died(host.true_now, host.name))
        self._sample(host.true_now)

    def _sent(self, host: Host, send: Send) -> None:
        message = send.message
        candidate = host.name if send.kind == VOTE else send.to
        if send.kind == VOTE_REPLY and not message.get("granted"):
            return
        vote = Voted(host.true_now, host.name, message["term"], candidate)
        last = self.facts[-1]
        if isinstance(last, Voted) and (last.node, last.term, last.candidate) == (vote.node, vote.term, candidate):
            return  # one campaign asks every peer, and is one vote
        self.facts.append(vote)
        self._voted[host.name] = vote.term
        self._sample(host.true_now)

    def _changed(self, host: Host, effect: Effect) -> None:
        match effect:
            case Led(term, reign):
                self.facts.append(Won(host.true_now, host.name, term, reign))
            case Followed(term, leader):
                self.facts.append(Yielded(host.true_now, host.name, term, leader))
            case _:
                return
        self._sample(host.true_now)

    def _sample(self, now: int) -> None:
        self.samples.append(Sample(now, tuple(self._state(self._hosts[name]) for name in sorted(self._hosts))))

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
