"""Files that others wrote: regular files only, and no more bytes than the reader expects.

A device such as ``/dev/full`` never ends, and a FIFO blocks until another process writes to it.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

MIB: Final = 1 << 20
MOST_JSON: Final = 16 * MIB  # of a record or a schedule: decoded it may take fifty times as much
KINDS: Final = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError, with the reason as ``strerror``, unless it is a regular file."""
    mode = path.stat().st_mode
    for is_kind, kind in KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, f"expected a regular file, got {kind}", str(path))
    return path.open("rb")


def read_whole(path: Path, most: int = MOST_JSON) -> bytes:
    """The content of a regular file of at most ``most`` bytes. Raises OSError, with the reason as ``strerror``."""
    with open_regular(path) as file:
        return read_rest(file, most)


def read_rest(file: BinaryIO, most: int) -> bytes:
    """The rest of an open file, at most ``most`` bytes. Raises OSError, with the reason as ``strerror``."""
    content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"expected at most {most // MIB} MiB, got more", file.name)
    return content


def lines_of(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The lines of a file. Of one that is longer than ``most`` bytes, parts of ``most + 1``."""
    return iter(partial(file.readline, most + 1), b"")
