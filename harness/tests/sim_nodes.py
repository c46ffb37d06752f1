"""Nodes so small that a test can say all that they do, and a simulation of a few of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from splitbrain.nodes.protocol import Answer, ConfirmAsked, Effect, Event, Json, Persist, Received, Status
from splitbrain.runtimes.sim.cluster import SimCluster
from splitbrain.runtimes.sim.network import Conditions, Constant
from splitbrain.runtimes.sim.simulation import START_WITHIN_NS, Simulation
from splitbrain.units import MS

PROMPT = Conditions(delay=Constant(MS))


@dataclass
class Recorded:
    """Records every event and answers each message with scripted effects."""

    id: str
    peers: Sequence[str]
    rng: Random
    boot: str
    state: Mapping[str, Json] | None
    events: list[Event] = field(default_factory=list)
    script: dict[str, list[Effect]] = field(default_factory=dict)
    """What to do, by the kind of the event or the text of the message."""
    kept: int = 0

    def handle(self, event: Event) -> list[Effect]:
        self.events.append(event)
        if isinstance(event, Received) and event.message == "count":
            self.kept += 1
            return [Persist({"kept": self.kept})]
        if isinstance(event, ConfirmAsked) and "ConfirmAsked" not in self.script:
            return [Answer(event.request, 3, None, "not leading")]
        return list(self.script.get(_key(event), []))

    def status(self, at: int) -> Status:
        return Status(role="follower", leading=False, leader=None, term=self.kept, reign=None)

    def messages(self) -> list[Any]:
        return [event.message for event in self.events if isinstance(event, Received)]


def _key(event: Event) -> str:
    return event.message if isinstance(event, Received) else type(event).__name__


def simulation(nodes: int = 2, **options: Any) -> Simulation:
    """A started simulation of ``Recorded`` nodes n1, n2 ..., with 1 ms per link by default."""
    names = [f"n{i}" for i in range(1, nodes + 1)]
    made = Simulation(7, names, Recorded, **{"conditions": PROMPT, "disk": Constant(2 * MS), **options})
    made.start()
    made.run_until(START_WITHIN_NS)
    return made


def node(of: Simulation, name: str) -> Recorded:
    """The node that now runs on that host."""
    found = of.hosts[name].node
    assert isinstance(found, Recorded)
    return found


def observe(of: Simulation, name: str, timeout_ns: int = 100 * MS) -> Any:
    """The answer to an observer of that host."""
    return of.kernel.run(SimCluster(of).observe(name, timeout_ns))
