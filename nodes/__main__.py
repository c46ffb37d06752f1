"""``python3 -m nodes SYSTEM ...``: run one election node on this machine until SIGTERM.

Example: ``python3 -m nodes raft --id n1 --peer n2=10.0.0.12:7000 --peer n3=10.0.0.13:7000 --listen
0.0.0.0:7000 --http 0.0.0.0:8000 --data /var/lib/node --seed 7 --option pre_vote=false``
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from splitbrain.nodes.driver import FAILED, Address, Driver, NodeConfig
from splitbrain.nodes.protocol import Json, Node
from splitbrain.nodes.systems import SYSTEMS, System
from splitbrain.nodes.wall import OnWallClock

USAGE: Final = 64
# With the default of 5 ms, a thread answering HTTP could hold a heartbeat back for that long.
SWITCH_INTERVAL_S: Final = 0.0005

Make = Callable[[str, Sequence[str], Random, str, Mapping[str, Json] | None], Node]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node that ``arguments`` describe.

    Returns the exit status: 0 when it was told to stop, 64 for wrong usage, 70 when it cannot run here (an
    address in use, a damaged state). A node whose disk fails later ends with 70 too.
    """
    parsed = _parser().parse_args(arguments)
    try:
        system = parsed.system.with_options(dict(parsed.option))
        if parsed.role == "server" and system.servers is None:
            raise ValueError(f"--role: {system.name} has no servers")
        place = _place(parsed)
    except (ValueError, OSError) as error:
        return _refuse(error, USAGE)
    try:
        make = system.make_node if parsed.role == "node" else system.make_server
        driver = _driver(system, make, place, parsed.seed)
    except (ValueError, OSError) as error:
        return _refuse(error, FAILED)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    driver.run()
    return 0


def _refuse(error: Exception, status: int) -> int:
    print(f"nodes: {error}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nodes", description="Run one election node.")
    known = "; ".join(f"{name}: {system.help}" for name, system in _ours().items())
    parser.add_argument("system", type=_system, help=f"{known}; broken/NAME: one with that planted bug")
    parser.add_argument("--role", choices=("node", "server"), default="node", help="which part of the system")
    parser.add_argument("--id", required=True, help="this node's name")
    parser.add_argument("--peer", action="append", default=[], type=_pair, metavar="ID=HOST:PORT", help="another node")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where other nodes reach this one (UDP)")
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="where it is asked (TCP)")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="where its durable state is kept")
    parser.add_argument("--seed", type=int, default=0, help="with the node's name, decides its timeouts")
    parser.add_argument("--option", action="append", default=[], type=_pair, metavar="NAME=VALUE", help="of the system")
    return parser


def _ours() -> dict[str, System]:
    return {name: system for name, system in SYSTEMS.items() if system.simulated}


def _system(name: str) -> System:
    ours = _ours()
    if name in ours:
        return ours[name]
    # Imported here, since correct nodes do without: every module read delays a restart.
    from splitbrain.nodes.broken import BROKEN

    if name in BROKEN:
        return BROKEN[name].system
    raise argparse.ArgumentTypeError(f"expected one of {', '.join(ours)}, or broken/NAME, got {name!r}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _address(text: str) -> Address:
    """``HOST:PORT``, the host resolved now: a name server asked later could hold up the election."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return socket.gethostbyname(host), int(port)


def _place(parsed: argparse.Namespace) -> NodeConfig:
    peers = {name: _address(text) for name, text in parsed.peer}
    if parsed.id in peers:
        raise ValueError(f"expected the other nodes as peers, got {parsed.id!r} itself among them")
    return NodeConfig(
        id=parsed.id,
        peers=peers,
        listen=_address(parsed.listen),
        http=_address(parsed.http),
        data=parsed.data,
    )


def _driver(system: System, make: Make, place: NodeConfig, seed: int) -> Driver:
    boot = uuid.uuid4().hex[:8]
    # The name is mixed in: nodes that shared their timeouts would split every vote.
    rng = Random(f"{seed} {place.id}")
    peers = tuple(place.peers)

    def made(state: Json) -> Node:
        try:
            node = make(place.id, peers, rng, boot, state)
        except (KeyError, TypeError, AttributeError) as wrong:
            if state is None:
                raise
            raise ValueError(
                f"{place.data}: expected the state of a {system.name} node, found {state!r:.200}"
            ) from wrong
        return OnWallClock(node, time.time_ns) if system.by_wall_clock else node

    return Driver(place, boot, made)


if __name__ == "__main__":
    sys.exit(main())
