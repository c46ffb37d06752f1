"""The docker runtime: runs a driver's coroutine on asyncio against a cluster of containers.

Whatever ends the run, its end, an error, ctrl-C or ``kill -TERM``, the cluster is torn down before this returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

from harness.drive import Driver
from harness.errors import EnvironmentFailure, Interrupted
from harness.runtimes.base import Facts, Say
from harness.runtimes.docker.cluster import DockerCluster
from harness.runtimes.docker.images import BuildInterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(driver: Driver, logs: Path, say: Say) -> Facts:
    """One whole run on containers.

    Raises EnvironmentFailure when the engine, an image or a host fails, and Interrupted on SIGINT or SIGTERM;
    the history is stored in either case, as far as it came. A tear-down that fails loses no run: it is a problem
    among the facts.
    """
    return asyncio.run(_run(driver, logs, say))


async def _run(driver: Driver, logs: Path, say: Say) -> Facts:
    cluster = DockerCluster(driver.experiment, secrets.token_hex(4), say)
    problems: tuple[str, ...] = ()
    with _interrupting(asyncio.create_task(_set_up_and_drive(cluster, driver)), say) as work:
        try:
            await work
        except BuildInterrupted as ended:
            raise Interrupted("interrupted while an image was built") from ended
        finally:
            driver.progress.phase("tear-down")
            try:
                await cluster.tear_down(logs)
            except EnvironmentFailure as left:
                problems = (str(left), "what may be left behind is removed by: splitbrain clean")
                say("\n".join(problems))
    return Facts(versions=cluster.facts, problems=problems)


async def _set_up_and_drive(cluster: DockerCluster, driver: Driver) -> None:
    driver.progress.phase("set-up")
    await cluster.set_up()
    await driver.drive(cluster)


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
