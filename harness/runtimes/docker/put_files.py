"""Put files into a container that has not started yet. The function blocks."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence

from docker.errors import NotFound
from docker.models.containers import Container

from splitbrain.errors import EnvironmentFailure
from splitbrain.nodes.systems.base import PutFile

USERS = "/etc/passwd"
GROUPS = "/etc/group"
MOST_BYTES = 1 << 20  # of the lists of users and groups


def put(container: Container, files: Sequence[PutFile]) -> None:
    """Put the files there. Raises EnvironmentFailure for an owner that its image does not know."""
    if not files:
        return
    named = [file for file in files if not file.owner.replace(":", "").isdigit() and file.owner != "root"]
    users, groups = (_read(container, USERS), _read(container, GROUPS)) if named else ({}, {})
    container.put_archive("/", archive((file, owner_of(file, users, groups)) for file in files))


def archive(files: Iterable[tuple[PutFile, tuple[int, int]]]) -> bytes:
    """A tar of the files, each with the numbers of its owner and group; folders above them are left as they are."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for file, (user, group) in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(file.content), file.mode, user, group
            tar.addfile(entry, io.BytesIO(file.content))
    return written.getvalue()


def owner_of(file: PutFile, users: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]) -> tuple[int, int]:
    """The numbers of a file's owner and group; without a group, the user's. Raises EnvironmentFailure."""
    name, _, group = file.owner.partition(":")
    fields = users.get(name, ["0", "0"] if name == "root" else [])
    user = name if name.isdigit() else "".join(fields[:1])
    named = group or "".join(fields[1:2]) or user
    number = named if named.isdigit() else "".join(groups.get(named, [])[:1])
    if not (user.isdigit() and number.isdigit()):
        raise EnvironmentFailure(f"{file.path}: owner: expected a user and a group of the image, got {file.owner!r}")
    return int(user), int(number)


def _read(container: Container, path: str) -> dict[str, Sequence[str]]:
    """The numbers after each name in a list of users or of groups; empty if the image has none."""
    try:
        stream, _ = container.get_archive(path)
    except NotFound:
        return {}
    content = io.BytesIO()
    for chunk in stream:
        content.write(chunk[: MOST_BYTES - content.tell()])
    content.seek(0)
    with tarfile.open(fileobj=content) as tar:
        member = tar.next()
        file = None if member is None else tar.extractfile(member)
        lines = [] if file is None else file.read(MOST_BYTES).decode(errors="replace").splitlines()
    return {fields[0]: fields[2:4] for line in lines if len(fields := line.split(":")) >= 3}
