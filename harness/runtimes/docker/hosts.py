"""One machine of the cluster: a host container that owns the address, and a node container that joins it.

The node container shares the host's network and process namespaces and gets no extra capability, so any image
can stand in it. Killing or restarting the node leaves address, links and cuts in place, as on a real machine.
All functions block; they are called from worker threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from harness.errors import EnvironmentFailure
from harness.runtimes.docker.engine import CONTROLLER_LABEL, RUN_LABEL, controller_mark, translated

CLIENT_PORT = 8000
PEER_PORT = 7000
DATA = "/data"
FIRST_ADDRESS = 11
SUBNETS = tuple(f"10.{second}.{third}" for second in range(201, 206) for third in range(256))


@dataclass(frozen=True, slots=True)
class Host:
    """A host and the node on it. ``port`` is where clients reach the node, on 127.0.0.1."""

    name: str
    address: str
    container: Container
    port: int
    node: Container


def labels(run: str) -> dict[str, str]:
    return {RUN_LABEL: run, CONTROLLER_LABEL: controller_mark()}


def create_network(client: docker.DockerClient, run: str) -> tuple[Network, str]:
    """The run's own bridge network and its /24, the first free one from a place that the run id decides.

    Only the engine knows which subnets are taken, so it is asked by trying.
    """
    first = int(run, 16) % len(SUBNETS)
    overlap = ""
    for attempt in range(64):
        prefix = SUBNETS[(first + attempt) % len(SUBNETS)]
        pool = IPAMPool(subnet=f"{prefix}.0/24", gateway=f"{prefix}.1")
        try:
            with translated("making the run's network"):
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
    raise EnvironmentFailure(f"no free subnet in 64 tries, the last answer being: {overlap}")


def addresses(prefix: str, names: Sequence[str]) -> dict[str, str]:
    return {name: f"{prefix}.{FIRST_ADDRESS + i}" for i, name in enumerate(names)}


def create_host(
    client: docker.DockerClient, run: str, network: Network, name: str, address: str, image: str
) -> Container:
    """Start the host container. Its clients' port is published on 127.0.0.1 only, at a number the engine picks."""
    name_of_network = str(network.name)
    with translated(f"starting host {name}"):
        return client.containers.run(
            image,
            name=f"splitbrain-{run}-{name}-host",
            hostname=name,
            detach=True,
            cap_add=["NET_ADMIN", "SYS_PTRACE"],
            ports={f"{CLIENT_PORT}/tcp": ("127.0.0.1", 0)},
            network=name_of_network,
            networking_config={name_of_network: client.api.create_endpoint_config(ipv4_address=address)},
            labels=labels(run),
            stop_signal="SIGKILL",
        )


def create_node(
    client: docker.DockerClient, run: str, name: str, host: Container, image: str, command: Sequence[str]
) -> Container:
    """Start the node's container in the namespaces of its host."""
    with translated(f"starting node {name}"):
        return client.containers.run(
            image,
            list(command),
            name=f"splitbrain-{run}-{name}",
            detach=True,
            network_mode=f"container:{host.id}",
            pid_mode=f"container:{host.id}",
            labels=labels(run),
            stop_signal="SIGKILL",
        )


def published_port(host: Container, name: str) -> int:
    with translated(f"asking for the port of host {name}"):
        host.reload()
    ports: Mapping[str, Any] = host.attrs["NetworkSettings"]["Ports"]
    bindings = ports.get(f"{CLIENT_PORT}/tcp")
    if not bindings:
        raise EnvironmentFailure(f"host {name} has no published port: is its container running?")
    return int(bindings[0]["HostPort"])


def node_command(algorithm: Sequence[str], name: str, peers: Mapping[str, str], seed: int) -> tuple[str, ...]:
    """The arguments of ``python3 -m nodes`` for one node of our own."""
    others = [
        argument
        for peer, address in peers.items()
        if peer != name
        for argument in ("--peer", f"{peer}={address}:{PEER_PORT}")
    ]
    return (
        *algorithm,
        "--id",
        name,
        *others,
        "--listen",
        f"0.0.0.0:{PEER_PORT}",
        "--http",
        f"0.0.0.0:{CLIENT_PORT}",
        "--data",
        DATA,
        "--seed",
        str(seed),
    )
