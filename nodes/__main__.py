"""``python3 -m splitbrain.nodes SYSTEM ...``: run one election node on this machine until SIGTERM.

Example: ``python3 -m splitbrain.nodes raft --id n1 --peer n2=10.0.0.12:7000 --peer n3=10.0.0.13:7000 --listen
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
# At the default of 5 ms, a thread that answers HTTP could delay a heartbeat for that long.
SWITCH_INTERVAL_S: Final = 0.0005

Make = Callable[[str, Sequence[str], Random, str, Mapping[str, Json] | None], Node]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node that ``arguments`` describe.

    Returns the exit status: 0 after SIGTERM or SIGINT, 64 for wrong usage, 70 if the node cannot run here (an address
    in use, a damaged state file). A node whose disk fails later exits with 70 too.
    """
    parsed = _parser().parse_args(arguments)
    try:
        system = parsed.system.with_options(dict(parsed.option))
        if parsed.role == "server" and not system.servers:
            raise ValueError(f"--role: {system.name} has no servers")
        config = _config(parsed)
    except (ValueError, OSError) as error:
        return _refuse(error, USAGE)
    try:
        make = system.make_node if parsed.role == "node" else system.make_server
        driver = _driver(system, make, config, parsed.seed)
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
    parser.add_argument("system", type=_system, help=f"{known}; broken/NAME: the system with that planted bug")
    parser.add_argument(
        "--role",
        choices=("node", "server"),
        default="node",
        help="an election node, or a server that the election relies on",
    )
    parser.add_argument("--id", required=True, help="name of this node")
    parser.add_argument(
        "--peer", action="append", default=[], type=_pair, metavar="ID=HOST:PORT", help="another node; repeatable"
    )
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="UDP address for other nodes")
    parser.add_argument("--http", required=True, metavar="HOST:PORT", help="TCP address of the HTTP interface")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="directory of its durable state")
    parser.add_argument("--seed", type=int, default=0, help="seed of its random timeouts, combined with its name")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="option of the system; repeatable",
    )
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
    """Parse ``HOST:PORT``, and resolve the host now: a slow name server must not delay the election later."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"expected HOST:PORT, got {text!r}")
    return socket.gethostbyname(host), int(port)


def _config(parsed: argparse.Namespace) -> NodeConfig:
    peers = {name: _address(text) for name, text in parsed.peer}
    if parsed.id in peers:
        raise ValueError(f"expected the other nodes as peers, got this node, {parsed.id!r}, among them")
    return NodeConfig(
        id=parsed.id,
        peers=peers,
        listen=_address(parsed.listen),
        http=_address(parsed.http),
        data=parsed.data,
    )


def _driver(system: System, make: Make, config: NodeConfig, seed: int) -> Driver:
    boot = uuid.uuid4().hex[:8]
    # The name is mixed in, since nodes with equal timeouts would split every vote.
    rng = Random(f"{seed} {config.id}")
    peers = tuple(config.peers)

    def made(state: Json) -> Node:
        try:
            node = make(config.id, peers, rng, boot, state)
        except (KeyError, TypeError, AttributeError) as wrong:
            if state is None:
                raise
            raise ValueError(
                f"{config.data}: expected the state of a {system.name} node, found {state!r:.200}"
            ) from wrong
        return OnWallClock(node, time.time_ns) if "wall-clock" in system.features else node

    return Driver(config, boot, made)


if __name__ == "__main__":
    sys.exit(main())
