"""Systems under test as values, and what each promises.

A system states how its nodes are started, how one is made for a simulation, its table of promises, and the runs that
reproduce its known weaknesses. Promises are written down before any run; a run is judged by them, and never the other
way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from splitbrain.names import Eligibility, FaultClass, PromiseTable
from splitbrain.nodes.protocol import Json, Node

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
    """A machine on which something is to be started: what it is called, and where all are, by name."""

    name: str
    system: str
    seed: int
    nodes: Mapping[str, str]
    servers: Mapping[str, str]


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
    """An image from outside this project: a tag that the engine has or can pull, or a folder with a Dockerfile."""

    tag: str | None = None
    folder: str | None = None

    def __str__(self) -> str:
        return str(self.tag or self.folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpProbe:
    """Where a system from outside says in JSON over HTTP what is asked of it.

    ``leading`` is a dotted path to true or false, or ``path == value``; ``leader``, ``term`` and ``reign`` are paths,
    None where it does not say. ``confirm_path`` acknowledges, with a status below 300, that a leader works.
    """

    path: str
    leading: str
    leader: str | None = None
    term: str | None = None
    reign: str | None = None
    confirm_path: str | None = None
    confirm_method: str = "POST"


@dataclass(frozen=True, kw_only=True, slots=True)
class Software:
    """What runs in the containers of one group of machines.

    ``image`` is the folder of ``nodes/images`` that it is built from; ``command`` gives the container's arguments.
    ``ports`` are those that clients ask, ``data`` is the folder of its durable state, None for what keeps none, and
    ``ready_s`` how long it may take to answer for the first time.
    """

    image: str | OwnImage
    command: Callable[[Machine], Sequence[str]]
    ports: tuple[int, ...] = (CLIENT_PORT,)
    data: str | None = DATA
    ready_s: float = 30.0


OUR_NODE: Final = Software(image="images/node", command=run_node)
OUR_SERVER: Final = Software(image="images/node", command=run_server)


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """The machines beside the nodes that the election rests on: so many, none of which stands for election.

    They are hurt, and never observed. ``factory`` is None where there is no state machine of it to simulate.
    """

    count: int
    software: Software
    factory: Factory | None = None


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


@dataclass(frozen=True, kw_only=True)
class System:
    """One system.

    Its nodes are the machines that stand for election; what runs on them is ``software`` on containers, and what
    ``factory`` makes in simulation (None where there is no such state machine). ``asked`` is how they are asked on
    containers, by the name of the way (``http`` for nodes that speak as ``nodes.endpoint`` does). ``promises`` is
    the system's table (``nodes.systems.promises``), and ``pins`` are the runs that reproduce its known weaknesses, by
    runtime.
    ``stall_bound_ms`` is the longest that a majority that could have a working leader may be without one,
    with a chance of one in a million of a false alarm; ``suspicion_ms`` the longest silence before a leader
    is given up. ``eligibility`` names the majorities that could have one (``splitbrain.names.ELIGIBILITIES``).
    ``probe`` is for systems from outside. ``opinions``: its servers can be asked whom they hold for the leader, and in
    which epoch. ``keeps_set``: clients can add to a set that the system itself keeps, through its leader.
    ``tokens``: every reign has a term that a shared resource can check. ``votes_kept``: its nodes show whom they voted
    for, and only when no crash can undo that any more.
    ``options`` is a frozen dataclass of booleans and integers, the same on every node. ``by_wall_clock``: its nodes are
    told the time of day where they should be told elapsed time, as of ``nodes.wall``, which is a mistake.
    """

    name: str
    help: str
    promises: PromiseTable
    stall_bound_ms: int
    suspicion_ms: int
    eligibility: Eligibility
    message_complexity: str
    options: Any
    factory: Factory | None
    software: Software = OUR_NODE
    servers: Servers | None = None
    client: str = "splitbrain.nodes.clients.http:HttpClient"
    probe: HttpProbe | None = None
    opinions: bool = False
    keeps_set: bool = False
    tokens: bool = True
    votes_kept: bool = False
    min_nodes: int = 3
    usual_nodes: int = 5
    max_nodes: int = 15
    by_wall_clock: bool = False
    pins: Mapping[str, Mapping[FaultClass, Pin]] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether there are state machines of all its parts, so that it can run in simulation."""
        return self.factory is not None and (self.servers is None or self.servers.factory is not None)

    def make_node(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        """One node; ``peers`` are those it talks to, ``state`` what it last persisted, None on its first start."""
        assert self.factory is not None, f"{self.name} has no state machine"
        return self.factory(id, peers, self.options, rng, boot, state)

    def make_server(
        self, id: str, peers: Sequence[str], rng: Random, boot: str, state: Mapping[str, Json] | None = None
    ) -> Node:
        """One server; the rest as for a node."""
        assert self.servers is not None, f"{self.name} has no servers"
        assert self.servers.factory is not None, f"{self.name} has no state machine of its servers"
        return self.servers.factory(id, peers, self.options, rng, boot, state)

    def with_options(self, texts: Mapping[str, str]) -> System:
        """This system with some options changed, each given as text: ``{"pre_vote": "false"}``.

        Raises ValueError, in words, for an option that does not exist or a value that it cannot have.
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
