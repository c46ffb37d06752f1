"""Put the tables of a description together into a system."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from splitbrain.names import FAULT_CLASSES, MAJORITY_OF, NODE_FAULT_CLASSES, Electors, PromiseTable
from splitbrain.nodes.systems.base import OUR_NODE, Servers, Software, System, names_of_servers
from splitbrain.user_systems.description.composed import COMPOSE, SERVICES
from splitbrain.user_systems.description.containers import (
    OF_CONTAINERS,
    OF_IMAGES,
    PORT,
    SERVER_PORT,
    TABLES_OF_CONTAINERS,
    override,
    read_software,
    read_style,
)
from splitbrain.user_systems.description.probes import (
    CONFIRM,
    PROBE,
    SET,
    has_terms,
    keeps_set,
    read_probe,
    with_probed_ports,
)
from splitbrain.user_systems.description.set_up import SETUP, read_set_up
from splitbrain.user_systems.description.simulation import SIMULATION, digest, read_factory, simulated_terms
from splitbrain.user_systems.description.table import ANYTHING, TEXT, Description, Key, Section, Table, whole
from splitbrain.user_systems.promises import (
    WrongPromises,
    read_electors,
    read_eligibility,
    read_promises,
    usual_promises,
)

T = TypeVar("T")
MOST_NODES: Final = 50
MOST_SERVERS: Final = 9

HELP: Final = Key(
    name="help", kind=TEXT, usual="a system described by a TOML file", meaning="a line about the system, for lists"
)
NODES: Final = Key(name="nodes", kind=whole(most=MOST_NODES), usual=3, meaning="the usual number of nodes")
MIN_NODES: Final = Key(
    name="min_nodes", kind=whole(most=MOST_NODES), default="2, or `nodes` if fewer", meaning="the least number of nodes"
)
MAX_NODES: Final = Key(
    name="max_nodes",
    kind=whole(most=MOST_NODES),
    default="9, or `nodes` if more",
    meaning="the greatest number of nodes",
)
WAIT_FOR_LEADER_S: Final = Key(
    name="wait_for_leader_s",
    kind=whole(),
    usual=30,
    meaning="the time within which a first leader is seen by all, and confirms if there is a `[confirm]`; no fault "
    "begins before ([if none is](judging.md#warm-up))",
)
STALL_BOUND_MS: Final = Key(
    name="stall_bound_ms",
    kind=whole(20),
    usual=5_000,
    meaning="the longest time without a working leader, for a majority that can have one",
)
SUSPICION_MS: Final = Key(
    name="suspicion_ms",
    kind=whole(),
    usual=1_000,
    meaning="the longest silence before nodes give a leader up",
)
ROUND_MS: Final = Key(
    name="round_ms",
    kind=whole(),
    default="`stall_bound_ms`",
    meaning="the longest round of an election: a candidate counts no answer that comes later after its request",
)
ELIGIBILITY: Final = Key(
    name="eligibility",
    kind=ANYTHING,
    usual="clique",
    meaning="which majorities can have a leader ([a node of your own](your-own-node.md))",
)
ELECTS: Final = Key(
    name="elects",
    kind=ANYTHING,
    usual="nobody",
    meaning='the machines of which a majority elects, so that `election-quorum` is judged: `"majority of nodes"`, '
    '`"majority of servers"`, of several groups of servers `"majority of NAME"`, or `"nobody"`, also for machines that '
    "the file does not name",
)
PROMISES: Final = Key(
    name="promises",
    kind=ANYTHING,
    usual={},
    default="all guaranteed, but where durable state is lost; without terms `term-safety` and `fencing` are undefined, "
    "and without `elects` `election-quorum`",
    meaning='a preset such as `"quorum"`, or a table by fault class, with `all` for the rest '
    "([promises](your-own-node.md#promises))",
)
COUNT: Final = Key(name="count", kind=whole(most=MOST_SERVERS), usual=1, meaning="the number of these servers")

SERVERS: Final = Section(
    name="servers",
    meaning="Machines that the election rests on, and that are no candidates, in one group or several.",
    each=Section(
        name="NAME",
        meaning="The servers of one group. They are named `s1`, `s2` and so on, through all groups.",
        keys=(COUNT, SERVER_PORT, *OF_CONTAINERS),
        tables=(*TABLES_OF_CONTAINERS, SETUP),
    ),
)
ONE_MACHINE: Final = Section(
    name="NAME",
    meaning="What differs on the machine of that name, such as `n1`. `env`, `files`, `sysctls` and `ulimits` add to "
    "those of the others.",
    keys=(PORT, *OF_CONTAINERS),
    tables=TABLES_OF_CONTAINERS,
)
NODE: Final = Section(
    name="node",
    meaning="Any key of the containers again, for one node or one server.",
    each=ONE_MACHINE,
)
OF_ELECTION: Final[tuple[Key[Any], ...]] = (
    *(WAIT_FOR_LEADER_S, STALL_BOUND_MS, SUSPICION_MS, ROUND_MS),
    *(ELIGIBILITY, ELECTS, PROMISES),
)
ROOT: Final = Section(
    name="",
    meaning="The file itself, before its first table.",
    keys=(HELP, COMPOSE, SERVICES, PORT, *OF_CONTAINERS, NODES, MIN_NODES, MAX_NODES, *OF_ELECTION),
    tables=(*TABLES_OF_CONTAINERS, SETUP, PROBE, CONFIRM, SET, NODE, SERVERS, SIMULATION),
)


def system_of(description: Description) -> System:
    """The system that is described. Raises UsageError."""
    root = Table(description, ROOT, description.given)
    min_nodes, nodes, max_nodes = _sizes(root)
    servers = _servers(root)
    elects, electing = _elects(root, servers)
    factory = read_factory(root)
    on_containers = factory is None or any(name in root.given for name in OF_IMAGES)
    system = System(
        name=description.name,
        help=root[HELP],
        promises=_promises(root, elects, bool(servers)),
        stall_bound_ms=root[STALL_BOUND_MS],
        suspicion_ms=root[SUSPICION_MS],
        eligibility=_read(root, ELIGIBILITY, read_eligibility),
        elects=elects,
        electing=electing,
        round_ms=root.get(ROUND_MS) or root[STALL_BOUND_MS],
        wait_for_leader_s=float(root[WAIT_FOR_LEADER_S]),
        software=read_software(root, PORT, (*servers,)) if on_containers else OUR_NODE,
        servers=servers,
        exceptions=_exceptions(root, max_nodes, servers),
        set_up=read_set_up(root, read_style(root), (*servers,)),
        probe=read_probe(root) if on_containers else None,
        factory=factory,
        features=frozenset({"tokens", "set"} if keeps_set(root) else {"tokens"}),
        on_containers=on_containers,
        min_nodes=min_nodes,
        usual_nodes=nodes,
        max_nodes=max_nodes,
        origin={**description.origin, **digest(root)},
        notes=description.notes,
    )
    return with_probed_ports(system) if on_containers else system


def _sizes(root: Table) -> tuple[int, int, int]:
    """The smallest, the usual and the largest number of nodes."""
    usual = root[NODES]
    least = root.get(MIN_NODES) or min(2, usual)
    most = root.get(MAX_NODES) or max(9, usual, least)
    if most < least:
        raise root.refuse(MAX_NODES, f"a whole number from {least} to {MOST_NODES}", most)
    if NODES not in root:
        usual = min(max(usual, least), most)
    if not least <= usual <= most:
        raise root.refuse(NODES, f"a number from min_nodes to max_nodes, {least} to {most}", usual)
    return least, usual, most


def _servers(root: Table) -> dict[str, Servers]:
    """The groups of servers by name."""
    groups = root.tables(SERVERS)
    for name in groups:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name == "nodes":
            raise root.refuse(SERVERS.name, "names of letters, digits, - and _, but not nodes", name, name)
    return {
        name: Servers(
            count=table[COUNT],
            software=read_software(table, SERVER_PORT, (*groups,)),
            set_up=read_set_up(table, read_style(table), (*groups,)),
        )
        for name, table in groups.items()
    }


def _elects(root: Table, servers: Collection[str]) -> tuple[Electors, str | None]:
    """The machines of which a majority elects, and their group where there are several of servers."""
    given = root[ELECTS]
    group = given.removeprefix(MAJORITY_OF) if isinstance(given, str) and given.startswith(MAJORITY_OF) else None
    if group in servers:
        return "servers", group if len(servers) > 1 else None
    elects = _read(root, ELECTS, lambda key, given: read_electors(key, given, servers=bool(servers)))
    if elects == "servers" and len(servers) > 1:
        raise root.refuse(ELECTS, f"one of {', '.join(MAJORITY_OF + name for name in servers)}", given)
    return elects, None


def _exceptions(root: Table, nodes: int, servers: Mapping[str, Servers]) -> dict[str, Software]:
    """What runs on single machines in place of what runs on those of their group."""
    group_of = {server: group for group, names in names_of_servers(servers).items() for server in names}
    known = (*(f"n{at}" for at in range(1, nodes + 1)), *group_of)
    found = {}
    for name, table in root.tables(NODE).items():
        if name not in known:
            raise root.refuse(NODE.name, f"names of machines, of n1 to {', '.join(known[nodes - 1 :])}", name, name)
        usual = root.given[SERVERS.name][group_of[name]] if name in group_of else root.given
        of_container = {key: value for key, value in usual.items() if key in ONE_MACHINE.names}
        merged = Table(root.description, ONE_MACHINE, override(of_container, table.given), table.path)
        found[name] = read_software(merged, PORT, (*servers,))
    return found


def _promises(root: Table, elects: Electors, servers: bool) -> PromiseTable:
    usual = usual_promises(has_terms(root) or simulated_terms(root), elects)
    if keeps_set(root):  # what it loses shows without terms
        usual = {**usual, "fencing": "guaranteed"}
    classes = FAULT_CLASSES if servers else NODE_FAULT_CLASSES
    return _read(root, PROMISES, lambda key, given: read_promises(key, given, usual, classes))


def _read(root: Table, key: Key[Any], read: Callable[[str, object], T]) -> T:
    """The value of a key, converted by ``read``. Raises UsageError."""
    try:
        return read(key.name, root[key])
    except WrongPromises as wrong:
        expected = f"{wrong.key}: expected {wrong.expected}, got {wrong.got!r}"
        raise root.refusal(expected, *wrong.key.split(".")) from wrong
