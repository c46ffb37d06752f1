"""The distribution is complete: every package is listed, and every file that is read at run time is packed."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import splitbrain

TOP = Path(str(splitbrain.__file__)).resolve().parents[1]
SETUPTOOLS = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
PATTERNS: list[str] = SETUPTOOLS["package-data"]["*"]


def packages() -> Iterator[tuple[str, Path]]:
    """Every package in the five folders but the tests, by its import name."""
    for name, folder in FOLDERS.items():
        for init in (TOP / folder).rglob("__init__.py"):
            inside = init.parent.relative_to(TOP / folder)
            if "tests" not in inside.parts:
                yield ".".join((name, *inside.parts)), init.parent


def test_every_package_but_the_tests_is_listed() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(name for name, _ in packages())


def test_every_data_file_is_packed_and_no_test() -> None:
    folders = dict(packages())
    listing = subprocess.run(["git", "ls-files", "-z", *FOLDERS.values()], cwd=TOP, capture_output=True, check=True)
    tracked = {TOP / name for name in listing.stdout.decode().split("\0") if name}
    modules = {path for folder in folders.values() for path in folder.glob("*.py")}
    packed = {path for folder in folders.values() for pattern in PATTERNS for path in folder.glob(pattern)}
    tests = {path for path in tracked if "tests" in path.parts}
    assert tracked - modules - tests - packed == set()
    assert packed & tests == set()
