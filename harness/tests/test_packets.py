"""The packet releaser without a kernel: fates of packets, their order, and netlink messages."""

from __future__ import annotations

import struct
from itertools import pairwise
from random import Random
from typing import Any

from splitbrain.names import MS
from splitbrain.runtimes.docker.agent import netlink
from splitbrain.runtimes.docker.agent.impairments import Impairments, QueueSettings
from splitbrain.runtimes.docker.agent.netlink import Packet
from splitbrain.runtimes.docker.agent.packets import InboundLink, Releaser, corrupt, sender

N = 4_000


def packet(number: int, source: str = "10.0.0.2", payload: bytes = b"hello") -> Packet:
    header = bytes(12) + bytes(map(int, source.split("."))) + bytes([10, 0, 0, 1]) + bytes(8)
    return Packet(number, header + payload)


class Kernel:
    """A queue with a clock moved by the test; records the released packets in order."""

    def __init__(self) -> None:
        self.now = 0
        self.passed: list[int | bytes] = []
        self.dropped: list[int] = []
        self.copies: list[bytes] = []
        self.releaser = Releaser(self, self.copies.append, lambda: self.now, Random(1))  # type: ignore[arg-type]

    def accept(self, number: int, instead: bytes | None = None) -> None:
        self.passed.append(number if instead is None else instead)

    def drop(self, number: int) -> None:
        self.dropped.append(number)

    def until(self, ns: int) -> None:
        self.now = ns
        self.releaser.release()


def impaired(**impairments: Any) -> Kernel:
    kernel = Kernel()
    settings = QueueSettings(impaired={"10.0.0.2": Impairments(**impairments)}, cut=())
    kernel.releaser.change(settings)
    return kernel


def fates(impairments: Impairments, every_ns: int = 0) -> list[int | None]:
    """When each of many packets of 100 bytes passes, None for the lost."""
    link = InboundLink(impairments, Random(7))
    found = [link.fate(i * every_ns, 100) for i in range(N)]
    return [None if fate is None else fate.at for fate in found]


def test_a_late_packet_passes_when_its_time_has_come_and_not_before() -> None:
    kernel = impaired(ms=50)
    kernel.releaser.take(packet(1))
    kernel.until(49 * MS)
    assert kernel.passed == []
    kernel.until(50 * MS)
    assert kernel.passed == [1]


def test_packets_from_others_pass_at_once_and_those_of_a_healed_link_too() -> None:
    kernel = impaired(ms=50)
    kernel.releaser.take(packet(1, source="10.0.0.9"))
    kernel.releaser.take(packet(2))
    kernel.releaser.change(QueueSettings(impaired={}, cut=()))
    kernel.releaser.take(packet(3))
    assert kernel.passed == [1, 3]
    kernel.until(50 * MS)
    assert kernel.passed == [1, 3, 2], "what was on its way stays so"


def test_packets_without_jitter_keep_their_order_and_with_it_overtake() -> None:
    steady, uneven = impaired(ms=5), impaired(jitter_ms=50)
    for kernel in (steady, uneven):
        for i in range(50):
            kernel.now = i * MS
            kernel.releaser.take(packet(i))
        for at in range(50, 200):
            kernel.until(at * MS)
        assert sorted(map(int, kernel.passed)) == list(range(50))
    assert steady.passed == list(range(50))
    assert uneven.passed != list(range(50))


def test_packets_that_wait_when_the_link_is_cut_are_lost() -> None:
    kernel = impaired(ms=50, duplication=1.0)
    kernel.releaser.take(packet(1))
    kernel.releaser.change(QueueSettings(impaired={}, cut=("10.0.0.2",)))
    kernel.until(50 * MS)
    assert (kernel.passed, kernel.dropped, kernel.copies) == ([], [1], [])


def test_a_duplicated_packet_is_sent_again_unchanged() -> None:
    kernel = impaired(duplication=1.0)
    kernel.releaser.take(packet(1))
    assert (kernel.passed, kernel.copies) == ([1], [packet(1).content])


def test_a_corrupted_packet_differs_in_one_bit_behind_its_address() -> None:
    kernel = impaired(corruption=1.0)
    kernel.releaser.take(packet(1))
    (corrupted,) = kernel.passed
    assert isinstance(corrupted, bytes)
    differing = int.from_bytes(corrupted, "big") ^ int.from_bytes(packet(1).content, "big")
    assert differing.bit_count() == 1
    assert sender(corrupted) == "10.0.0.2"
    for seed in range(100):
        assert corrupt(packet(1).content, Random(seed))[:20] == packet(1).content[:20]


def test_bursts_of_loss_have_the_requested_share_and_length() -> None:
    lost = [at is None for at in fates(Impairments(bursts=((0.2 * 0.25 / 0.8, 0.2),)))]  # a fifth, in runs of five
    ends = sum(before and not after for before, after in pairwise(lost))
    assert abs(sum(lost) / N - 0.2) < 0.06
    assert 4 < sum(lost) / ends < 6


def test_a_limited_link_queues_packets_and_drops_those_that_would_wait_too_long() -> None:
    passes = fates(Impairments(ms_per_kb=100, longest_ms=50))  # 10 ms each, all at once
    assert [at // MS for at in passes[:6] if at is not None] == [10, 20, 30, 40, 50, 60]
    assert passes[6:] == [None] * (N - 6)
    assert all(at is not None for at in fates(Impairments(ms_per_kb=100, longest_ms=50), every_ns=10 * MS))


def test_some_packets_are_held_back_and_overtaken() -> None:
    passes = fates(Impairments(hold=0.3, hold_ms=100))
    assert set(passes) == {0, 100 * MS}
    assert abs(passes.count(100 * MS) / N - 0.3) < 0.05


def test_a_packet_lost_in_a_burst_is_dropped() -> None:
    kernel = impaired(bursts=((1.0, 0.0),))
    kernel.releaser.take(packet(1))
    assert (kernel.passed, kernel.dropped) == ([], [1])


# The words of the kernel


def test_a_packet_is_parsed_from_a_netlink_message_with_unknown_attributes() -> None:
    header = netlink.attribute(netlink.ATTRIBUTE_HEADER, struct.pack(">IHB", 77, 0x0800, 1))
    other = netlink.attribute(4, struct.pack(">Q", 5))
    first = netlink.message(netlink.PACKET, 7, header + other + netlink.attribute(10, b"abc"), 0)
    noise = netlink.message(netlink.ERROR, 0, bytes(16), 0)
    assert list(netlink.packets(noise + first + first)) == [Packet(77, b"abc")] * 2
    assert list(netlink.packets(b"short")) == []
