"""The connection to the Docker engine. Its client's errors leave this package only as EnvironmentFailure."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException
from requests.exceptions import RequestException

from splitbrain.errors import EnvironmentFailure, NoEngine
from splitbrain.names import MS

RUN_LABEL = "splitbrain.run"
CONTROLLER_LABEL = "splitbrain.controller"

NO_ENGINE = """no Docker engine answers ({why})
  as root on Debian or Ubuntu: `make engine` installs docker.io and starts dockerd
  anywhere else: install and start Docker (Docker Desktop will do), then try again"""

NO_ACCESS = """the Docker engine's socket refuses this user ({why})
  join the group docker (`sudo usermod -aG docker USER`, then log in again), or run as root"""


def connect() -> docker.DockerClient:
    """Connect to the Docker engine. Raises NoEngine with advice if none answers."""
    try:
        client = docker.from_env(timeout=120, max_pool_size=64)
        client.ping()
    except (DockerException, RequestException) as failure:
        why = str(failure).splitlines()[0][:160]
        advice = NO_ACCESS if "Permission denied" in str(failure) else NO_ENGINE
        raise NoEngine(advice.format(why=why)) from failure
    return client


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn errors of the engine's client into an EnvironmentFailure that says what was being done."""
    try:
        yield
    except APIError as failure:
        raise EnvironmentFailure(f"{doing}: the engine says: {failure.explanation or failure}") from failure
    except (DockerException, RequestException) as failure:
        raise EnvironmentFailure(f"{doing}: the engine does not answer: {failure}") from failure


def versions(client: docker.DockerClient) -> dict[str, Any]:
    """Return the versions of engine and kernel, for the record of a run."""
    version: dict[str, Any] = client.version()
    return {"engine": version["Version"], "kernel": version.get("KernelVersion", "unknown")}


def clock_ahead(client: docker.DockerClient) -> int:
    """How far the engine's clock is ahead of this machine's (ns), mostly 0: it may be that of a virtual machine.

    A difference that the time of the answer explains is none: on a busy machine an answer takes long.
    """
    began = time.time_ns()
    with translated("reading the engine's clock"):
        shown = datetime.fromisoformat(client.info()["SystemTime"])
    ended = time.time_ns()
    ahead = int(shown.timestamp() * 1e9) - (began + ended) // 2
    return ahead if abs(ahead) > (ended - began) // 2 + MS else 0


def controller_mark() -> str:
    """Return a mark of this process for its containers; a later process with the same pid has another mark."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def controller_lives(mark: str) -> bool:
    """True if the controller with that mark may still run; one on another machine always may."""
    host, _, rest = mark.partition("/")
    pid, _, started = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit():
        return host != socket.gethostname()
    return _alive(int(pid)) and _started(int(pid)) == started


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """Return the start time of a process where the system shows it (Linux), else the empty string."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def interrupted_containers(client: docker.DockerClient) -> int:
    """Count the containers that interrupted runs left behind."""
    with translated("looking for leftovers of runs"):
        containers = client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
    return sum(_left_behind(container.labels) for container in containers)


def _left_behind(labels: dict[str, str]) -> bool:
    return not controller_lives(labels.get(CONTROLLER_LABEL, ""))


def remove_runs(client: docker.DockerClient, run: str | None, everything: bool = False) -> list[str]:
    """Remove the containers, networks and volumes of one run, or of every run with a controller that has ended.

    Returns their names. ``everything`` includes runs still in progress.
    """
    label = RUN_LABEL if run is None else f"{RUN_LABEL}={run}"
    removed = []

    def ours(labels: dict[str, str]) -> bool:
        return run is not None or everything or _left_behind(labels)

    with translated("removing leftovers of runs"):
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            if ours(container.labels):
                _removing(lambda container=container: container.remove(force=True, v=True))
                removed.append(f"container {container.name}")
        for network in client.networks.list(filters={"label": label}):
            if ours((network.attrs or {}).get("Labels") or {}):
                _removing(network.remove)
                removed.append(f"network {network.name}")
        for volume in client.volumes.list(filters={"label": label}):
            if ours((volume.attrs or {}).get("Labels") or {}):
                _removing(volume.remove)
                removed.append(f"volume {volume.name}")
    return removed


def _removing(remove: Any) -> None:
    """Remove an object of the engine; one that is gone, or being removed, is no error."""
    try:
        remove()
    except APIError as failure:
        if failure.status_code not in (404, 409):
            raise


def remove_images(client: docker.DockerClient) -> list[str]:
    """Remove every image that splitbrain built; the next run builds them again."""
    removed = []
    with translated("removing the images"):
        tags = {tag for image in client.images.list() for tag in image.tags if tag.startswith("splitbrain/")}
        for tag in sorted(tags):
            _removing(lambda tag=tag: client.images.remove(tag))
            removed.append(f"image {tag}")
    return removed
