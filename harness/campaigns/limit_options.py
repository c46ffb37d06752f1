"""The options ``--memory`` and ``--pids`` of the commands that run containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from splitbrain.nodes.systems.base import LEAST_MEMORY_MB

F = Callable[..., Any]

USUAL: Final = "default: what SYSTEM states, mostly 1024."


def limit_options(command: F) -> F:
    """Add both options, as ``memory_mb`` and ``pids``; None where not given."""
    for decorate in (
        click.option("--pids", type=click.IntRange(min=1), help=f"Most processes of each container; {USUAL}"),
        click.option(
            "--memory", "memory_mb", type=click.IntRange(min=LEAST_MEMORY_MB), help=f"MB of each container; {USUAL}"
        ),
    ):
        command = decorate(command)
    return command
