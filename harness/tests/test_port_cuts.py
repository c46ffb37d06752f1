"""Cuts of one port: their rules, what counts as in effect, and what histories and checkers make of them."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from splitbrain.errors import UsageError
from splitbrain.nemesis import plans
from splitbrain.nemesis.faults import Partition
from splitbrain.nemesis.plans import Plan, combined_class
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.state import State, state_of
from splitbrain.nemesis.targets import View
from splitbrain.runtimes.capabilities import refuse_unsupported
from splitbrain.runtimes.docker import links as docker_links
from splitbrain.runtimes.docker.agent.links import parsed, port_rules
from splitbrain.runtimes.docker.agent.messages import Done, PortCut, PortDrops, ProbesReceived, ReadProbes, Request
from splitbrain.runtimes.docker.agent.probes import checksum, tcp_segment, udp_packet
from splitbrain.runtimes.docker.links import Links
from splitbrain.tests.fake_agents import FakeAgents

ADDRESSES = {"n1": "10.0.0.11", "n2": "10.0.0.12"}
CUT = State(ports={(("n1", "n2"), 2380): "drop"})
LISTING = """
Chain SPLITBRAIN (1 references)
    pkts      bytes target     prot opt in     out     source               destination
       4      112 DROP       17   --  *      *       10.0.0.11            0.0.0.0/0            multiport ports 2380
       7      112 DROP       tcp  --  *      *       10.0.0.11            0.0.0.0/0            multiport ports 2380
       2       80 DROP       0    --  *      *       10.0.0.12            0.0.0.0/0
       0        0 DROP       0    --  *      *       10.0.0.13            0.0.0.0/0            statistic mode random probability 0.5
       0        0 NFQUEUE    0    --  *      *       10.0.0.14            0.0.0.0/0            NFQUEUE num 7 bypass
"""  # noqa: E501


def test_the_rules_of_a_port_are_read_apart_from_all_others() -> None:
    found = parsed(LISTING)
    assert found.ports == (PortDrops(address="10.0.0.11", port=2380, tcp=7, udp=4),)
    assert (found.dropped, found.impaired) == ({"10.0.0.12": 2}, {"10.0.0.13", "10.0.0.14"})


@pytest.mark.parametrize(("manner", "ends"), [("drop", "DROP"), ("reject", "REJECT"), ("payload", "DROP")])
def test_a_port_is_cut_for_tcp_and_for_udp(manner: Any, ends: str) -> None:
    rules = list(port_rules(PortCut(address="10.0.0.11", port=2380, manner=manner)))
    assert all("-s 10.0.0.11 -p" in rule and "-m multiport --ports 2380" in rule for rule in rules)
    assert {rule.split()[5] for rule in rules if f"-j {ends}" in rule} == {"tcp", "udp"}


def test_packets_made_by_hand_are_well_formed() -> None:
    assert udp_packet(2380, 7999, b"ab") == b"\x09\x4c\x1f\x3f\x00\x0a\x00\x00ab"
    segment = tcp_segment("10.0.0.11", "10.0.0.12", 2380, 7999)
    pseudo = b"\x0a\x00\x00\x0b\x0a\x00\x00\x0c\x00\x06" + len(segment).to_bytes(2, "big")
    assert checksum(pseudo + segment) == 0, "a sum with a right checksum in it is zero"
    assert segment.endswith(b"port")


class Hosts(FakeAgents):
    """Hosts of which n2 reports these drops, and of n1 a packet if ``came``."""

    def __init__(self, drops: tuple[PortDrops, ...], came: bool) -> None:
        super().__init__(tuple(ADDRESSES), ADDRESSES, {}, {})
        object.__setattr__(self, "answer", (drops, came))

    def reply(self, name: str, request: Request[Any]) -> Any:
        if not isinstance(request, ReadProbes):
            return Done()
        drops, came = self.answer  # type: ignore[attr-defined]
        received = {ADDRESSES["n1"]: ((0, 100),)} if came else {}
        return ProbesReceived(received=received, dropped={}, ports=drops, impaired=())


def wrong(asked: State, drops: tuple[PortDrops, ...], came: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What is found wrong when that port was cut, and ``asked`` is asked for now."""
    monkeypatch.setattr(docker_links, "VERIFY_NS", 0)
    states = [CUT]
    links = Links(Hosts(drops, came), lambda: states[-1])
    asyncio.run(links.make(CUT))
    states.append(asked)
    return asyncio.run(links._verify_ports()).problems


def drops(tcp: int, udp: int) -> tuple[PortDrops, ...]:
    return (PortDrops(address="10.0.0.11", port=2380, tcp=tcp, udp=udp),)


@pytest.mark.parametrize(
    ("asked", "found", "came", "problem"),
    [
        (CUT, drops(1, 1), False, None),
        (CUT, (), False, "its rules have dropped no packet of TCP or of UDP"),
        (CUT, drops(0, 1), False, "its rules have dropped no packet of TCP or of UDP"),
        (CUT, drops(1, 0), False, "its rules have dropped no packet of TCP or of UDP"),
        (CUT, drops(1, 1), True, "port 2380 of n1 to n2 should be cut, and a packet came"),
        (State(), (), True, None),
        (State(), (), False, "port 2380 of n1 to n2 should be open, and no packet came"),
        (State(), drops(1, 1), True, "port 2380 of n1 to n2 should be open, and has a rule"),
        (State(cut=frozenset({("n1", "n2")})), (), False, None),
    ],
)
def test_a_cut_of_a_port_is_in_effect_if_it_drops_tcp_and_udp(
    asked: State, found: Any, came: bool, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = wrong(asked, found, came, monkeypatch)
    assert (problem is None) == (problems == ())
    assert problem is None or problem in problems[0]


# What it means.


def test_a_cut_of_a_port_is_partial_and_no_link_is_cut_by_it() -> None:
    view = View(nodes=("n1", "n2", "n3"), leader="n1")
    cuts = [plans.plan(Partition(shape="isolated-leader", port=port), view, Random(0)) for port in (2380, 2381)]
    (made, other) = [cut for cut in cuts if isinstance(cut, Plan)]
    assert (made.fault_class, made.shape) == ("partial-partition", "isolated-leader-port-2380")
    assert made.words == "the leader n1 is alone: n1 | n2 n3, port 2380 only"
    assert combined_class([made, other], view) is None
    state = state_of([made, other])
    assert state.cut == frozenset()
    assert {port for _, port in state.ports} == {2380, 2381}


def test_a_hardest_manner_of_several_decides() -> None:
    state = State()
    for how in ("payload", "drop", "reject"):
        state.sever_port(frozenset({("n1", "n2")}), 80, how)
    assert state.ports == {(("n1", "n2"), 80): "drop"}


def test_the_simulation_refuses_ports_and_names() -> None:
    fault = Partition(shape="isolated-leader", port=2380)
    schedule = Schedule(steps=(Step(at_ms=0, for_ms=1, fault=fault),), length_ms=10)
    with pytest.raises(UsageError, match=r"the runtime sim .* lacks: partition of one port \(steps\[0\]\)"):
        refuse_unsupported(schedule, "sim")
    refuse_unsupported(schedule, "docker")
