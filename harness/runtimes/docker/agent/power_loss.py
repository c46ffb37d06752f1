"""Cutting the power of a node whose disk is a loop device: what is then on its disk is what had been flushed.

The node stands still while its disk's backing file, which lies in a volume that the host has too, is copied: what is in
the machine's page cache only is in no copy. ``loops`` then makes the copy the disk. A witness among the node's files
tells a cut from a kill: flushed in the beginning, and written anew just before the cut without being flushed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent import disks, processes
from splitbrain.runtimes.docker.agent.commands import Refused, run
from splitbrain.runtimes.docker.agent.disks import WITNESS

BACKING = Path("/var/lib/splitbrain/backing")  # of each node with such a disk its backing file, and the copy of a cut
SYSFS = Path("/sys/dev/block")
FLUSHED = b"this was flushed"
UNFLUSHED = b"this was written, and not flushed"
CUT_SECONDS = 5.0  # for the kernel to leave the disk alone while it is copied
PIECE = 1 << 20


def arm(folder: str) -> dict[str, Any]:
    """Flush a witness into the node's folder, and all else on its disk: to be done before anything is hurt.

    A machine that has been set up has its configuration on its disk, even if what wrote that never flushed it.
    """
    found = disks.seen_by_node(folder)
    if found is None:
        raise Refused(f"the node has no process that sees {folder}")
    (found / WITNESS).write_bytes(FLUSHED)
    run("sync", "--file-system", str(found))
    return {}


def cut(folder: str) -> dict[str, Any]:
    """Pause the node and copy its disk at that instant, in ``cut_ms``; it must not run again before it is killed.

    ``wrong`` says why there is no copy to go by.
    """
    processes.stop()
    found = disks.seen_by_node(folder)
    if found is None:
        return {"wrong": f"it had no process that sees {folder}, so its disk is as it was"}
    image = backing_of(found)
    if image is None:
        return {"wrong": f"{folder} is on no disk whose power could be cut"}
    if not (found / WITNESS).is_file():
        return {"wrong": f"of what was flushed to {folder} the witness has been removed"}
    with (found / WITNESS).open("r+b") as witness:
        witness.write(UNFLUSHED)
    device, give_up = found.stat().st_dev, time.monotonic() + CUT_SECONDS
    while True:
        began, before = time.monotonic_ns(), writes(device)
        copy(image, cut_of(image))
        if writes(device) == before and not before[-1]:
            return {"cut_ms": round((time.monotonic_ns() - began) / 1e6, 3), "wrong": None}
        if time.monotonic() > give_up:
            return {"wrong": "its disk was written to for as long as it was being copied"}


def survived(folder: str) -> dict[str, Any]:
    """After a cut: ``wrong`` says whether the node's disk holds anything but what had been flushed."""
    found = disks.seen_by_node(folder)
    if found is None:
        return {"wrong": f"it has no process that sees {folder}"}
    wrong = judged(witness_in(found))
    if wrong is not None:
        arm(folder)
    return {"wrong": wrong}


def witness_in(folder: Path) -> bytes | None:
    """What the witness says; None where there is none."""
    try:
        return (folder / WITNESS).read_bytes()
    except FileNotFoundError:
        return None


def judged(witness: bytes | None) -> str | None:
    """What is wrong with a disk after a cut, going by its witness."""
    if witness == FLUSHED:
        return None
    return "what had been flushed is not on its disk" if witness is None else "what was not flushed is on its disk"


def backing_of(folder: Path) -> Path | None:
    """The backing file of the loop device that the folder is on, None where it is on another device."""
    device = folder.stat().st_dev
    with contextlib.suppress(OSError):
        name = Path((SYSFS / numbers(device) / "loop/backing_file").read_text().strip()).name
        if (BACKING / name).is_file():
            return BACKING / name
    return None


def cut_of(image: Path) -> Path:
    """Where the copy of a cut is kept."""
    return image.with_suffix(".cut")


def writes(device: int) -> tuple[int, ...]:
    """How many writes and discards the device has carried out, and how many requests it has not yet."""
    fields = [int(field) for field in (SYSFS / numbers(device) / "stat").read_text().split()]
    return fields[4], fields[11], fields[8]


def numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def copy(image: Path, target: Path) -> None:
    """Make ``target`` like the image, holes included."""
    with target.open("wb") as file:
        file.truncate(image.stat().st_size)
        pour(image, file.fileno())


def pour(image: Path, target: int) -> None:
    """Write all data of the image to their places in ``target``, which is all noughts."""
    with image.open("rb") as file:
        for begin, end in data_in(file.fileno()):
            while begin < end:
                begin += os.pwrite(target, os.pread(file.fileno(), min(PIECE, end - begin), begin), begin)


def data_in(file: int) -> Iterator[tuple[int, int]]:
    """Where a sparse file has data: from, to."""
    end = 0
    while True:
        try:
            begin = os.lseek(file, end, os.SEEK_DATA)
        except OSError as failure:
            if failure.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(file, begin, os.SEEK_HOLE)
        yield begin, end
