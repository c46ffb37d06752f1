"""Disks of nodes as loop devices, created and restored in a container that may use these devices and nothing else.

Each has an ext4 file system in a backing file, which the engine mounts for the node's container. A device is detached
by itself when it is not mounted and this process has ended, for whatever reason.
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

from splitbrain.runtimes.docker.agent import disks, power_loss
from splitbrain.runtimes.docker.agent.commands import RequestFailed, run
from splitbrain.runtimes.docker.agent.messages import DiskCreated, DiskRestored

DISK_BYTES = 256 << 20  # the backing file is sparse
# The root folder is left empty. Tables of zeros need not be written, so that mounting writes nothing later.
MAKE = ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", "assume_storage_prezeroed=1")
EMPTY = ("debugfs", "-w", "-R", "rmdir lost+found")
UNMOUNTED_SECONDS = 10.0
LOOP_MAJOR = 7
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_GET_FREE = 0x4C82
AUTOCLEAR = 4
BLKDISCARD = 0x1277


class LoopDevices:
    """The disks by the names of their nodes, each with its device held open."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[Path, int]] = {}

    def create(self, name: str) -> DiskCreated:
        """Create an empty disk for a node."""
        image = power_loss.BACKING / name
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        run(*MAKE, str(image))
        run(*EMPTY, str(image))
        device, held = attach(image)
        self._held[name] = device, held
        return DiskCreated(device=str(device))

    def restore(self, name: str) -> DiskRestored:
        """Reset the disk of a killed node to the copy of its flushed contents, once the engine has unmounted it."""
        image = power_loss.BACKING / name
        device = claim(self._held[name][0])
        if device is None:
            return DiskRestored(changed=0, problem="its disk stayed mounted and is unchanged")
        try:
            killed, after_kill = contents_of(image)
            cut, after_cut = contents_of(power_loss.copy_of(image))
            fcntl.ioctl(device, BLKDISCARD, struct.pack("=QQ", 0, DISK_BYTES))
            power_loss.write_data(power_loss.copy_of(image), device)
            os.fsync(device)
        finally:
            os.close(device)
            power_loss.copy_of(image).unlink()
        problem = power_loss.marker_problem(after_cut)
        if problem is None and after_kill != power_loss.UNFLUSHED:
            problem = "the kill alone would have lost the same writes"
        changed = sum(killed.get(path) != cut.get(path) for path in killed.keys() | cut.keys())
        return DiskRestored(changed=changed, problem=problem)


def attach(image: Path) -> tuple[Path, int]:
    """Attach a free loop device to the image, and return its path and an open descriptor.

    The kernel detaches it when it is neither open nor mounted.
    """
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
                if failure.errno != errno.EBUSY:  # another process took the device first
                    raise
            else:
                return device, held
    finally:
        os.close(backing)
        os.close(control)


def configuration(backing: int, name: str) -> bytes:
    """Pack a ``struct loop_config`` (linux/loop.h)."""
    info = struct.pack("=5Q4I64s64s32s2Q", 0, 0, 0, 0, 0, 0, 0, 0, AUTOCLEAR, name.encode(), b"", b"", 0, 0)
    return struct.pack("=2I", backing, 0) + info + bytes(64)


def claim(device: Path) -> int | None:
    """Open a device exclusively; None if it stays mounted for too long."""
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


def contents_of(image: Path) -> tuple[dict[str, str], bytes | None]:
    """Read the files of an unmounted file system after a replay of its journal, and the contents of its marker."""
    with tempfile.TemporaryDirectory(dir=power_loss.BACKING) as scratch:
        replayed, files = Path(scratch) / "image", Path(scratch) / "files"
        power_loss.copy(image, replayed)
        files.mkdir()
        subprocess.run(("e2fsck", "-y", "-E", "journal_only", replayed), capture_output=True, check=False)
        complaint = run("debugfs", "-R", f"rdump / {files}", str(replayed)).strip()
        if complaint:
            raise RequestFailed(f"the files of {image.name} cannot be read: {complaint}")
        return disks.listing(files), power_loss.marker_in(files)
