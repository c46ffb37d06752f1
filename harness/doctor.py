"""Checks of this machine: does it have all that runs on containers need, and how to get it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from splitbrain.errors import EnvironmentFailure

LOOP_CONTROL = Path("/dev/loop-control")


@dataclass(frozen=True, slots=True)
class Examined:
    """One check: its subject, its result, and the observation or the remedy in words."""

    subject: str
    fine: bool
    words: str


def examine() -> Iterator[Examined]:
    """Everything a run relies on, cheapest first."""
    yield Examined("python", sys.version_info >= (3, 11), platform.python_version())
    cores = os.cpu_count() or 1
    yield Examined("cores", cores >= 2, f"{cores}; the canary shows when a run had too few of them")
    there = LOOP_CONTROL.exists()
    yield Examined("loop devices", True, f"{'there' if there else 'none here'}; only power cuts (torn) need them")
    yield from _engine()


def _engine() -> Iterator[Examined]:
    from splitbrain.runtimes.docker.engine import RUN_LABEL, connect, versions

    try:
        client = connect()
    except EnvironmentFailure as failure:
        yield Examined("engine", False, str(failure))
        return
    yield Examined("engine", True, ", ".join(f"{key} {value}" for key, value in versions(client).items()))
    images = {tag for image in client.images.list() for tag in image.tags}
    ours = sorted(tag for tag in images if tag.startswith("splitbrain/"))
    if ours:
        yield Examined("images", True, ", ".join(ours))
    else:
        maker = next((tool for tool in ("mmdebstrap", "debootstrap") if shutil.which(tool)), None)
        how = f"to be built on first use, from a pulled base or with {maker or 'mmdebstrap (not installed)'}"
        yield Examined("images", True, how)
    left = client.containers.list(all=True, filters={"label": RUN_LABEL}, ignore_removed=True)
    words = "none" if not left else f"{len(left)} containers of runs at work or interrupted; see splitbrain clean"
    yield Examined("left behind", True, words)
