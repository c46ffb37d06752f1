"""The faults are values for everybody: this package needs nothing but the standard library and itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent
MODULES = sorted(PACKAGE.glob("*.py"))


def imported(source: str) -> set[str]:
    """The top-level packages that a module imports, wherever in it the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_imports_the_standard_library_and_its_own_package_only(path: Path) -> None:
    allowed = {"nemesis"} | ({"hypothesis"} if path.name == "strategies.py" else set())
    assert imported(path.read_text()) - set(sys.stdlib_module_names) <= allowed


def test_an_import_out_of_the_package_would_be_seen() -> None:
    assert imported("def f():\n    from harness.runtimes import base\n    import numpy.linalg") == {
        "harness",
        "numpy",
    }
