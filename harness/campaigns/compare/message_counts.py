"""Cost of one election: its messages by kind, and the time without an agreed leader.

Measured in simulation, on links without loss and with a constant delay, so that no message overtakes another.
Heartbeats are not counted, since their number depends on time. A measurement is not a run: nothing is observed or
judged, so a cluster may have any number of nodes.

A measurement is a function of its arguments. It counts messages *sent*, including those to dead nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from splitbrain.nodes.protocol import Effect, Send
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.sim.hosts import Host, MakeNode
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.network import Conditions, Constant
from splitbrain.runtimes.sim.simulation import Simulation
from splitbrain.units import MS

HEARTBEATS: Final = frozenset({"heartbeat", "heartbeat_reply"})
LINK_NS: Final = MS  # each way
STEP_NS: Final = MS  # resolution of the election time
QUIET_NS: Final = 1_000 * MS  # without a message the election is over
GIVE_UP_NS: Final = 60_000 * MS


class NoElection(Exception):
    """The nodes did not agree on a leader within the time limit of a measurement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ElectionCost:
    """Messages sent by kind, the elected leader, and the time in ns until all live nodes followed it."""

    sent: Mapping[str, int]
    leader: str
    agreed_ns: int

    @property
    def messages(self) -> int:
        return sum(self.sent.values())


class _MessageCounter(Instrument):
    """Counts messages sent, without heartbeats."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.last = 0

    def effect(self, host: Host, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.kind not in HEARTBEATS:
            self.sent[effect.kind] += 1
            self.last = host.true_now


def failover(system: System, nodes: int, *, seed: int = 1) -> ElectionCost:
    """The cost of electing a new leader after the death of the first. Raises NoElection."""
    return election(system.make_node, nodes, lambda simulation: simulation.hosts[_agreed(simulation)].kill(), seed=seed)


def election(make_node: MakeNode, nodes: int, *acts: Callable[[Simulation], None], seed: int = 1) -> ElectionCost:
    """The cost of the election that the last of ``acts`` triggers; the cluster settles after each act before it.

    Raises NoElection.
    """
    counter = _MessageCounter()
    names = [f"n{number}" for number in range(1, nodes + 1)]
    calm = Conditions(delay=Constant(LINK_NS))
    simulation = Simulation(seed, names, make_node, conditions=calm, disk=Constant(1), instrument=counter)
    began = simulation.now
    agreed = 0
    for act in (Simulation.start, *acts):
        counter.sent.clear()
        began = simulation.now
        act(simulation)
        agreed = _settle(simulation, counter)
    return ElectionCost(sent=MappingProxyType(dict(counter.sent)), leader=_agreed(simulation), agreed_ns=agreed - began)


def _settle(simulation: Simulation, counter: _MessageCounter) -> int:
    """Run until all live nodes agree and send only heartbeats for ``QUIET_NS``; returns the time of their agreement."""
    give_up = simulation.now + GIVE_UP_NS
    agreed_since: int | None = None
    leader = ""
    began = simulation.now
    while simulation.now < give_up:
        simulation.run_until(simulation.now + STEP_NS)
        now_leads = _agreed(simulation)
        if not now_leads or now_leads != leader:
            agreed_since, leader = simulation.now if now_leads else None, now_leads
        elif agreed_since is not None and simulation.now - max(agreed_since, counter.last, began) >= QUIET_NS:
            return agreed_since
    raise NoElection(f"no leader agreed on within {GIVE_UP_NS // 10**9} s")


def _agreed(simulation: Simulation) -> str:
    """The leader that every live node names, itself included; empty while there is none."""
    statuses = {host.name: status for host in simulation.hosts.values() if (status := host.status()) is not None}
    leaders = {status.leader for status in statuses.values()}
    (leader,) = leaders if len(leaders) == 1 else (None,)
    return leader if leader is not None and leader in statuses and statuses[leader].leading else ""
