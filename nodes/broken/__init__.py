"""Elections with one known bug each, to measure that every bug is caught, by which property, and how soon.

One bug a file, as the smallest subclass or option; the file is named after the bug, and says what the mistake is, which
property must catch it and what provokes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from splitbrain.nodes.broken.base import PREFIX, Broken

_MODULES: Final[Mapping[str, str]] = {
    PREFIX + path.stem.replace("_", "-"): f"{__name__}.{path.stem}"
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem not in ("__init__", "base")
}


class _Bugs(Mapping[str, Broken]):
    """Imports the module of a bug on first use, so that a restarting node reads its module and no other."""

    def __getitem__(self, name: str) -> Broken:
        bug: Broken = import_module(_MODULES[name]).BUG
        return bug

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


BROKEN: Final[Mapping[str, Broken]] = _Bugs()
"""Every planted bug by the name of its system, such as ``broken/forgets-vote``."""

__all__ = ["BROKEN", "Broken"]
