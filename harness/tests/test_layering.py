"""The layering rule, checked on the sources: the imports allowed to each package and each room of ``harness``."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import splitbrain
from splitbrain import checkers, nemesis, nodes, reports

HARNESS = "harness"
FOLDERS = {
    HARNESS: Path(str(splitbrain.__file__)).parent,
    **{
        module.__name__.rpartition(".")[2]: Path(str(module.__file__)).parent
        for module in (checkers, nemesis, nodes, reports)
    },
}
LEAVES = {"names", "plugins"}
MAY_IMPORT = {
    "nodes": {"nodes", *LEAVES},
    "nemesis": {"nemesis", *LEAVES},
    "checkers": {"checkers", *LEAVES},
    "reports": {"reports", "checkers", *LEAVES},
}
# Rooms of harness from the lowest floor up; a room imports its modules and those of lower floors only.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset(LEAVES),
    frozenset({"errors", "units"}),
    frozenset({"arguments", "ending"}),
    frozenset({"runtimes"}),
    frozenset({"workloads"}),
    frozenset({"core"}),
    frozenset({"user_systems", "invariants", "progress"}),
    frozenset({"campaigns", "describing"}),
    frozenset({"api", "bench", "doctor", "serve"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
STANDARD_LIBRARY_ONLY = ("nodes", "nemesis")
EXCEPT = {Path("strategies.py"): {"hypothesis"}}
OUTSIDE_IMAGES = frozenset({"clients", "client.py"})  # how a system is asked from outside
DOCKER = Path("runtimes/docker")


@functools.cache
def modules_imported(source: str) -> frozenset[str]:
    """The modules that a module imports from, by their full names, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "splitbrain":
                names.update(f"splitbrain.{alias.name}" for alias in node.names)
            else:
                names.add(node.module)
    return frozenset(names)


def rooms_imported(source: str) -> set[str]:
    """The parts of splitbrain that a module imports: ``nodes`` for ``splitbrain.nodes.raft``."""
    return {name.split(".")[1] for name in modules_imported(source) if name.startswith("splitbrain.")}


def foreign(source: str) -> set[str]:
    """The top-level names that a module imports from outside splitbrain and the standard library."""
    return {name.split(".")[0] for name in modules_imported(source)} - set(sys.stdlib_module_names) - {"splitbrain"}


def sources(folder: str) -> Iterator[tuple[Path, str]]:
    """Every module of a folder but its tests, by its path there, with its text."""
    for path in sorted(FOLDERS[folder].rglob("*.py")):
        relative = path.relative_to(FOLDERS[folder])
        if "tests" not in relative.parts:
            yield relative, path.read_text()


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(folder: str) -> None:
    for path, source in sources(folder):
        wrong = rooms_imported(source) - MAY_IMPORT[folder]
        assert not wrong, f"{folder}/{path} imports {sorted(wrong)}"


def floor_of(room: str) -> int | None:
    """The number of the floor that a room of harness stands on; None for the four other packages."""
    if room in MAY_IMPORT:
        return None
    (found,) = (number for number, rooms in enumerate(FLOORS) if room in rooms)
    return found


def climbing() -> set[tuple[str, str]]:
    """Imports inside harness that go up or sideways: the module, and the room that it imports from."""
    found = set()
    for path, source in sources(HARNESS):
        room = path.parts[0].removesuffix(".py")
        if room == "__init__":
            continue  # the public interface imports from every floor
        for other in rooms_imported(source) - {room}:
            below = floor_of(other)
            if below is not None and below >= (floor_of(room) or 0):
                found.add((str(path), other))
    return found


def test_imports_inside_harness_go_down_only() -> None:
    assert climbing() == set()


def test_the_names_that_all_packages_share_are_a_leaf() -> None:
    for path, source in sources(HARNESS):
        if path.stem in LEAVES and len(path.parts) == 1:
            assert not rooms_imported(source) and not foreign(source)


@pytest.mark.parametrize("folder", STANDARD_LIBRARY_ONLY)
def test_modules_of_nodes_and_nemesis_need_the_standard_library_only(folder: str) -> None:
    for path, source in sources(folder):
        in_an_image_folder = any(part.endswith("image") or part.startswith("image") for part in path.parts[:-1])
        if in_an_image_folder or not OUTSIDE_IMAGES.isdisjoint(path.parts):
            continue  # scripts of an image folder bring their libraries
        more = foreign(source) - EXCEPT.get(path, set())
        assert not more, f"{folder}/{path} imports {sorted(more)}"


def test_the_agent_on_a_host_needs_the_standard_library_and_itself_only() -> None:
    package = FOLDERS[HARNESS] / DOCKER / "agent"
    modules = list(package.glob("*.py"))
    assert modules, "the agent is somewhere"
    for path in modules:
        ours = {name for name in modules_imported(path.read_text()) if name.startswith("splitbrain.")}
        outside = {name for name in ours if not name.startswith("splitbrain.runtimes.docker.agent")}
        assert not outside and not foreign(path.read_text()), f"{path.name} imports more than its own package"


def test_only_the_docker_runtime_and_its_benchmarks_import_docker() -> None:
    users = {path for path, source in sources(HARNESS) if foreign(source) & {"docker", "requests"}}
    assert users, "the docker runtime is somewhere"
    assert all(path.is_relative_to(DOCKER) or path.is_relative_to("bench") for path in users), users


def test_the_reader_of_imports_sees_those_inside_functions() -> None:
    source = "def f():\n    from splitbrain.core import run\n    import docker.types\nfrom splitbrain import reports\n"
    assert rooms_imported(source) == {"core", "reports"} and foreign(source) == {"docker"}
