"""The house rule of imports, read from the sources: leaves import nobody, only the docker runtime imports docker."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import checkers
import harness
import nemesis
import nodes
import reports

PACKAGES = {
    module.__name__: Path(str(module.__file__)).parent for module in (checkers, harness, nemesis, nodes, reports)
}
MAY_IMPORT = {
    "nodes": {"nodes"},
    "nemesis": {"nemesis"},
    "checkers": {"checkers"},
    "reports": {"reports", "checkers"},
    "harness": set(PACKAGES),
}
STANDARD_LIBRARY_ONLY = ("nodes",)
DOCKER = Path("runtimes/docker")


def modules_imported(source: str) -> set[str]:
    """The modules that a module imports from, by their whole names, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def imported(source: str) -> set[str]:
    """The top-level names that a module imports."""
    return {name.split(".")[0] for name in modules_imported(source)}


def sources(package: str) -> Iterator[tuple[Path, set[str]]]:
    """Every module of the package but its tests, by its path in the package, with what it imports."""
    for path in sorted(PACKAGES[package].rglob("*.py")):
        relative = path.relative_to(PACKAGES[package])
        if "tests" not in relative.parts:
            yield relative, imported(path.read_text())


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_imports_only_those_below_it(package: str) -> None:
    for path, names in sources(package):
        wrong = (names & set(PACKAGES)) - MAY_IMPORT[package]
        assert not wrong, f"{package}/{path} imports {sorted(wrong)}"


@pytest.mark.parametrize("package", STANDARD_LIBRARY_ONLY)
def test_what_goes_into_an_image_needs_the_standard_library_only(package: str) -> None:
    for path, names in sources(package):
        if path.parts[0] == "images":
            continue  # what an image is made for brings its own libraries
        foreign = names - set(sys.stdlib_module_names) - {package}
        assert not foreign, f"{package}/{path} imports {sorted(foreign)}"


def test_the_agent_on_a_host_needs_the_standard_library_and_itself_only() -> None:
    package = PACKAGES["harness"] / DOCKER / "agent"
    modules = list(package.glob("*.py"))
    assert modules, "the agent is somewhere"
    for path in modules:
        names = {
            name for name in modules_imported(path.read_text()) if not name.startswith("harness.runtimes.docker.agent")
        }
        foreign = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
        assert not foreign, f"{path.name} imports {sorted(foreign)}"


def test_only_the_docker_runtime_imports_docker() -> None:
    users = {path for path, names in sources("harness") if names & {"docker", "aiohttp", "requests"}}
    assert users, "the docker runtime is somewhere"
    assert all(path.is_relative_to(DOCKER) for path in users), users


def test_the_reader_of_imports_sees_those_inside_functions() -> None:
    assert imported("def f():\n    from harness.run import perform\n    import docker.types\n") == {"harness", "docker"}
