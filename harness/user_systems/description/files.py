"""Read the files that are put into a container before it starts.

Their contents stand in the description, or in files below its folder; a link out of that folder is not followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from splitbrain.checkers.files import MIB, read_whole
from splitbrain.nodes.systems.base import Machine, PutFile
from splitbrain.user_systems.description.placeholders import Style, checked
from splitbrain.user_systems.description.table import FLAG, TEXT, Key, Kind, NotOfKind, Section, Table, matching

MOST_BYTES: Final = 16 * MIB  # of all files of one machine
OF_THE_KERNEL: Final = ("/proc", "/sys", "/dev")


def _content(given: object) -> str:
    if not isinstance(given, str):
        raise NotOfKind
    return given


def _mode(given: object) -> int:
    if isinstance(given, str) and re.fullmatch("[0-7]{3,4}", given):
        return int(given, 8)
    if type(given) is int and 0 <= given <= 0o7777:
        return given
    raise NotOfKind


CONTENT: Final = Key(
    name="text", kind=Kind("a text", _content), default="`from`", meaning="its content, with placeholders"
)
FROM: Final = Key(
    name="from",
    kind=TEXT,
    default="`text`",
    meaning="a file beside the description, or a folder of them; taken as it is",
)
PLACEHOLDERS: Final = Key(
    name="placeholders", kind=FLAG, usual=False, meaning="placeholders in that file are filled in too"
)
MODE: Final = Key(
    name="mode", kind=Kind('a mode such as "0600"', _mode), usual=0o644, default='`"0644"`', meaning="its permissions"
)
OWNER: Final = Key(
    name="owner",
    kind=matching(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?", 'an owner, as "redis" or "101:101"'),
    usual="root",
    meaning="its owner, and its group, by the names in the image or by numbers",
)
FILE: Final = Section(
    name='"/PATH"',
    meaning="One of these files; a text in place of this table is its content.",
    keys=(CONTENT, FROM, PLACEHOLDERS, MODE, OWNER),
)
FILES: Final = Section(
    name="files",
    meaning=f"Files that are put into the container before it starts, by their path there, {MOST_BYTES // MIB} MiB in "
    "all. They lie in the container's own file system, or in its folder of durable state.",
    each=FILE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    """A file whose content may depend on the machine."""

    path: str
    content: bytes
    mode: int
    owner: str
    filled: bool

    def on(self, machine: Machine, style: Style) -> PutFile:
        content = style.fill(self.content.decode(), machine).encode() if self.filled else self.content
        return PutFile(path=self.path, content=content, mode=self.mode, owner=self.owner)


def read_files(table: Table, style: Style, known: Mapping[str, str]) -> Callable[[Machine], Sequence[PutFile]]:
    """The files that a table asks for, on each machine. Raises UsageError."""
    outer = table.table(FILES)
    found: list[_Template] = []
    for path, given in outer.given.items():
        _check_path(outer, path)
        if not isinstance(given, str | Mapping):
            raise outer.refuse(path, 'a text or a table such as {from = "app.conf"}', given)
        entry = {CONTENT.name: given} if isinstance(given, str) else given
        found += _read(Table(table.description, FILE, entry, (*outer.path, path)), path, known)
    if sum(len(each.content) for each in found) > MOST_BYTES:
        raise outer.refusal(f"{outer.label}expected at most {MOST_BYTES // MIB} MiB in all, got more")
    return lambda machine: [each.on(machine, style) for each in found]


def _check_path(outer: Table, path: str) -> None:
    parts = PurePosixPath(path).parts
    if not path.startswith("/") or len(parts) < 2 or ".." in parts or "\0" in path or path.startswith(OF_THE_KERNEL):
        raise outer.refuse(path, f"a path from / to a file, not below {', '.join(OF_THE_KERNEL)}", path)


def _read(table: Table, path: str, known: Mapping[str, str]) -> Iterator[_Template]:
    if (CONTENT in table) == (FROM in table):
        raise table.refusal(f"{table.label}expected one of text and from")
    if CONTENT in table:
        contents, filled = {path: checked(table, CONTENT, table[CONTENT], known).encode()}, True
    else:
        filled = table[PLACEHOLDERS]
        contents = dict(_from(table, path))
        for content in contents.values() if filled else ():
            _check_content(table, content, known)
    for where, content in contents.items():
        yield _Template(path=where, content=content, mode=table[MODE], owner=table[OWNER], filled=filled)


def _check_content(table: Table, content: bytes, known: Mapping[str, str]) -> None:
    try:
        checked(table, FROM, content.decode(), known)
    except UnicodeDecodeError:
        raise table.refuse(FROM, "a file in UTF-8, since placeholders are filled in", table[FROM]) from None


def _from(table: Table, path: str) -> Iterator[tuple[str, bytes]]:
    """The contents of a file beside the description, or of the files of a folder, by their paths in the container."""
    source = table.description.folder / table[FROM]
    if source.is_dir():
        for each in sorted(source.rglob("*")):
            if each.is_file():
                yield f"{path.rstrip('/')}/{each.relative_to(source).as_posix()}", _bytes_of(table, each)
    else:
        yield path, _bytes_of(table, source)


def _bytes_of(table: Table, source: Path) -> bytes:
    root = table.description.folder.resolve()
    if not source.resolve().is_relative_to(root):
        raise table.refuse(FROM, "a file within the description's folder", table[FROM])
    try:
        return read_whole(source, MOST_BYTES)
    except OSError as failure:
        raise table.refuse(
            FROM, "a file that can be read", table[FROM], why=failure.strerror or str(failure)
        ) from failure
