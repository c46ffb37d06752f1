"""When software's first data after a cut is noticed: packets written by hand, and this machine's."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from splitbrain.runtimes.docker.agent.arrivals import SO_TIMESTAMPNS, STAMP, ArrivalMonitor, came_at, carried_by
from splitbrain.runtimes.docker.agent.messages import FirstArrival
from splitbrain.runtimes.docker.agent.probes import PORT

PEER = "10.0.0.7"
NOT_YET = FirstArrival(after_ns=None, over=None)


def packet(protocol: int, rest: bytes, peer: str = PEER) -> bytes:
    total = 20 + len(rest)
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, protocol, 0, socket.inet_aton(peer), bytes(4)) + rest


def segment(content: bytes, options: int = 12) -> bytes:
    return packet(
        6, struct.pack(">HHIIBBHHH", 1, 2, 3, 4, (20 + options) // 4 << 4, 16, 5, 6, 0) + bytes(options) + content
    )


def datagram(content: bytes, to: int = 8_001) -> bytes:
    return packet(17, struct.pack(">HHHH", 9, to, 8 + len(content), 0) + content)


@pytest.mark.parametrize(
    ("seen", "over"),
    [
        (segment(b"x"), "tcp"),
        (segment(b"x", options=0), "tcp"),
        (segment(b""), None),
        (segment(b"", options=40), None),
        (datagram(b"x"), "udp"),
        (datagram(b""), None),
        (datagram(b"x", to=PORT), None),
        (packet(1, b"ping ping ping"), None),
        (b"", None),
    ],
)
def test_only_tcp_and_udp_payload_of_the_software_counts(seen: bytes, over: str | None) -> None:
    assert carried_by(seen) == over


def test_the_first_packet_after_each_cut_counts() -> None:
    arrivals = ArrivalMonitor()
    arrivals.note(segment(b"x"), time.monotonic_ns())
    assert arrivals.report().by_sender == {}
    arrivals.expect([PEER])
    began = time.monotonic_ns()
    arrivals.note(segment(b""), began)
    assert arrivals.report().by_sender == {PEER: (NOT_YET,)}
    arrivals.note(segment(b"x"), began + 10**9)
    arrivals.note(segment(b"x"), began + 2 * 10**9)
    ((first,),) = arrivals.report().by_sender.values()
    assert first.after_ns is not None and 10**9 <= first.after_ns < 2 * 10**9 and first.over == "tcp"
    arrivals.expect([PEER])
    arrivals.forget([PEER])
    arrivals.note(segment(b"x"), began + 3 * 10**9)
    assert arrivals.report().by_sender[PEER] == (first, NOT_YET), "it was cut again before"


def test_the_arrival_time_is_that_of_the_kernel() -> None:
    began, wall = time.monotonic_ns(), time.time_ns()
    stamp = (socket.SOL_SOCKET, SO_TIMESTAMPNS, STAMP.pack(*divmod(wall - 3 * 10**9, 10**9)))
    assert abs(came_at([stamp]) - (began - 3 * 10**9)) < 0.5e9
    assert began <= came_at([]) <= time.monotonic_ns(), "without a stamp it is when we read it"
