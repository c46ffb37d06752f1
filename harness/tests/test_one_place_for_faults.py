"""A class of fault is named where it is defined and where each runtime carries it out, and in no other product file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import pytest

from splitbrain.checkers.fault_periods import KILLS, ON_LINKS, PAUSES
from splitbrain.nemesis.faults import CAPABILITY_NAMES, FAULTS, Fault
from splitbrain.nemesis.strategies import IN_SIMULATION, kinds
from splitbrain.runtimes.capabilities import CAPABILITIES, FaultHandler, supported
from splitbrain.runtimes.docker.handlers import DISKS
from splitbrain.runtimes.docker.handlers import HANDLERS as DOCKER
from splitbrain.runtimes.sim.handlers import HANDLERS as SIM
from splitbrain.tests.test_layering import FOLDERS, sources

HANDLERS = {"runtimes/docker/handlers.py", "runtimes/sim/handlers.py"}
AIMING_THEIR_OWN = {
    "campaigns/mutants.py",
    "campaigns/compare/containers.py",
    "bench/clocks.py",
    "describing/rehearsal.py",
}
"""Modules that inject faults of their choice: they carry none out."""
CLASSES = {fault.__name__ for fault in FAULTS}


def fault_classes(source: str) -> set[str]:
    """The classes of fault that a module imports, or takes as attributes of ``faults``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("splitbrain.nemesis"):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "faults":
            found.add(node.attr)
    return found & CLASSES


def product_files() -> Iterator[tuple[str, str]]:
    for folder in sorted(FOLDERS.keys() - {"nemesis"}):
        for path, source in sources(folder):
            yield f"{'' if folder == 'harness' else f'{folder}/'}{path}", source


def test_no_other_product_file_names_a_class_of_fault() -> None:
    naming = {path for path, source in product_files() if fault_classes(source)}
    assert naming <= HANDLERS | AIMING_THEIR_OWN
    assert naming >= HANDLERS, "else this test finds nothing"


def test_in_the_nemesis_only_decks_and_strategies_name_classes_of_fault() -> None:
    """A plan asks for the one fault that is a cut, since several cuts can be of another class as one."""
    naming = {str(path): fault_classes(source) for path, source in sources("nemesis") if path.parts[0] != "faults"}
    assert {path for path, found in naming.items() if found} == {"nemeses.py", "strategies.py", "plans.py"}
    assert naming["plans.py"] == {"Partition"}


@pytest.mark.parametrize("source", ["from splitbrain.nemesis.faults import Kill", "faults.Kill(target='all')"])
def test_a_module_that_names_a_class_is_found(source: str) -> None:
    assert fault_classes(source) == {"Kill"}


def test_the_simulation_takes_every_class_of_fault() -> None:
    """Hunts deal faults that a simulation lacks, without effect."""
    assert SIM.keys() == set(FAULTS) >= DOCKER.keys()


@pytest.mark.parametrize("handlers", [SIM, DOCKER], ids=["sim", "docker"])
def test_a_handler_lacks_only_what_its_faults_may_require(handlers: Mapping[type[Fault], FaultHandler]) -> None:
    for fault, handler in handlers.items():
        assert handler.lacks <= set(fault.capabilities), fault
        assert getattr(handler, "disks", {}).keys() <= set(fault.capabilities), fault


def test_the_capabilities_of_the_runtimes_are_these() -> None:
    every = set(CAPABILITY_NAMES)
    assert every - CAPABILITIES["sim"].faults == {
        "kill of one process",
        "pause of one process",
        "full disk",
        "partition of one port",
        "name resolution",
    }
    docker = CAPABILITIES["docker"]
    assert every - docker.faults == {"kill with state torn", "kill after some effects", "slow"}
    assert docker.privileged == {"kill with state torn"}
    assert docker.apart == (frozenset({"kill with state torn", "full disk"}),)
    assert set(DISKS) == {"kill with state torn", "full disk"}
    assert supported({}) == frozenset()


def test_schedules_hold_what_the_simulation_can_do_unless_more_is_asked_for() -> None:
    assert kinds(5, IN_SIMULATION) == kinds(5, CAPABILITIES["sim"].faults) != kinds(5)


def test_the_checkers_know_by_its_name_what_each_fault_affects() -> None:
    """Checkers see only histories, so they know faults by name."""
    assert {fault.f for fault in FAULTS if fault.undo == "restart"} == KILLS
    assert {fault.f for fault in FAULTS if fault.undo == "resume"} == PAUSES
    assert {fault.f for fault in FAULTS if fault.about == "links"} <= ON_LINKS
    assert not {fault.f for fault in FAULTS if fault.about == "nodes"} & ON_LINKS


def test_the_names_of_faults_are_unique() -> None:
    assert len({fault.f for fault in FAULTS}) == len(FAULTS) == len(CLASSES)
