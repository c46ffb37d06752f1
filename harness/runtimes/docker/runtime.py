"""The docker runtime: runs a coroutine on asyncio against a cluster of containers.

The cluster is torn down before this returns, however the run ends: by itself, an error, ctrl-C, ``kill -TERM`` or a
hang-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable, Collection, Coroutine, Iterator
from pathlib import Path
from typing import Any

from splitbrain.ending import ending_signals
from splitbrain.errors import EnvironmentFailure, Interrupted
from splitbrain.nemesis.faults import Capability
from splitbrain.runtimes.base import ClusterSpec, Facts, Say
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.runtimes.docker.handlers import DISKS
from splitbrain.runtimes.docker.hosts import DiskKind
from splitbrain.runtimes.docker.images import BuildInterrupted

Work = Callable[[DockerCluster], Coroutine[Any, Any, None]]


def run(spec: ClusterSpec, work: Work, logs: Path, say: Say, phase: Callable[[str], None] = lambda name: None) -> Facts:
    """Run ``work`` on containers, as ``runtimes.base.Runtime`` describes.

    Raises EnvironmentFailure when the engine, an image or a host fails, and Interrupted on a signal. A
    tear-down that fails loses no run: it is a problem among the facts.
    """
    return asyncio.run(_run(spec, work, logs, say, phase))


def disks_for(needs: Collection[Capability]) -> DiskKind:
    """The kind of disks for faults with these capabilities; a schedule that needs two kinds is refused before a run."""
    return next((kind for capability, kind in DISKS.items() if capability in needs), "plain")


async def _run(spec: ClusterSpec, work: Work, logs: Path, say: Say, phase: Callable[[str], None]) -> Facts:
    cluster = DockerCluster(spec, secrets.token_hex(4), say, disks_for(spec.needs))

    async def set_up_and_work() -> None:
        phase("set-up")
        await cluster.set_up()
        await work(cluster)

    problems: tuple[str, ...] = ()
    with _interrupting(asyncio.create_task(set_up_and_work()), say) as task:
        try:
            await task
        except BuildInterrupted as ended:
            raise Interrupted("interrupted while an image was built") from ended
        finally:
            phase("tear-down")
            try:
                await cluster.tear_down(logs)
            except EnvironmentFailure as left:
                problems = (str(left), "to remove what is left: splitbrain clean")
                say("\n".join(problems))
    return Facts(versions=cluster.facts, problems=problems)


@contextlib.contextmanager
def _interrupting(work: asyncio.Task[None], say: Say) -> Iterator[asyncio.Task[None]]:
    """Cancel ``work`` on the first signal; later signals do not interrupt the cleaning up after it."""
    caught: list[str] = []

    def interrupt(number: signal.Signals) -> None:
        say(f"{number.name}: {'still cleaning up' if caught else 'ending the run and cleaning up'}")
        caught.append(number.name)
        if len(caught) == 1:
            work.cancel()

    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in ending_signals()}
    for number in before:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield work
        if caught:  # too late to cancel the work, but nothing may follow it
            raise Interrupted(f"interrupted by {caught[0]}")
    except asyncio.CancelledError as cancelled:
        if not caught:
            raise
        raise Interrupted(f"interrupted by {caught[0]}") from cancelled
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
