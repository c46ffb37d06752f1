"""What one election costs: its messages by kind, and how long the cluster had no leader that all agree on.

Measured in simulation, on links that lose nothing and all take the same time, where no message overtakes another; with
the textbook's formulas beside it, that is the table which compares algorithms. Heartbeats are not counted, being a
matter of time and not of elections. Any number of nodes will do: a measurement is no run, nothing is observed or
judged in it.

The promise: a measurement is a function of its arguments, and says how many messages were *sent*, those to the dead
included.
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
STEP_NS: Final = MS  # how exactly the time to elect is known
QUIET_NS: Final = 1_000 * MS  # without a message an election is over
GIVE_UP_NS: Final = 60_000 * MS


class NoElection(Exception):
    """The nodes did not come to agree on a leader in the time that a measurement gives them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Messages sent, by kind, who leads in the end, and the ns from what was done until all live nodes followed that
    one."""

    sent: Mapping[str, int]
    leader: str
    agreed_ns: int

    @property
    def messages(self) -> int:
        return sum(self.sent.values())


class _Meter(Instrument):
    """Counts what is sent, heartbeats apart."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.last = 0

    def effect(self, host: Host, effect: Effect) -> None:
        if isinstance(effect, Send) and effect.kind not in HEARTBEATS:
            self.sent[effect.kind] += 1
            self.last = host.true_now


def failover(system: System, nodes: int, *, seed: int = 1) -> Cost:
    """The leader of so many nodes dies; what it costs the others to have a new one. Raises NoElection."""
    return election(system.make_node, nodes, lambda simulation: simulation.hosts[_agreed(simulation)].kill(), seed=seed)


def election(make_node: MakeNode, nodes: int, *acts: Callable[[Simulation], None], seed: int = 1) -> Cost:
    """What comes of the last of the ``acts``, done to a cluster of so many nodes that has come to rest after each of
    the others. Raises NoElection."""
    meter = _Meter()
    names = [f"n{number}" for number in range(1, nodes + 1)]
    calm = Conditions(delay=Constant(LINK_NS))
    simulation = Simulation(seed, names, make_node, conditions=calm, disk=Constant(1), instrument=meter)
    began = simulation.now
    agreed = 0
    for act in (Simulation.start, *acts):
        meter.sent.clear()
        began = simulation.now
        act(simulation)
        agreed = _settle(simulation, meter)
    return Cost(sent=MappingProxyType(dict(meter.sent)), leader=_agreed(simulation), agreed_ns=agreed - began)


def _settle(simulation: Simulation, meter: _Meter) -> int:
    """Run until all live nodes have agreed for a while without a message but heartbeats; since when they did."""
    give_up = simulation.now + GIVE_UP_NS
    agreed_since: int | None = None
    leader = ""
    began = simulation.now
    while simulation.now < give_up:
        simulation.run_until(simulation.now + STEP_NS)
        now_leads = _agreed(simulation)
        if not now_leads or now_leads != leader:
            agreed_since, leader = simulation.now if now_leads else None, now_leads
        elif agreed_since is not None and simulation.now - max(agreed_since, meter.last, began) >= QUIET_NS:
            return agreed_since
    raise NoElection(f"no leader that all follow within {GIVE_UP_NS // 10**9} s")


def _agreed(simulation: Simulation) -> str:
    """The leader that every live node names, itself included; empty while there is none."""
    said = {host.name: status for host in simulation.hosts.values() if (status := host.status()) is not None}
    leaders = {status.leader for status in said.values()}
    (leader,) = leaders if len(leaders) == 1 else (None,)
    return leader if leader is not None and leader in said and said[leader].leading else ""
