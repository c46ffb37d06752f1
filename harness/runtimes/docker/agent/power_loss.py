"""A power loss of a node with its disk on a loop device: its disk is left with flushed writes only.

The node is paused while the backing file of its disk, in a volume that the host shares, is copied: writes that are only
in the machine's page cache are in no copy. ``loop_devices`` later makes the copy the disk. A marker among the node's
files tells a power loss from a kill: it is flushed in the beginning, and overwritten just before the power loss without
a flush.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from splitbrain.runtimes.docker.agent import disks, processes
from splitbrain.runtimes.docker.agent.commands import RequestFailed, run
from splitbrain.runtimes.docker.agent.disks import MARKER
from splitbrain.runtimes.docker.agent.messages import Checked, DiskLeft

BACKING = Path("/var/lib/splitbrain/backing")  # the backing file of each node's disk, and its copy at a power loss
SYSFS = Path("/sys/dev/block")
FLUSHED = b"this was flushed"
UNFLUSHED = b"this was written, and not flushed"
COPY_SECONDS = 5.0  # in which there must be an instant without writes for as long as the copy takes
PIECE = 1 << 20


def write_marker(folder: str) -> None:
    """Write and flush the marker, and all other files of the node's disk. To be called before any fault.

    The disk of a machine that is set up holds its configuration, even if that was written without a flush.
    """
    found = disks.seen_by_node(folder)
    if found is None:
        raise RequestFailed(f"the node has no process that sees {folder}")
    (found / MARKER).write_bytes(FLUSHED)
    run("sync", "--file-system", str(found))


def copy_flushed(folder: str) -> DiskLeft:
    """Pause the node, and copy the flushed contents of its disk. It must not run again before it is killed."""
    processes.pause()
    found = disks.seen_by_node(folder)
    if found is None:
        return DiskLeft(problem=f"it has no process that sees {folder}, so its disk is unchanged")
    image = backing_of(found)
    if image is None:
        return DiskLeft(problem=f"{folder} is not on a loop device of ours, so it cannot lose power")
    if not (found / MARKER).is_file():
        return DiskLeft(problem=f"the marker in {folder} has been removed")
    with (found / MARKER).open("r+b") as marker:
        marker.write(UNFLUSHED)
    device, give_up = found.stat().st_dev, time.monotonic() + COPY_SECONDS
    while True:
        began, before = time.monotonic_ns(), writes(device)
        copy(image, copy_of(image))
        if writes(device) == before and not before[-1]:
            return DiskLeft(cut_ms=round((time.monotonic_ns() - began) / 1e6, 3), problem=None)
        if time.monotonic() > give_up:
            return DiskLeft(problem="its disk was written to throughout the copy")


def check_marker(folder: str) -> Checked:
    """Check after a power loss that the node's disk holds exactly the flushed contents of the marker."""
    found = disks.seen_by_node(folder)
    if found is None:
        return Checked(problem=f"it has no process that sees {folder}")
    problem = marker_problem(marker_in(found))
    if problem is not None:
        write_marker(folder)
    return Checked(problem=problem)


def marker_in(folder: Path) -> bytes | None:
    """Read the marker; None if it is missing."""
    try:
        return (folder / MARKER).read_bytes()
    except FileNotFoundError:
        return None


def marker_problem(marker: bytes | None) -> str | None:
    """Return the problem of a disk with that marker after a power loss; None if it is as it should be."""
    if marker == FLUSHED:
        return None
    return "a flushed write is missing from its disk" if marker is None else "an unflushed write is on its disk"


def backing_of(folder: Path) -> Path | None:
    """Return the backing file of the loop device that the folder is on; None if it is on another device."""
    device = folder.stat().st_dev
    with contextlib.suppress(OSError):
        name = Path((SYSFS / numbers(device) / "loop/backing_file").read_text().strip()).name
        if (BACKING / name).is_file():
            return BACKING / name
    return None


def copy_of(image: Path) -> Path:
    """Return the path of the copy made at a power loss."""
    return image.with_suffix(".cut")


def writes(device: int) -> tuple[int, ...]:
    """Count the writes and discards that the device has completed, and its requests in flight."""
    fields = [int(field) for field in (SYSFS / numbers(device) / "stat").read_text().split()]
    return fields[4], fields[11], fields[8]


def numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def copy(image: Path, target: Path) -> None:
    """Copy the image to ``target``, holes included."""
    with target.open("wb") as file:
        file.truncate(image.stat().st_size)
        write_data(image, file.fileno())


def write_data(image: Path, target: int) -> None:
    """Write the data of the image to the same offsets of ``target``, which is all zeros."""
    with image.open("rb") as file:
        for begin, end in data_in(file.fileno()):
            while begin < end:
                begin += os.pwrite(target, os.pread(file.fileno(), min(PIECE, end - begin), begin), begin)


def data_in(file: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a sparse file that hold data, as start and end."""
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
