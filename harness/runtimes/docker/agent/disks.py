"""The node's durable state: one folder of its files, copied, put back, and emptied while its processes stand still.

The folder is reached through a process of the node, so nothing need be in its image. The copy lies in the host's own
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
from typing import Any

from splitbrain.runtimes.docker.agent import processes
from splitbrain.runtimes.docker.agent.commands import Refused

COPY = Path("/var/lib/splitbrain/copy")
DISK = Path("/var/lib/splitbrain/disk")  # the node's data folder, where it is a volume that the host has too
FILLER = ".splitbrain-filler"
WITNESS = ".splitbrain-witness"  # see ``power``


def keep(folder: str) -> dict[str, Any]:
    """Copy the folder, in place of any copy before; the node is paused meanwhile, for ``stopped_ms``.

    Nothing is flushed for it: the copy is what the files say at one instant, as after a crash. Of a node without such a
    folder, as contenders that keep nothing are, no copy is made.
    """
    if COPY.exists():
        shutil.rmtree(COPY)
    began = time.monotonic_ns()
    processes.stop()
    try:
        if not processes.node_processes():
            raise Refused(f"the node has no process by which {folder} could be seen")
        found = seen_by_node(folder)
        files = copy(found, COPY) if found else 0
    finally:
        processes.go()
    return {"files": files, "stopped_ms": round((time.monotonic_ns() - began) / 1e6, 3)}


def leave(folder: str, left: str, pattern: str | None) -> dict[str, Any]:
    """Pause the node and have the folder hold nothing (``left`` is ``lost``) or the copy (``old``).

    With a pattern only the files go whose paths within the folder it matches. The node must not run again before it
    is killed. ``changed`` counts the files that are no longer as they were; ``wrong`` says what is not as it should be.
    """
    processes.stop()
    found = seen_by_node(folder)
    if found is None:
        return {"changed": 0, "wrong": f"it had no process that sees {folder}, so its disk is as it was"}
    before = listing(found)
    wanted: dict[str, str] = {}
    if left == "old":
        if not COPY.is_dir():
            return {"changed": 0, "wrong": "no copy of its disk was kept"}
        empty(found)
        copy(COPY, found)
        wanted = listing(COPY)
    elif pattern is None:
        empty(found)
    else:
        wanted = {path: told for path, told in before.items() if not fnmatchcase(path, pattern)}
        for path in before.keys() - wanted.keys():
            (found / path).unlink()
    after = listing(found)
    differ = sorted(path for path in wanted.keys() | after.keys() if wanted.get(path) != after.get(path))
    wrong = f"on its disk {', '.join(differ)} should be otherwise" if differ else None
    if pattern is not None and len(wanted) == len(before):
        wrong = f"no file in {folder} has a path like {pattern}"
    changed = sum(before.get(path) != after.get(path) for path in before.keys() | after.keys())
    return {"changed": changed, "wrong": wrong}


def fill() -> dict[str, Any]:
    """Have a file of ours take all that is left of the node's disk. ``taken`` and what is ``left`` are in bytes.

    What the node then frees of its own it may write again.
    """
    if not DISK.is_mount():
        raise Refused("the node's disk has no bounds, and cannot be full")
    with (DISK / FILLER).open("ab") as filler:
        while (room := _room()) and _take(filler.fileno(), room):
            pass
        return {"taken": os.fstat(filler.fileno()).st_size, "left": _room()}


def _take(file: int, size: int) -> bool:
    """Whether the file could grow by so much."""
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


def free() -> dict[str, Any]:
    """Give back what ``fill`` took; how much is ``left`` then."""
    (DISK / FILLER).unlink(missing_ok=True)
    return {"left": _room()}


def seen_by_node(folder: str) -> Path | None:
    """The folder as the node sees it, None where it has no process or no such folder."""
    seen = (Path(f"/proc/{pid}/root{folder}") for pid in processes.node_processes())
    return next((path for path in seen if path.is_dir()), None)


def copy(source: Path, target: Path) -> int:
    """Make ``target``, which is empty or not there, like ``source``, owners included; how many files there are."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    count = 0
    for path in every(source):
        held = path.lstat()
        os.chown(target / path.relative_to(source), held.st_uid, held.st_gid, follow_symlinks=False)
        count += not path.is_dir() or path.is_symlink()
    return count


def listing(folder: Path) -> dict[str, str]:
    """Every file by its path within the folder: its owner, its mode and a digest of what it holds."""
    return {str(path.relative_to(folder)): described(path) for path in every(folder) if not stat.S_ISDIR(mode(path))}


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


def every(folder: Path) -> list[Path]:
    """All that is below a folder; what a link leads to is not."""
    below = []
    for path in held_in(folder):
        below.append(path)
        if stat.S_ISDIR(mode(path)):
            below += every(path)
    return below


def held_in(folder: Path) -> list[Path]:
    """What is in a folder, but for what is ours."""
    return sorted(path for path in folder.iterdir() if path.name not in (FILLER, WITNESS))


def empty(folder: Path) -> None:
    """Remove all that is in a folder. Files are unlinked, so that what is still mapped writes to nobody's file."""
    for path in held_in(folder):
        if stat.S_ISDIR(mode(path)):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
