"""Loop-device disks, so that a simulated power loss discards unflushed writes. Requires ``--allow-privileged``.

The engine mounts each for its node's container. One more container of the run, the keeper, creates and restores them:
it may use loop devices, and has no other right that hosts lack.
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
from splitbrain.runtimes.docker.hosts import NodeDisk, labels

KEEPER = "disks"  # its name among the hosts
COMMIT_S = 300  # between two flushes by the file system itself; longer than most runs
RIGHTS = ("MKNOD", "CHOWN", "FOWNER", "DAC_OVERRIDE")  # for device files, and files of any owner
NEEDED = """{why}
  a simulated power loss needs a disk for each node: ext4 on a loop device of the engine's machine
  on that machine, as root: modprobe -a loop ext4 (Linux 5.8 or later); a rootless engine has no loop devices"""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Add the machine's requirements to an error of the engine."""
    try:
        yield
    except EnvironmentFailure as failure:
        raise EnvironmentFailure(NEEDED.format(why=failure)) from failure


def create_backing(client: docker.DockerClient, run: str) -> str:
    """Create the volume for the disks' backing files, and return its name."""
    with translated("creating a volume for the nodes' disks"):
        return str(client.volumes.create(f"splitbrain-{run}-{KEEPER}", labels=labels(run)).name)


def create_keeper(client: docker.DockerClient, run: str, image: str, backing: str) -> Container:
    """Start the container that creates and restores the disks; it has no network."""
    with explained(), translated("starting the container that creates the nodes' disks"):
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


def create_loop_disk(
    client: docker.DockerClient, run: str, name: str, where: str, device: str, backing: str
) -> NodeDisk:
    """Create a volume that the engine mounts from a loop device; the host mounts its backing file."""
    with translated(f"creating a disk for {name}"):
        volume = client.volumes.create(
            f"splitbrain-{run}-{name}",
            driver_opts={"type": "ext4", "device": device, "o": f"commit={COMMIT_S}"},
            labels=labels(run),
        )
    return NodeDisk(str(volume.name), where, {str(BACKING): backing})
