"""The table of systems: complete, well formed, and usable as it is by a simulation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from random import Random

import pytest

from splitbrain import names, nodes
from splitbrain.names import GUARANTEES, MS, NODE_FAULT_CLASSES
from splitbrain.nodes.highest import HighestOptions
from splitbrain.nodes.protocol import Send, Started, TimerFired
from splitbrain.nodes.raft import RAFT, Raft, RaftOptions
from splitbrain.nodes.systems import SYSTEMS, System
from splitbrain.nodes.systems.base import Machine, Software
from splitbrain.nodes.tests.cluster import SECOND, Cluster, factory_of

PACKAGE = Path(nodes.__file__).parent
IMPURE = {"driver.py", "endpoint.py", "__main__.py"}


RAFTS = {name: system for name, system in SYSTEMS.items() if isinstance(system.options, RaftOptions)}
HIGHEST = {name: system for name, system in SYSTEMS.items() if isinstance(system.options, HighestOptions)}


def test_the_systems_are_registered_under_their_names() -> None:
    assert list(RAFTS) == ["raft", "raft-basic", "raft-lease"]
    assert list(HIGHEST) == ["bully", "bully-textbook", "ring", "ring-append"]
    assert all(system.name == name for name, system in SYSTEMS.items())


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_every_fault_class_has_a_promise_about_every_guarantee(system: System) -> None:
    of_servers = {names.of_servers(each) for each in NODE_FAULT_CLASSES} if system.servers else set()
    assert NODE_FAULT_CLASSES.keys() <= system.promises.keys() <= NODE_FAULT_CLASSES.keys() | of_servers
    assert all(row.keys() == GUARANTEES.keys() for row in system.promises.values())


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_system_speaks_of_quorums_exactly_if_it_says_which_majority_elects(system: System) -> None:
    undefined = {row["election-quorum"] == "undefined" for row in system.promises.values()}
    assert undefined == {system.elects == "none"} == {system.round_ms == 0}
    assert system.servers or system.elects != "servers"


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_every_pinned_run_is_for_a_fault_class_of_the_system(system: System) -> None:
    for pins in system.pins.values():
        assert pins.keys() <= system.promises.keys()
        assert all((pin.schedule is None) != (not pin.nemesis) for pin in pins.values())
        assert all(pin.schedule is None or pin.schedule.is_file() for pin in pins.values())


def machines(system: System) -> Iterator[tuple[Software, str]]:
    """What runs on the machines of each group, and the name of one of them."""
    yield system.software, "n1"
    for group, names_of_servers in system.groups.items():
        yield system.servers[group].software, names_of_servers[0]


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_software_that_is_said_to_keep_something_is_told_where_by_its_command_or_its_image(system: System) -> None:
    for software, name in machines(system):
        machine = Machine(
            name=name,
            system=system.name,
            seed=1,
            nodes={f"n{at}": f"10.0.0.{at}" for at in range(1, 4)},
            servers={name: f"10.0.1.{at}" for at, name in enumerate(system.server_names, start=1)},
        )
        folder = PACKAGE / str(software.image)
        texts = (path.read_text() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
        told = " ".join((*software.command(machine), *texts))
        assert software.data is None or software.data in told


def test_only_the_lease_promises_one_leader_at_any_instant_when_the_leader_is_isolated() -> None:
    promised = {name: system.promises["leader-isolated"]["exclusivity"] for name, system in RAFTS.items()}
    assert promised == {"raft": "not-promised", "raft-basic": "known-weakness", "raft-lease": "guaranteed"}


@pytest.mark.parametrize("system", RAFTS.values(), ids=RAFTS)
def test_a_node_made_for_a_simulation_runs(system: System) -> None:
    node = system.make_node("n1", ("n2", "n3"), Random(1), "boot", {"term": 4, "voted_for": "n2"})
    assert node.handle(Started(0))
    assert (node.status(0).role, node.status(0).term) == ("follower", 4)


@pytest.mark.parametrize("system", HIGHEST.values(), ids=HIGHEST)
def test_a_node_that_knows_no_terms_begins_with_an_election(system: System) -> None:
    node = system.make_node("n1", ("n2", "n3"), Random(1), "boot", None)
    assert node.status(0).role == "starting" and len(node.handle(Started(0))) == 1
    effects = node.handle(TimerFired(250 * MS, "suspicion"))
    assert any(isinstance(effect, Send) and effect.kind == "election" for effect in effects)
    status = node.status(0)
    assert (status.role, status.leading, status.leader, status.term) == ("candidate", False, None, None)


@pytest.mark.parametrize("system", HIGHEST.values(), ids=HIGHEST)
def test_without_a_quorum_neither_terms_nor_fencing_are_promised(system: System) -> None:
    promised = {row[guarantee] for row in system.promises.values() for guarantee in ("term-safety", "fencing")}
    assert promised == {"undefined"}


@pytest.mark.parametrize("system", (RAFTS | HIGHEST).values(), ids=RAFTS | HIGHEST)
def test_the_stated_bounds_are_those_of_the_options(system: System) -> None:
    options = system.options
    longest = options.election_timeout_max if isinstance(options, RaftOptions) else options.suspicion
    assert system.suspicion_ms * MS == longest
    cluster = Cluster(options, machine=factory_of(system))
    assert cluster.run_until(Cluster.agrees, system.stall_bound_ms * MS)


@pytest.mark.parametrize("size", [3, 5, 15])
@pytest.mark.parametrize("system", HIGHEST.values(), ids=HIGHEST)
def test_the_bound_holds_for_the_death_of_the_leader_and_half_of_the_others(system: System, size: int) -> None:
    """The bound says nothing of chance here: nothing in these elections is drawn."""
    cluster = Cluster(system.options, size, seed=size, machine=factory_of(system))
    assert cluster.run_until(Cluster.agrees, 2 * SECOND)
    cluster.run(500 * MS)
    for name in cluster.names[-(size - 1) // 2 :]:
        cluster.crash(name)
    assert cluster.run_until(Cluster.agrees, system.stall_bound_ms * MS)


def test_options_are_changed_from_texts_without_touching_the_system() -> None:
    changed = SYSTEMS["raft"].with_options({"pre_vote": "false", "heartbeat": "20000000"})
    assert changed.options.pre_vote is False and changed.options.heartbeat == 20 * MS
    node = changed.make_node("n1", (), Random(1), "boot")
    assert isinstance(node, Raft) and node.options == changed.options
    assert SYSTEMS["raft"].options == RAFT


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("prevote", "true", "no option 'prevote'; it has heartbeat, "),
        ("pre_vote", "yes", "expected true or false, got 'yes'"),
        ("heartbeat", "fast", "expected an integer, got 'fast'"),
        ("heartbeat", "-1", "expected 0 < heartbeat"),
        ("check_quorum", "false", None),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(name: str, text: str, words: str | None) -> None:
    if words is None:
        assert not SYSTEMS["raft"].with_options({name: text}).options.check_quorum
    else:
        with pytest.raises(ValueError, match=words):
            SYSTEMS["raft"].with_options({name: text})


def test_a_system_is_a_value() -> None:
    with pytest.raises(FrozenInstanceError):
        SYSTEMS["raft"].name = "paxos"  # type: ignore[misc]
    with pytest.raises(TypeError):
        SYSTEMS["paxos"] = SYSTEMS["raft"]  # type: ignore[index]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def shipped() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "tests" not in path.parts]


def test_only_the_driver_touches_the_world() -> None:
    world = {"os", "socket", "time", "threading", "select", "signal", "subprocess", "asyncio", "uuid", "io"}
    ours = [path for path in shipped() if not {"systems", "clients", "images"} & set(path.parts)]
    impure = {path.name for path in ours if world & set(imports(path))}
    assert impure <= IMPURE
    assert "driver.py" in impure  # seen to fail: the rule does find what it looks for
