"""Loop-device disks, so that a simulated power loss discards unflushed writes. Requires ``--allow-privileged``.

Each is a loop device of the engine's machine, which the engine mounts for the node's container. One more container of
the run, the keeper, makes them: it may use these devices, and has no other right that hosts lack.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import docker
from docker.models.containers import Container
from docker.types import Mount

from splitbrain.errors import EnvironmentFailure
from splitbrain.runtimes.docker.agent.power_loss import BACKING
from splitbrain.runtimes.docker.engine import translated
from splitbrain.runtimes.docker.hosts import Disk, labels

KEEPER = "disks"  # its name among the hosts'
COMMIT_S = 300  # between two flushes of the file system's own, which is more than most runs take
RIGHTS = ("MKNOD", "CHOWN", "FOWNER", "DAC_OVERRIDE")  # to have the devices, and any file of the nodes', before it
NEEDED = """{why}
  losing unflushed writes needs separate disks for the nodes: ext4 on loop devices of the engine's machine
  on that machine, as root: modprobe -a loop ext4 (Linux 5.8 or later); an engine that is not root's has none"""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Add to an error of the engine the requirements on its machine."""
    try:
        yield
    except EnvironmentFailure as failure:
        raise EnvironmentFailure(NEEDED.format(why=failure)) from failure


def create_backing(client: docker.DockerClient, run: str) -> str:
    """The volume of the disks' backing files, by its name."""
    with translated("making a volume for the nodes' disks"):
        return str(client.volumes.create(f"splitbrain-{run}-{KEEPER}", labels=labels(run)).name)


def create_keeper(client: docker.DockerClient, run: str, image: str, backing: str) -> Container:
    """Start the keeper, which has no network."""
    with explained(), translated("starting what keeps the nodes' disks"):
        return client.containers.run(
            image,
            name=f"splitbrain-{run}-{KEEPER}",
            detach=True,
            cap_drop=["ALL"],
            cap_add=list(RIGHTS),
            devices=["/dev/loop-control:/dev/loop-control:rw"],
            device_cgroup_rules=["b 7:* rwm"],
            network_mode="none",
            labels=labels(run),
            mounts=[Mount(str(BACKING), backing, "volume")],
            stop_signal="SIGKILL",
        )


def create_loop_disk(client: docker.DockerClient, run: str, name: str, where: str, device: str, backing: str) -> Disk:
    """A volume that the engine mounts from that device, whose backing file the host has."""
    with translated(f"making a disk for {name}"):
        volume = client.volumes.create(
            f"splitbrain-{run}-{name}",
            driver_opts={"type": "ext4", "device": device, "o": f"commit={COMMIT_S}"},
            labels=labels(run),
        )
    return Disk(str(volume.name), where, {str(BACKING): backing})
