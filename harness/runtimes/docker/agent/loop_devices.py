"""The nodes' disks as loop devices, made and put back by a container that has these devices and no other right.

Each has an ext4 file system in a backing file; the engine mounts it for the node's container and no longer. A device
goes by itself when nobody has it mounted and this process has ended, however that came about.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from splitbrain.runtimes.docker.agent import disks
from splitbrain.runtimes.docker.agent import power_loss as power
from splitbrain.runtimes.docker.agent.commands import Refused, run

DISK_BYTES = 256 << 20  # of which only what is written takes room
# The root folder is left empty, and tables that are all noughts need not be written: nothing is, once it is mounted.
MAKE = ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "assume_storage_prezeroed=1")
EMPTY = ("debugfs", "-w", "-R", "rmdir lost+found")
UNMOUNTED_SECONDS = 10.0
LOOP_MAJOR = 7
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_GET_FREE = 0x4C82
AUTOCLEAR = 4
BLKDISCARD = 0x1277


class Loops:
    """The disks by the names of the nodes, each with its device held open."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Path, int]] = {}

    def attach(self, name: str) -> dict[str, Any]:
        """Make an empty disk; the ``device`` that it is."""
        image = power.BACKING / name
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        run(*MAKE, str(image))
        run(*EMPTY, str(image))
        device, held = attached(image)
        self._held[name] = device, held
        return {"device": str(device)}

    def put_back(self, name: str) -> dict[str, Any]:
        """Make the disk of a node that was killed what a cut has left of it, as soon as the engine has unmounted it.

        ``changed`` counts the files that are not as the kill alone has left them; ``wrong`` says what is not as it
        should be.
        """
        image = power.BACKING / name
        device = claimed(self._held[name][0])
        if device is None:
            return {"changed": 0, "wrong": "its disk stayed mounted, and is as it was"}
        try:
            killed, after_kill = held_by(image)
            cut, after_cut = held_by(power.cut_of(image))
            fcntl.ioctl(device, BLKDISCARD, struct.pack("=QQ", 0, DISK_BYTES))
            power.pour(power.cut_of(image), device)
            os.fsync(device)
        finally:
            os.close(device)
            power.cut_of(image).unlink()
        wrong = power.judged(after_cut)
        if wrong is None and after_kill != power.UNFLUSHED:
            wrong = "the kill alone would have left no more on its disk"
        changed = sum(killed.get(path) != cut.get(path) for path in killed.keys() | cut.keys())
        return {"changed": changed, "wrong": wrong}


def attached(image: Path) -> tuple[Path, int]:
    """Have a free loop device show the image for as long as anybody has it open or mounted; it, and it opened."""
    control = os.open("/dev/loop-control", os.O_RDWR)
    backing = os.open(image, os.O_RDWR)
    try:
        while True:
            number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            device = Path(f"/dev/loop{number}")
            with contextlib.suppress(FileExistsError):
                os.mknod(device, 0o600 | stat.S_IFBLK, os.makedev(LOOP_MAJOR, number))
            held = os.open(device, os.O_RDWR)
            try:
                fcntl.ioctl(held, LOOP_CONFIGURE, configuration(backing, image.name))
            except OSError as failure:
                os.close(held)
                if failure.errno != errno.EBUSY:  # somebody else was quicker
                    raise
            else:
                return device, held
    finally:
        os.close(backing)
        os.close(control)


def configuration(backing: int, name: str) -> bytes:
    """A ``struct loop_config`` (linux/loop.h)."""
    info = struct.pack("=5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0, AUTOCLEAR, name.encode(), b"", b"", 0, 0)
    return struct.pack("=2I", backing, 0) + info + bytes(64)


def claimed(device: Path) -> int | None:
    """Open a device that nobody else is to mount meanwhile; None if somebody has it mounted for too long."""
    give_up = time.monotonic() + UNMOUNTED_SECONDS
    while True:
        try:
            return os.open(device, os.O_RDWR | os.O_EXCL)
        except OSError as failure:
            if failure.errno != errno.EBUSY:
                raise
        if time.monotonic() > give_up:
            return None
        time.sleep(0.002)


def held_by(image: Path) -> tuple[dict[str, str], bytes | None]:
    """All files of a file system that is not mounted, once its journal is replayed, and what its witness says."""
    with tempfile.TemporaryDirectory(dir=power.BACKING) as scratch:
        replayed, files = Path(scratch) / "image", Path(scratch) / "files"
        power.copy(image, replayed)
        files.mkdir()
        subprocess.run(("e2fsck", "-y", "-E", "journal_only", replayed), capture_output=True, check=False)
        complaint = run("debugfs", "-R", f"rdump / {files}", str(replayed)).strip()
        if complaint:
            raise Refused(f"the files of {image.name} cannot be read: {complaint}")
        return disks.listing(files), power.witness_in(files)
