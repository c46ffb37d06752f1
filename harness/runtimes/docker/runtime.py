"""The docker runtime: runs a driver's coroutine on asyncio against a cluster of containers.

Whatever ends the run, its end, an error, ctrl-C or ``kill -TERM``, the cluster is torn down before this returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from splitbrain.core.experiment import Experiment
from splitbrain.core.lifecycle import RunPhases
from splitbrain.errors import EnvironmentFailure, Interrupted
from splitbrain.nemesis.faults import required
from splitbrain.nemesis.schedules import Schedule
from splitbrain.runtimes.base import Facts, Say
from splitbrain.runtimes.docker.cluster import DockerCluster
from splitbrain.runtimes.docker.hosts import DiskKind
from splitbrain.runtimes.docker.images import BuildInterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(driver: RunPhases, logs: Path, say: Say) -> Facts:
    """One whole run on containers.

    Raises EnvironmentFailure when the engine, an image or a host fails, and Interrupted on SIGINT or SIGTERM;
    the history is stored in either case, as far as it came. A tear-down that fails loses no run: it is a problem
    among the facts.
    """

    async def work(cluster: DockerCluster) -> None:
        await driver.drive(cluster)

    return attend(driver.experiment, work, logs, say, driver.progress.phase, disks_for(driver.schedule))


def disks_for(schedule: Schedule) -> DiskKind:
    """The disks that the nodes need for it to be carried out."""
    asked = {ability for step in schedule.steps for ability in required(step.fault)}
    if "kill with state torn" in asked:
        return "loop"
    return "bounded" if "full disk" in asked else "plain"


def attend(
    experiment: Experiment,
    work: Callable[[DockerCluster], Awaitable[None]],
    logs: Path,
    say: Say,
    phase: Callable[[str], None] = lambda name: None,
    disks: DiskKind = "plain",
) -> Facts:
    """Set up a cluster, do ``work`` with it, and tear it down whatever ends that; for the rest see ``run``."""
    return asyncio.run(_attend(experiment, work, logs, say, phase, disks))


async def _attend(
    experiment: Experiment,
    work: Callable[[DockerCluster], Awaitable[None]],
    logs: Path,
    say: Say,
    phase: Callable[[str], None],
    disks: DiskKind,
) -> Facts:
    cluster = DockerCluster(experiment, secrets.token_hex(4), say, disks)

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
                problems = (str(left), "what may be left behind is removed by: splitbrain clean")
                say("\n".join(problems))
    return Facts(versions=cluster.facts, problems=problems)


@contextlib.contextmanager
def _interrupting(work: asyncio.Task[None], say: Say) -> Iterator[asyncio.Task[None]]:
    """Signals end ``work``, once, and leave whatever cleans up after it alone."""
    caught: list[str] = []

    def interrupt(number: signal.Signals) -> None:
        say(f"{number.name}: {'still cleaning up' if caught else 'ending the run and cleaning up'}")
        caught.append(number.name)
        if len(caught) == 1:
            work.cancel()

    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield work
        if caught:  # too late to end the work, and in good time to end what would have followed
            raise Interrupted(f"interrupted by {caught[0]}")
    except asyncio.CancelledError as cancelled:
        if not caught:
            raise
        raise Interrupted(f"interrupted by {caught[0]}") from cancelled
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
