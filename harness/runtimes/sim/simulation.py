"""A cluster in virtual time: hosts, each with a node or a server, and the network between them, from one seed.

Tests of algorithms use it directly::

    simulation = Simulation(7, ["n1", "n2", "n3"], RAFT_SYSTEM.make_node)
    simulation.start()
    simulation.run_until(2_000 * MS)
    simulation.hosts["n1"].kill()

Any class that implements ``nodes.protocol.Node`` will do. Messages are handed over as they are, not copied: a node
must not change one that it has sent or received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType

from splitbrain.runtimes.sim.hosts import SSD, Host, MakeNode
from splitbrain.runtimes.sim.instruments import Instrument
from splitbrain.runtimes.sim.kernel import Kernel
from splitbrain.runtimes.sim.network import CALM, Conditions, ConditionsOf, Delay, Network
from splitbrain.units import MS

START_WITHIN_NS = 10 * MS


class Simulation:
    """Hosts (all down at first), links and time."""

    def __init__(
        self,
        seed: int,
        nodes: Sequence[str],
        make_node: MakeNode,
        *,
        servers: Sequence[str] = (),
        make_server: MakeNode | None = None,
        conditions: Conditions | ConditionsOf = CALM,
        disk: Delay = SSD,
        lying_disk: bool = False,
        instrument: Instrument | None = None,
    ) -> None:
        self.seed = seed
        self.kernel = Kernel()
        self.nodes = tuple(nodes)
        self.servers = tuple(servers)

        def placed(name: str, peers: Sequence[str], make: MakeNode) -> Host:
            others = [other for other in peers if other != name]
            return Host(self.kernel, seed, name, others, make, disk=disk, lying_disk=lying_disk, instrument=instrument)

        # Where there are servers the nodes know only those, and the servers know all.
        hosts = {name: placed(name, self.servers or self.nodes, make_node) for name in self.nodes}
        if make_server is not None:
            hosts |= {name: placed(name, self.nodes + self.servers, make_server) for name in self.servers}
        self.hosts: Mapping[str, Host] = MappingProxyType(hosts)
        self.network = Network(self.kernel, seed, {name: host.arrive for name, host in self.hosts.items()}, conditions)
        for name, host in self.hosts.items():
            host.links = self.network.links[name]

    @property
    def now(self) -> int:
        """True time, ns since the simulation was made."""
        return self.kernel.now

    def start(self) -> None:
        """Start every node within the next ``START_WITHIN_NS``, each at a different instant."""
        rng = Random(f"{self.seed}/start")
        for host in self.hosts.values():
            self.kernel.at(self.kernel.now + rng.randrange(START_WITHIN_NS), lambda host, _: host.start(), host)

    def run_until(self, instant: int) -> None:
        self.kernel.run_until(instant)

    def leaders(self) -> tuple[str, ...]:
        """The nodes that claim to lead at this instant."""
        return tuple(
            name for name in self.nodes if (status := self.hosts[name].status()) is not None and status.leading
        )
