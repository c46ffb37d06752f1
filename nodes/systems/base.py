"""Systems under test as values, and what each promises.

A system states how its nodes are started, how one is made for a simulation, its table of promises, and the runs that
reproduce its known weaknesses. Promises are written down before any run; a run is judged by them, and never the other
way.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, Protocol

from splitbrain.names import Electors, Eligibility, FaultClass, PromiseTable
from splitbrain.nodes.protocol import Json, Node
from splitbrain.nodes.systems.probes import Probe

CLIENT_PORT: Final = 8000
PEER_PORT: Final = 7000
DATA: Final = "/data"
SHARED_SCHEDULES: Final = Path(__file__).parent / "schedules"
"""Pinned schedules of more than one system. A system with a folder keeps the others there."""


class Factory(Protocol):
    """How one node of a system is made, from the system's options."""

    def __call__(
        self,
        id: str,
        peers: Sequence[str],
        options: Any,
        rng: Random,
        boot: str,
        state: Mapping[str, Json] | None = None,
    ) -> Node: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class NoOptions:
    """Of systems with none to set from outside: their variants are systems of their own, and their times promises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine on which something is to be started: what it is called, and where all are, by name.

    ``groups`` names the servers of each group, and ``free_address`` is one of the run's network that no machine has.
    """

    name: str
    system: str
    seed: int
    nodes: Mapping[str, str]
    servers: Mapping[str, str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    free_address: str = ""

    @property
    def alike(self) -> Mapping[str, str]:
        """The machines of its group, itself included: all nodes, or the servers of one group."""
        if self.name in self.nodes:
            return self.nodes
        group = next((names for names in self.groups.values() if self.name in names), (*self.servers,))
        return {name: self.servers[name] for name in group}


def _run_node(machine: Machine, role: tuple[str, ...], peers: Mapping[str, str]) -> tuple[str, ...]:
    others = [f"--peer={peer}={address}:{PEER_PORT}" for peer, address in peers.items() if peer != machine.name]
    return (
        machine.system,
        *role,
        "--id",
        machine.name,
        *others,
        "--listen",
        f"0.0.0.0:{PEER_PORT}",
        "--http",
        f"0.0.0.0:{CLIENT_PORT}",
        "--data",
        DATA,
        "--seed",
        str(machine.seed),
    )


def run_node(machine: Machine) -> tuple[str, ...]:
    """The arguments of ``python3 -m nodes`` for one of our own nodes. Where there are servers it knows only those."""
    return _run_node(machine, (), machine.servers or machine.nodes)


def run_server(machine: Machine) -> tuple[str, ...]:
    """The arguments of ``python3 -m nodes`` for one of our own servers, which knows all others."""
    return _run_node(machine, ("--role", "server"), {**machine.nodes, **machine.servers})


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnImage:
    """An image from outside this project: a tag that the engine has or can pull, a folder with a Dockerfile, or
    packages of a Debian ``suite``."""

    tag: str | None = None
    folder: str | None = None
    suite: str | None = None
    packages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.tag or self.folder or f"{self.suite}: {' '.join(self.packages)}"


RestartPolicy = Literal["always", "on-failure", "never"]
"""After which ends, other than those that a fault causes, software is started again."""


Words = Callable[[Machine], Sequence[str]]
"""The words of a command on each machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SetUp:
    """Commands that are run once in the containers of a group of machines, before its nodes are asked.

    ``first`` in the first machine, then ``each`` in all, then ``after`` in the first one. Each must end with status 0
    within ``timeout_s``; with ``retry`` one that fails is run again until then.
    """

    first: tuple[Words, ...] = ()
    each: tuple[Words, ...] = ()
    after: tuple[Words, ...] = ()
    timeout_s: float = 60.0
    retry: bool = False

    @property
    def empty(self) -> bool:
        """True if there is nothing to do."""
        return not (self.first or self.each or self.after)


@dataclass(frozen=True, kw_only=True, slots=True)
class PutFile:
    """A file that is put into a container before it starts. ``owner`` is a name or a number, ``NAME:GROUP`` too."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerOptions:
    """How a container is made beside its image and arguments, by options as Docker has them.

    ``entrypoint`` and ``files`` depend on the machine. ``sysctls`` of the network are those of its host, which owns
    that. ``tmpfs`` maps folders to options of mount(8), and ``ulimits`` names to soft and hard limits. ``ipv6`` turns
    IPv6 on within the machine only: no machine reaches another by it, since cuts are of IPv4. ``stop_signal`` asks it
    to end, and ``aliases`` are further names by which other machines find it.
    """

    entrypoint: Words | None = None
    files: Callable[[Machine], Sequence[PutFile]] = lambda machine: ()
    user: str | None = None
    working_dir: str | None = None
    sysctls: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    shm_bytes: int | None = None
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    init: bool = False
    stop_signal: str = "SIGTERM"
    ipv6: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Software:
    """The software in the containers of one group of machines.

    ``image`` is a folder of ``nodes/`` with a Dockerfile; ``command`` gives the container's arguments, ``environment``
    variables beside those of the image. Clients connect to ``ports``. ``data`` is the folder of its durable state, None
    if it keeps none, and ``ready_s`` the longest time until its first answer. Where it ends and no fault asked for
    that, ``restart`` says if it is started again, ``restart_delay_ms`` later. Its container has these Linux
    ``capabilities`` only, and may use ``memory_mb`` of memory and have ``pids`` processes and threads; ``options`` are
    the rest.
    """

    image: str | OwnImage
    command: Words
    environment: Callable[[Machine], Mapping[str, str]] = lambda machine: {}
    ports: tuple[int, ...] = (CLIENT_PORT,)
    data: str | None = DATA
    ready_s: float = 30.0
    restart: RestartPolicy = "never"
    restart_delay_ms: int = 1_000
    capabilities: tuple[str, ...] = ()
    memory_mb: int = 1024
    pids: int = 1024
    options: ContainerOptions = ContainerOptions()

    def restarts_after(self, status: int) -> bool:
        """True if it is to be started again after it ended with that status."""
        return self.restart == "always" or (self.restart == "on-failure" and status != 0)


CAPABILITIES: Final = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
"""The Linux capabilities that software has without being asked about: Docker's usual ones without NET_RAW, since a node
that forges packets or reads those of others passes cuts."""

MORE_CAPABILITIES: Final = (
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK"),
    *("IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW"),
    *("PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO"),
    *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM"),
)
"""The other Linux capabilities, which a description can name (``cap_add``)."""
USUAL_DEVICES: Final = ("/dev/fuse", "/dev/net/tun")
"""Devices that software may have without ``--allow-privileged``: they give nothing of the machine to a container."""

OUR_NODE: Final = Software(image="images/node", command=run_node)
OUR_SERVER: Final = Software(image="images/node", command=run_server)


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """A group of machines beside the nodes that the election rests on; none of them is a candidate.

    Faults are injected into them, and they are not observed. ``factory`` is None where there is no state machine.
    """

    count: int
    software: Software
    factory: Factory | None = None
    set_up: SetUp = SetUp()


def names_of_servers(groups: Mapping[str, Servers]) -> dict[str, tuple[str, ...]]:
    """The names of the machines in each group: they are numbered through all groups."""
    numbers = itertools.count(1)
    return {group: tuple(f"s{next(numbers)}" for _ in range(servers.count)) for group, servers in groups.items()}


LEAST_MEMORY_MB: Final = 8  # the engine accepts no less than 6 MB


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of every container of a run, in place of those that its software states; None keeps that one."""

    memory_mb: int | None = None
    pids: int | None = None

    def of(self, system: System) -> System:
        """The system with these limits, on all its machines."""
        return dataclasses.replace(
            system,
            software=self._of(system.software),
            servers={
                group: dataclasses.replace(servers, software=self._of(servers.software))
                for group, servers in system.servers.items()
            },
            exceptions={machine: self._of(software) for machine, software in system.exceptions.items()},
        )

    def _of(self, software: Software) -> Software:
        given = {name: limit for name, limit in dataclasses.asdict(self).items() if limit is not None}
        return dataclasses.replace(software, **given)


AS_STATED: Final = Limits()
"""The limits that the software states."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """A run that reproduces a known weakness where the usual nemesis of its fault class does not.

    Of these nemeses, by name, or of a schedule in a file; with this seed, size, length and workload where given.
    """

    nemesis: tuple[str, ...] = ()
    schedule: Path | None = None
    seed: int | None = None
    nodes: int | None = None
    time_limit_s: float | None = None
    workload: str | None = None


Feature = Literal["tokens", "votes", "set", "opinions", "wall-clock", "highest"]
"""A feature that clients, faults or the simulation use where a system has it.

``tokens``: every reign has a term that a shared resource can check. ``votes``: nodes show their votes, and only votes
that no crash can undo. ``set``: clients can add to a set that the system keeps, through its leader. ``opinions``:
servers can be asked for the leader and its epoch. ``wall-clock``: nodes are given wall-clock time in place of elapsed
time (``nodes.wall``), a deliberate mistake. ``highest``: the live node of the highest name is to lead.
"""


@dataclass(frozen=True, kw_only=True)
class System:
    """A system under test: how it is started, observed and simulated, and what it promises.

    ``servers`` are the groups of servers by name. Their machines are named ``s1``, ``s2`` and so on through all groups.

    On containers the nodes run ``software``, or what ``exceptions`` has for a machine by name, and are observed by
    ``client`` (``module:Class``), or by ``probe`` for a system from a TOML file. In simulation they are made by
    ``factory``, None where there is no state machine. ``options`` is a frozen dataclass of booleans and integers, the
    same on every node. ``on_containers`` is False for nodes that run in simulation only.

    ``promises`` is the table of promises (``nodes.systems.promises``), and ``pins`` are runs that reproduce known
    weaknesses, by runtime. ``stall_bound_ms`` is the longest time without a working leader for a majority that can have
    one, with a chance of one in a million of a false alarm; ``suspicion_ms`` is the longest silence before nodes give a
    leader up; ``eligibility`` names the majorities that can have one (``splitbrain.names.ELIGIBILITIES``). ``elects``
    names the machines of which a majority elects (``splitbrain.names.ELECTORS``), of several groups of servers those of
    ``electing``. ``round_ms`` is the longest round of an election: a running candidate counts no answer that comes
    later after its request. ``wait_for_leader_s`` is the longest time until a system from a TOML file has its first
    leader.

    ``origin`` is empty for a built-in system; else it holds the text of its ``description``, or the ``source`` of its
    class (a file's name) and the ``sha256`` of that. ``notes`` is what a user should know of it.
    """

    name: str
    help: str
    promises: PromiseTable
    stall_bound_ms: int
    suspicion_ms: int
    eligibility: Eligibility
    message_complexity: str = "not stated"
    options: Any = NoOptions()
    factory: Factory | None = None
    on_containers: bool = True
    elects: Electors = "none"
    electing: str | None = None
    round_ms: int = 0
    wait_for_leader_s: float = 30.0
    software: Software = OUR_NODE
    servers: Mapping[str, Servers] = field(default_factory=dict)
    exceptions: Mapping[str, Software] = field(default_factory=dict)
    set_up: SetUp = SetUp()
    client: str = "splitbrain.nodes.clients.http:HttpClient"
    probe: Probe | None = None
    features: frozenset[Feature] = frozenset({"tokens"})
    min_nodes: int = 3
    usual_nodes: int = 5
    max_nodes: int = 15
    pins: Mapping[str, Mapping[FaultClass, Pin]] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def confirms(self) -> bool:
        """True if a leader can be asked for an acknowledgement that takes its quorum."""
        return self.probe is None or self.probe.confirm is not None

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the servers of each group."""
        return names_of_servers(self.servers)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The names of all servers."""
        return tuple(name for names in self.groups.values() for name in names)

    def server(self, machine: str) -> Servers | None:
        """The group of the server of that name; None if there is no such server."""
        return next((self.servers[group] for group, names in self.groups.items() if machine in names), None)

    def software_on(self, machine: str) -> Software:
        """What runs on the machine of that name, a node or a server."""
        group = self.server(machine)
        return self.exceptions.get(machine, self.software if group is None else group.software)

    @property
    def simulated(self) -> bool:
        """True if all its parts have state machines, so that it can run in simulation."""
        return self.factory is not None and all(group.factory is not None for group in self.servers.values())

    def make_node(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        """Make a node that talks to ``peers``, from the ``state`` it last persisted, None on its first start."""
        assert self.factory is not None, f"{self.name} has no state machine"
        return self.factory(id, peers, self.options, rng, boot, state)

    def make_server(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        """Make a server; the arguments are those of a node."""
        group = self.server(id)
        assert group is not None, f"{self.name} has no server {id}"
        assert group.factory is not None, f"{self.name} has no state machine of its servers"
        return group.factory(id, peers, self.options, rng, boot, state)

    def with_options(self, texts: Mapping[str, str]) -> System:
        """This system with some options changed, each given as text: ``{"pre_vote": "false"}``.

        Raises ValueError for an unknown option or an invalid value.
        """
        present = {field.name: getattr(self.options, field.name) for field in dataclasses.fields(self.options)}
        for name in texts.keys() - present.keys():
            raise ValueError(f"{self.name} has no option {name!r}; it has {', '.join(present)}")
        changes = {name: _parse(name, text, type(present[name])) for name, text in texts.items()}
        return dataclasses.replace(self, options=dataclasses.replace(self.options, **changes))


def _parse(name: str, text: str, kind: type) -> bool | int:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{name}: expected true or false, got {text!r}")
        return text == "true"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: expected an integer, got {text!r}") from None
