"""Write the reference page of all keys of a description, from the declarations that check them.

python -m splitbrain.user_systems.description.reference    (make docs)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from splitbrain.user_systems.description.placeholders import PLACEHOLDERS
from splitbrain.user_systems.description.system import ROOT
from splitbrain.user_systems.description.table import ANYTHING, Key, Section

BEFORE: Final = """\
# The keys of a description

[Your own image](your-own-image.md) explains how a system is described. Here is every key, made by `make docs` from the
code that checks them.

## Placeholders

They stand in commands, environment variables and files. Other braces are doubled, `{{` for `{`. A group is all nodes,
or the servers of one name; lists are joined by `separator`.

| placeholder | stands for |
|---|---|
PLACEHOLDERS
| `{group.NAME}` | the addresses of the servers of that name |
| `{peer}` | in a word of a command, which is then repeated: each of the others of its group, as `peer` says |
"""


def page() -> str:
    """The text of the page: what several tables have is explained at the first of them."""
    placeholders = "\n".join(f"| `{{{name}}}` | {meaning} |" for name, meaning in PLACEHOLDERS.items())
    lines, explained = [BEFORE.replace("PLACEHOLDERS", placeholders)], list[Key[Any] | Section]()
    for name, section in _sections(ROOT, ()):
        if section in explained:
            continue
        lines += [f"## {name}\n", f"{section.meaning}\n"]
        rows = [_row(key) for key in section.keys if key not in explained]
        parts: tuple[Key[Any] | Section, ...] = (*section.keys, *section.tables)
        again = [f"`{part.name}`" for part in parts if part in explained]
        lines += ["| key | value | meaning | default |\n|---|---|---|---|", *rows, ""] if rows else []
        lines += [f"As above: {', '.join(again)}.\n"] if again else []
        explained += [section, *section.keys]
    return "\n".join(lines)


def _sections(section: Section, path: tuple[str, ...]) -> Iterator[tuple[str, Section]]:
    """A section and all below it, each with its heading."""
    yield (f"`[{'.'.join(path)}]`" if path else "Before the first table"), section
    for table in (*section.tables, *([] if section.each is None else [section.each])):
        yield from _sections(table, (*path, table.name))


def _row(key: Key[Any]) -> str:
    value = "" if key.kind is ANYTHING else key.kind.expected
    return f"| `{key.name}` | {value} | {key.meaning} | {_default(key)} |"


def _default(key: Key[Any]) -> str:
    if key.default or key.usual is None:
        return key.default
    if key.usual in ((), {}):
        return "none"
    return f"`{json.dumps(key.usual)}`"


if __name__ == "__main__":
    print(page(), end="")
