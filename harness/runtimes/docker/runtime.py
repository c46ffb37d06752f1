"""The docker runtime: runs a driver's coroutine on asyncio against a cluster of containers.

Whatever ends the run, its end, an error, ctrl-C or ``kill -TERM``, the cluster is torn down before this returns.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.drive import Driver
from harness.errors import EnvironmentFailure, SplitbrainError
from harness.runtimes.docker.cluster import DockerCluster
from harness.runtimes.docker.images import Interrupted as BuildInterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(SplitbrainError):
    """The run was told to end by a signal."""


def run(driver: Driver, logs: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """One whole run on containers. Returns the facts of its environment.

    Raises EnvironmentFailure when the engine, an image or a host fails, and Interrupted on SIGINT or SIGTERM;
    the history is stored in either case, as far as it came.
    """
    return asyncio.run(_run(driver, logs, say))


async def _run(driver: Driver, logs: Path, say: Callable[[str], None]) -> dict[str, Any]:
    cluster = DockerCluster(driver.experiment, secrets.token_hex(4), say)
    work = asyncio.create_task(_set_up_and_drive(cluster, driver))
    caught: list[signal.Signals] = []

    def interrupt(number: signal.Signals) -> None:
        say(f"{number.name}: {'still cleaning up' if caught else 'ending the run and cleaning up'}")
        caught.append(number)
        if len(caught) == 1:
            work.cancel()

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    failure: BaseException | None = None
    try:
        await work
    except (asyncio.CancelledError, BuildInterrupted) as ended:
        failure = Interrupted(f"interrupted by {caught[0].name}") if caught else ended
    except BaseException as error:
        failure = error
    try:
        driver.progress.phase("tear-down")
        await cluster.tear_down(logs)
    except EnvironmentFailure as left:
        say(f"{left}\nwhen the engine answers again: splitbrain clean")
        failure = failure or left
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    if failure is not None:
        raise failure
    return cluster.facts


async def _set_up_and_drive(cluster: DockerCluster, driver: Driver) -> None:
    driver.progress.phase("set-up")
    await cluster.set_up()
    await driver.drive(cluster)
