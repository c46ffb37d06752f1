"""The installed wheel: every module and every file that a run reads, under one name, without tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS: dict[str, str] = PYPROJECT["tool"]["setuptools"]["package-dir"]
NOT_INSTALLED = {"tests", "__pycache__"}
RUN = (
    "test",
    "raft",
    "--runtime",
    "sim",
    "--nemesis",
    "isolated-leader",
    "--nodes",
    "3",
    "--time-limit",
    "10",
    "--seed",
    "1",
)


def to_install() -> Iterator[PurePosixPath]:
    """Where each file of the five folders belongs in an installation."""
    for name, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT / folder)
            if path.is_file() and NOT_INSTALLED.isdisjoint(inside.parts):
                yield PurePosixPath(*name.split("."), *inside.parts)


def test_every_package_is_listed_and_no_tests() -> None:
    packages = {".".join(path.parent.parts) for path in to_install() if path.name == "__init__.py"}
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(packages) == listed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files in its folder, which the next one would take along."""
    copy, built = (tmp_path_factory.mktemp(name) for name in ("copy", "built"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(copy))
    (found,) = built.iterdir()
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment with the wheel and the installed dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel))
    (site,) = folder.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def pip(*arguments: str) -> None:
    run = subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def out(folder: Path, *command: str | Path) -> str:
    """The output of a command that must succeed, run where no checkout is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.simulation
def test_a_wheel_holds_every_file_but_tests(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held ^ {str(path) for path in to_install()} == set()
    assert {"splitbrain/py.typed", "splitbrain/reports/templates/report.html"} <= held


@pytest.mark.simulation
def test_an_installed_wheel_runs_where_no_checkout_is(installed: Path, tmp_path: Path) -> None:
    where = out(tmp_path, installed / "python", "-c", "import splitbrain; print(splitbrain.__file__)")
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "report: store/raft-isolated-leader/" in out(tmp_path, installed / "splitbrain", *RUN)
    assert (tmp_path / "store" / "latest" / "report.html").is_file()
