"""Four-letter commands of ZooKeeper's servers: the leader among them, and invalid answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from splitbrain.nodes.clients.base import Endpoint, OperationFailed
from splitbrain.nodes.systems.base import Machine
from splitbrain.nodes.systems.zookeeper.client import PORT, ZooKeeperClient, mode_in
from splitbrain.nodes.systems.zookeeper.system import (
    SHORT,
    ZOOKEEPER_SHORT_SYSTEM,
    ZOOKEEPER_STOCK_SYSTEM,
    ZOOKEEPER_SYSTEM,
)

SRVR = """Zookeeper version: 3.8.0--1, built on 2024-10-16 17:50 UTC
Latency min/avg/max: 0/0.0/0
Received: 1
Sent: 0
Connections: 1
Outstanding: 0
Zxid: 0x100000000
Mode: {}
Node count: 5
"""
SERVES_NOBODY = "This ZooKeeper instance is not currently serving requests\n"


def test_the_mode_is_read_from_its_line_and_a_server_out_of_service_has_none() -> None:
    assert mode_in(SRVR.format("leader")) == "leader"
    assert mode_in(SRVR.format("follower")) == "follower"
    assert mode_in(SERVES_NOBODY) is None
    assert mode_in("srvr is not executed because it is not in the whitelist.\n") is None
    assert mode_in("") is None


async def asked(answers: Mapping[str, str | None]) -> tuple[str | None, str | None]:
    """The leader among servers with these answers (None: the port is closed), and the result of asking s1
    if it is up."""
    servers, endpoints = [], {"n1": Endpoint("10.0.0.1", {8000: 1})}

    def serving(answer: str):  # type: ignore[no-untyped-def]
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.readexactly(4) == b"srvr":
                writer.write(answer.encode())
            writer.close()

        return serve

    for name, answer in answers.items():
        server = await asyncio.start_server(serving(answer or ""), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        endpoints[name] = Endpoint("10.0.0.2", {PORT: port})
        if answer is None:
            server.close()
        else:
            servers.append(server)
    client = ZooKeeperClient(endpoints)
    leader = await client.leading_server()
    try:
        await client.awake("s1")
        words = None
    except OperationFailed as refused:
        words = str(refused)
    await client.close()
    for server in servers:
        server.close()
    return leader, words


LEADS, FOLLOWS = SRVR.format("leader"), SRVR.format("follower")


@pytest.mark.parametrize(
    ("answers", "leader", "words"),
    [
        ({"s1": FOLLOWS, "s2": LEADS, "s3": FOLLOWS}, "s2", None),
        ({"s1": SERVES_NOBODY, "s2": LEADS, "s3": None}, "s2", None),
        ({"s1": LEADS, "s2": LEADS, "s3": FOLLOWS}, None, None),  # one of them is stale, and it is unknown which
        ({"s1": None, "s2": FOLLOWS, "s3": FOLLOWS}, None, "no connection"),
        ({"s1": "", "s2": FOLLOWS, "s3": FOLLOWS}, None, "the connection was closed without an answer"),
    ],
)
def test_the_one_server_in_mode_leader_leads_and_any_answer_shows_a_live_server(
    answers: Mapping[str, str | None], leader: str | None, words: str | None
) -> None:
    found, refused = asyncio.run(asked(answers))
    assert found == leader
    assert (refused is None) == (words is None) and (words or "") in (refused or "")


def test_contenders_prefer_different_servers_and_servers_know_their_numbers() -> None:
    nodes = {f"n{i}": f"10.0.0.{i}" for i in range(1, 6)}
    servers = {f"s{i}": f"10.0.1.{i}" for i in range(1, 4)}
    machine = Machine(name="n5", system="zookeeper-stock", seed=1, nodes=nodes, servers=servers)
    command = ZOOKEEPER_STOCK_SYSTEM.software.command(machine)
    assert [word for word in command if "2181" in word] == [f"--server=10.0.1.{i}:2181" for i in (2, 3, 1)]
    assert "stock" in command
    server = Machine(name="s2", system="zookeeper-short", seed=1, nodes=nodes, servers=servers)
    words = list(ZOOKEEPER_SHORT_SYSTEM.software_on("s2").command(server))
    assert words[words.index("--id") + 1] == "2" and words[words.index("--sync-limit") + 1] == str(SHORT.sync_limit)


def test_sessions_outlive_what_a_server_takes_to_miss_its_leader_except_where_they_are_short() -> None:
    """A client stops 2T/3 after its last answer at the latest; its server within syncLimit ticks, and one to notice."""
    for system, safe in ((ZOOKEEPER_SYSTEM, True), (ZOOKEEPER_SHORT_SYSTEM, False)):
        options = system.options
        assert (2 * options.session_ms / 3 > (options.sync_limit + 1) * options.tick_ms) is safe
