"""The node's data folder: copied, restored, and emptied while the node's processes are paused.

The folder is reached through a process of the node, so its image needs nothing of ours. The copy lies in the host
container and goes with it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.messages import DiskFilled, DiskFreed, DiskLeft, FolderCopied

COPY = Path("/var/lib/splitbrain/copy")
DISK = Path("/var/lib/splitbrain/disk")  # the node's data folder, if it is a volume that the host shares
FILLER = ".splitbrain-filler"
MARKER = ".splitbrain-marker"  # see ``power_loss``


def copy_folder(folder: str) -> FolderCopied:
    """Copy the folder in place of any earlier copy, while the node is paused.

    Nothing is flushed first: the copy is the contents of the files at one instant, as after a crash. A node without
    the folder stores nothing, and no copy is made.
    """
    if COPY.exists():
        shutil.rmtree(COPY)
    began = time.monotonic_ns()
    processes.pause()
    try:
        if not processes.node_processes():
            raise RequestFailed(f"the node has no process through which {folder} could be read")
        found = seen_by_node(folder)
        files = copy(found, COPY) if found else 0
    finally:
        processes.resume()
    return FolderCopied(files=files, stopped_ms=round((time.monotonic_ns() - began) / 1e6, 3))


def lose(folder: str, left: Literal["lost", "old"], pattern: str | None) -> DiskLeft:
    """Pause the node, and empty the folder (``lost``) or reset it to the copy (``old``).

    With a pattern only files are removed with a matching path within the folder. The node must not run again before it
    is killed.
    """
    processes.pause()
    found = seen_by_node(folder)
    if found is None:
        return DiskLeft(changed=0, problem=f"it has no process that sees {folder}, so its disk is unchanged")
    before = listing(found)
    wanted: dict[str, str] = {}
    if left == "old":
        if not COPY.is_dir():
            return DiskLeft(changed=0, problem="no copy of its disk was made")
        empty(found)
        copy(COPY, found)
        wanted = listing(COPY)
    elif pattern is None:
        empty(found)
    else:
        wanted = {path: entry for path, entry in before.items() if not fnmatchcase(path, pattern)}
        for path in before.keys() - wanted.keys():
            (found / path).unlink()
    after = listing(found)
    differ = sorted(path for path in wanted.keys() | after.keys() if wanted.get(path) != after.get(path))
    problem = f"on its disk these files are not as requested: {', '.join(differ)}" if differ else None
    if pattern is not None and len(wanted) == len(before):
        problem = f"no file in {folder} has a path like {pattern}"
    changed = sum(before.get(path) != after.get(path) for path in before.keys() | after.keys())
    return DiskLeft(changed=changed, problem=problem)


def fill() -> DiskFilled:
    """Take all free space of the node's disk by a file of ours.

    Space that the node frees afterwards is available to it.
    """
    if not DISK.is_mount():
        raise RequestFailed("the node's disk has no fixed size, so it cannot be filled")
    with (DISK / FILLER).open("ab") as filler:
        while (room := _room()) and _take(filler.fileno(), room):
            pass
        return DiskFilled(taken=os.fstat(filler.fileno()).st_size, left=_room())


def _take(file: int, size: int) -> bool:
    """Extend the file by ``size`` bytes; False if there is no space."""
    try:
        os.posix_fallocate(file, os.fstat(file).st_size, size)
    except OSError as failure:
        if failure.errno != errno.ENOSPC:
            raise
        return False
    return True


def _room() -> int:
    held = os.statvfs(DISK)
    return held.f_bavail * held.f_frsize


def filler_size() -> int:
    """Return the size of the file that takes the free space; 0 if there is none."""
    try:
        return (DISK / FILLER).stat().st_size
    except OSError:
        return 0


def free() -> DiskFreed:
    """Give back the space that ``fill`` took."""
    (DISK / FILLER).unlink(missing_ok=True)
    return DiskFreed(left=_room())


def seen_by_node(folder: str) -> Path | None:
    """Return the folder as the node sees it; None if the node has no process or does not have the folder."""
    seen = (Path(f"/proc/{pid}/root{folder}") for pid in processes.node_processes())
    return next((path for path in seen if path.is_dir()), None)


def copy(source: Path, target: Path) -> int:
    """Copy ``source`` with its owners to ``target``, which is empty or missing, and return the number of files."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    count = 0
    for path in below(source):
        held = path.lstat()
        os.chown(target / path.relative_to(source), held.st_uid, held.st_gid, follow_symlinks=False)
        count += not path.is_dir() or path.is_symlink()
    return count


def listing(folder: Path) -> dict[str, str]:
    """Describe every file in a folder, by its path there: owner, mode and a digest of its contents."""
    return {str(path.relative_to(folder)): described(path) for path in below(folder) if not stat.S_ISDIR(mode(path))}


def described(path: Path) -> str:
    held = path.lstat()
    if path.is_symlink():
        what = f"to {path.readlink()}"
    elif path.is_file():
        with path.open("rb") as file:
            what = hashlib.file_digest(file, "blake2b").hexdigest()
    else:
        what = "special"
    return f"{held.st_uid}:{held.st_gid} {held.st_mode:o} {what}"


def mode(path: Path) -> int:
    return path.lstat().st_mode


def below(folder: Path) -> list[Path]:
    """List everything below a folder. Symbolic links are not followed."""
    found = []
    for path in entries(folder):
        found.append(path)
        if stat.S_ISDIR(mode(path)):
            found += below(path)
    return found


def entries(folder: Path) -> list[Path]:
    """List the entries of a folder without our files."""
    return sorted(path for path in folder.iterdir() if path.name not in (FILLER, MARKER))


def empty(folder: Path) -> None:
    """Remove everything in a folder. Files are unlinked, so that writes to mapped files reach no file any more."""
    for path in entries(folder):
        if stat.S_ISDIR(mode(path)):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
