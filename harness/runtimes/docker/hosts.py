"""One machine of the cluster: a host container that owns the address, and a node container that joins it.

The node container shares the host's network and process namespaces. It has the capabilities that its software states,
gains none later, and is limited in memory and processes. A node that runs as root can still end its host's agent, as
they share a process namespace; the run then fails within seconds (docs/decisions/agents-beside-their-nodes.md).

Killing or restarting the node leaves address, links and cuts in place, as on a real machine. All functions block; call
them from worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import docker
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool, Mount, Ulimit

from splitbrain.errors import EnvironmentFailure
from splitbrain.nodes.systems.base import ContainerOptions, Machine, Software
from splitbrain.runtimes.docker.agent.disks import DISK
from splitbrain.runtimes.docker.engine import CONTROLLER_LABEL, RUN_LABEL, controller_mark, translated
from splitbrain.runtimes.docker.put_files import put

FIRST_ADDRESS = 11
FREE_ADDRESS = 250  # beyond those of all machines that a run can have
OF_NETWORK = "net."  # settings of the kernel that a machine's host owns
IPV6_WITHIN = "net.ipv6.conf.lo.disable_ipv6"
DISK_BYTES = 256 * 2**20  # enough for software that preallocates files, as etcd does in steps of 64 MB
SUBNETS = tuple(f"10.{second}.{third}" for second in range(201, 206) for third in range(256))


DiskKind = Literal["plain", "bounded", "loop"]
"""Storage of the nodes' data folders: their containers' file systems, tmpfs of a fixed size, or loop devices."""


@dataclass(frozen=True, slots=True)
class NodeDisk:
    """A volume for a node's data folder, at the path ``where``, and the volumes that its host mounts, by path."""

    volume: str
    where: str
    on_host: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HostContainer:
    """A host and the container of its node or server, which runs ``software``.

    ``ports`` maps ports to the published ones on 127.0.0.1.
    """

    name: str
    address: str
    container: Container
    ports: Mapping[int, int]
    node: Container
    software: Software

    @property
    def memory(self) -> int:
        """The usual limit of the node's memory, in bytes."""
        return memory_of(self.software)


def memory_of(software: Software) -> int:
    """The limit of memory for a container of this software, in bytes."""
    return software.memory_mb << 20


def labels(run: str) -> dict[str, str]:
    """Return the labels of everything that belongs to a run."""
    return {RUN_LABEL: run, CONTROLLER_LABEL: controller_mark()}


def create_network(client: docker.DockerClient, run: str) -> tuple[Network, str]:
    """Create the bridge network of a run in a free /24, and return it with its prefix.

    Only the engine knows which subnets are in use, so they are tried in turn, from one that the run id decides.
    """
    first = int(run, 16) % len(SUBNETS)
    overlap = ""
    for attempt in range(64):
        prefix = SUBNETS[(first + attempt) % len(SUBNETS)]
        pool = IPAMPool(subnet=f"{prefix}.0/24", gateway=f"{prefix}.1")
        try:
            with translated("creating the run's network"):
                network = client.networks.create(
                    f"splitbrain-{run}",
                    driver="bridge",
                    ipam=IPAMConfig(pool_configs=[pool]),
                    labels=labels(run),
                )
            return network, prefix
        except EnvironmentFailure as failure:
            if "overlap" not in str(failure):
                raise
            overlap = str(failure)
    raise EnvironmentFailure(f"no free subnet found in 64 tries; the last error: {overlap}")


def bridge_of(network: Network) -> str:
    """Return the name of the network's interface on the engine's machine, which its firewall rules name."""
    return f"br-{str(network.id)[:12]}"


def addresses(prefix: str, names: Sequence[str]) -> dict[str, str]:
    """Assign an address in the /24 to each host."""
    return {name: f"{prefix}.{FIRST_ADDRESS + i}" for i, name in enumerate(names)}


def free_address(prefix: str) -> str:
    """An address in the /24 that no host has."""
    return f"{prefix}.{FREE_ADDRESS}"


def create_host(
    client: docker.DockerClient,
    run: str,
    network: Network,
    name: str,
    address: str,
    image: str,
    ports: Sequence[int],
    disk: NodeDisk | None,
    sysctls: Mapping[str, str] = MappingProxyType({}),
    aliases: Sequence[str] = (),
) -> Container:
    """Start a host container. Client ports are published on 127.0.0.1 only, at numbers that the engine picks.

    The host mounts its node's volume too, which keeps a tmpfs alive while the node is down. Other machines of the run
    find it by its name and its ``aliases``.
    """
    name_of_network = str(network.name)
    endpoint = client.api.create_endpoint_config(ipv4_address=address, aliases=[name, *aliases])
    with translated(f"starting host {name}"):
        return client.containers.run(
            image,
            name=f"splitbrain-{run}-{name}-host",
            hostname=name,
            detach=True,
            cap_add=["NET_ADMIN", "SYS_PTRACE"],
            ports={f"{port}/tcp": ("127.0.0.1", 0) for port in ports},
            network=name_of_network,
            networking_config={name_of_network: endpoint},
            labels=labels(run),
            mounts=[Mount(place, volume, "volume") for place, volume in disk.on_host.items()] if disk else [],
            sysctls=dict(sysctls),
            stop_signal="SIGKILL",
        )


def create_disk(client: docker.DockerClient, run: str, name: str, where: str) -> NodeDisk:
    """Create a volume of ``DISK_BYTES`` in memory, which the host mounts too."""
    with translated(f"creating a disk for {name}"):
        volume = client.volumes.create(
            f"splitbrain-{run}-{name}",
            driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"size={DISK_BYTES}"},
            labels=labels(run),
        )
    return NodeDisk(str(volume.name), where, {str(DISK): str(volume.name)})


def create_node(
    client: docker.DockerClient,
    run: str,
    machine: Machine,
    software: Software,
    image: str,
    host: Container,
    disk: NodeDisk | None,
) -> Container:
    """Start the node's container in the namespaces of its host, with no more rights than its software states."""
    options = software.options
    with translated(f"starting node {machine.name}"):
        container = client.containers.create(
            image,
            list(software.command(machine)),
            entrypoint=None if options.entrypoint is None else list(options.entrypoint(machine)),
            name=f"splitbrain-{run}-{machine.name}",
            environment=dict(software.environment(machine)),
            network_mode=f"container:{host.id}",
            pid_mode=f"container:{host.id}",
            cap_drop=["ALL"],
            cap_add=list(software.capabilities),
            security_opt=["no-new-privileges"],
            mem_limit=memory_of(software),
            memswap_limit=memory_of(software),
            pids_limit=software.pids,
            labels=labels(run),
            mounts=[Mount(disk.where, disk.volume, "volume")] if disk else [],
            stop_signal="SIGKILL",
            user=options.user,
            working_dir=options.working_dir,
            devices=[f"{device}:{device}:rwm" for device in options.devices],
            tmpfs=dict(options.tmpfs),
            shm_size=options.shm_bytes,
            ulimits=[Ulimit(name=name, soft=soft, hard=hard) for name, (soft, hard) in options.ulimits.items()],
            sysctls={name: value for name, value in options.sysctls.items() if not name.startswith(OF_NETWORK)},
            init=options.init,
        )
        put(container, options.files(machine))
        container.start()
        return container


def sysctls_of_host(options: ContainerOptions) -> dict[str, str]:
    """The settings of the network, which belong to the host, and IPv6 within the machine where that is wanted."""
    wanted = {name: value for name, value in options.sysctls.items() if name.startswith(OF_NETWORK)}
    return {**wanted, **({IPV6_WITHIN: "0"} if options.ipv6 else {})}


def published_ports(host: Container, name: str, ports: Sequence[int]) -> dict[int, int]:
    """Return the published port on 127.0.0.1 of each port of a host."""
    with translated(f"inspecting the ports of host {name}"):
        host.reload()
    bound: Mapping[str, Any] = host.attrs["NetworkSettings"]["Ports"]
    if any(not bound.get(f"{port}/tcp") for port in ports):
        raise EnvironmentFailure(f"host {name} has no published port: is its container running?")
    return {port: int(bound[f"{port}/tcp"][0]["HostPort"]) for port in ports}
