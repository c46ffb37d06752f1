"""Write the reference page of all keys of a description, from the declarations that check them.

python -m splitbrain.user_systems.description.reference    (make docs)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from splitbrain.user_systems.description.system import ROOT
from splitbrain.user_systems.description.table import ANYTHING, Key, Section

BEFORE: Final = """\
# The keys of a description

[Your own image](your-own-image.md) explains how a system is described. Here is every key, made by `make docs` from the
code that checks them.
"""


def page() -> str:
    """The text of the page: a key that several tables have is explained at the first of them."""
    lines, explained = [BEFORE], list[Key[Any]]()
    for name, section in _sections(ROOT, ()):
        lines += [f"## {name}\n", f"{section.meaning}\n"]
        rows = [_row(key) for key in section.keys if key not in explained]
        again = [f"`{key.name}`" for key in section.keys if key in explained]
        lines += ["| key | value | meaning | default |\n|---|---|---|---|", *rows, ""] if rows else []
        lines += [f"As above: {', '.join(again)}.\n"] if again else []
        explained += section.keys
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
