"""Delays, losses, doubles and cuts of simulated links."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.nemesis.state import gilbert
from splitbrain.nodes import wire as wire_format
from splitbrain.runtimes.sim.kernel import Kernel
from splitbrain.runtimes.sim.network import (
    CALM,
    HEADER_BYTES,
    Conditions,
    Constant,
    Delay,
    Exponential,
    HeavyTail,
    Link,
    Network,
    Uniform,
    sampler,
)
from splitbrain.units import MS

DRAWS = 20_000


class Wire:
    """One link from n1 to n2, and its arrivals as (instant, message)."""

    def __init__(self, conditions: Conditions = CALM) -> None:
        self.kernel = Kernel()
        self.arrived: list[tuple[int, Any]] = []
        network = Network(self.kernel, 7, {"n1": self._arrive, "n2": self._arrive}, conditions)
        self.link = network.links["n1"]["n2"]
        self.network = network

    def _arrive(self, link: Link, message: Any) -> None:
        if link.cut:
            link.dropped += 1
        else:
            self.arrived.append((self.kernel.now, message))

    def send(self, *messages: Any) -> Wire:
        for message in messages:
            self.link.send(message)
        return self

    def messages(self) -> list[Any]:
        self.kernel.run_until(self.kernel.now + 3_600_000 * MS)
        return [message for _, message in self.arrived]


@pytest.mark.parametrize(
    ("delay", "least", "most", "mean"),
    [
        (Constant(500), 500, 500, 500),
        (Uniform(200_000, 1_000_000), 200_000, 999_999, 600_000),
        (Exponential(100_000, 400_000), 100_000, None, 500_000),
        (HeavyTail(100_000, 10**12), 100_000, 10**12, 200_000),
    ],
)
def test_a_delay_is_distributed_as_it_says(delay: Delay, least: int, most: int | None, mean: float) -> None:
    draw = sampler(delay, Random(1))
    drawn = [draw() for _ in range(DRAWS)]
    assert min(drawn) >= least
    assert most is None or max(drawn) <= most
    assert fmean(drawn) == pytest.approx(mean, rel=0.1)


def test_an_exponential_delay_is_longer_than_twice_its_mean_once_in_seven() -> None:
    draw = sampler(Exponential(0, 1_000_000), Random(1))
    longer = sum(draw() > 2_000_000 for _ in range(DRAWS)) / DRAWS
    assert longer == pytest.approx(0.1353, abs=0.01)  # exp(-2)


@pytest.mark.parametrize(("shape", "share"), [(1, 0.1), (2, 0.01)])
def test_a_heavy_tail_is_ten_times_as_long_as_often_as_its_shape_says(shape: Any, share: float) -> None:
    draw = sampler(HeavyTail(1_000, 10**15, shape), Random(1))
    assert sum(draw() > 10_000 for _ in range(DRAWS)) / DRAWS == pytest.approx(share, rel=0.2)


def test_a_heavy_tail_stops_at_its_cap() -> None:
    draw = sampler(HeavyTail(1_000, 5_000, 1), Random(1))
    assert max(draw() for _ in range(DRAWS)) == 5_000


def test_without_impairments_every_packet_arrives_once() -> None:
    assert sorted(Wire().send(*range(100)).messages()) == list(range(100))


def test_jitter_makes_later_packets_overtake_earlier_ones() -> None:
    assert Wire().send(*range(100)).messages() != list(range(100))
    assert Wire(Conditions(delay=Constant(MS))).send(*range(100)).messages() == list(range(100))


def test_a_link_loses_and_duplicates_the_requested_shares() -> None:
    lost = Wire(Conditions(loss=0.3)).send(*range(DRAWS // 10)).messages()
    assert len(lost) / (DRAWS // 10) == pytest.approx(0.7, abs=0.05)
    doubled = Wire(Conditions(duplication=0.3)).send(*range(DRAWS // 10)).messages()
    assert len(doubled) / (DRAWS // 10) == pytest.approx(1.3, abs=0.05)
    assert set(doubled) == set(range(DRAWS // 10))


def test_a_bursty_link_loses_its_share_in_bursts() -> None:
    share, burst = 0.2, 5
    sent = DRAWS // 10
    arrived = set(Wire(Conditions(bursts=(gilbert(share, burst),))).send(*range(sent)).messages())
    lost = [number not in arrived for number in range(sent)]
    runs = sum(before and not after for before, after in pairwise(lost))
    assert sum(lost) / sent == pytest.approx(share, abs=0.08)
    assert sum(lost) / runs == pytest.approx(burst, rel=0.3)
    scattered = set(Wire(Conditions(loss=share)).send(*range(sent)).messages())
    singly = [number not in scattered for number in range(sent)]
    assert sum(singly) / sum(a and not b for a, b in pairwise(singly)) < 1.6


@pytest.mark.parametrize(("share", "burst"), [(0.0, 5), (0.2, 1), (0.2, 9), (0.9, 1), (1.0, 3)])
def test_a_link_is_bad_for_its_share_of_packets(share: float, burst: int) -> None:
    worsens, mends = gilbert(share, burst)
    assert 0 <= worsens <= 1 and 0 <= mends <= 1
    assert worsens / (worsens + mends) == pytest.approx(share)


def test_packets_that_are_held_back_are_overtaken() -> None:
    wire = Wire(Conditions(delay=Constant(MS), hold=0.3, hold_ns=50 * MS)).send(*range(1_000))
    messages = wire.messages()
    late = [message for at, message in wire.arrived if at == 51 * MS]
    assert sorted(messages) == list(range(1_000))
    assert len(late) == wire.link.held == pytest.approx(300, abs=60)


def test_packets_queue_for_a_limited_link_and_are_dropped_if_they_would_wait_too_long() -> None:
    conditions = Conditions(delay=Constant(MS), ns_per_byte=100_000, longest_ns=20 * MS)
    message = {"kind": "x"}
    size = HEADER_BYTES + len(wire_format.encode("n1", message))
    wire = Wire(conditions).send(*[message] * 10)
    wire.messages()
    each = size * 100_000
    fit = 20 * MS // each + 1
    assert [at for at, _ in wire.arrived] == [MS + each * (i + 1) for i in range(fit)]
    assert wire.link.lost == 10 - fit


@pytest.mark.parametrize(("loss", "duplication"), [(1.1, 0.0), (0.0, -0.1)])
def test_a_probability_outside_0_to_1_is_refused(loss: float, duplication: float) -> None:
    with pytest.raises(ValueError, match="chances from 0 to 1"):
        Conditions(loss=loss, duplication=duplication)


@given(st.sets(st.integers(0, 19)))
def test_the_delay_of_a_packet_does_not_depend_on_the_loss_of_others(struck: set[int]) -> None:
    """The k-th packet of a link takes as long whatever the flaws of the link were before it."""
    calm, flawed = Wire(), Wire()
    for k in range(20):
        calm.link.send(k)
        flawed.network.set_conditions(Conditions(loss=1.0) if k in struck else CALM)
        flawed.link.send(k)
    calm.messages(), flawed.messages()
    assert flawed.arrived == [each for each in calm.arrived if each[1] not in struck]


def test_a_cut_drops_packets_that_would_arrive_during_it_and_no_later_ones() -> None:
    wire = Wire(Conditions(delay=Constant(10)))

    def cut(is_cut: bool, _: Any) -> None:
        wire.network.cut_into("n2", {"n1"} if is_cut else ())

    wire.kernel.at(5, cut, True)
    wire.kernel.at(15, cut, False)
    for at in (0, 4, 6):
        wire.kernel.at(at, lambda message, _: wire.link.send(message), at)
    assert wire.messages() == [6]
    assert wire.link.dropped == 2


def test_a_cut_is_of_one_direction_only_and_the_next_replaces_it() -> None:
    wire = Wire()
    wire.network.cut_into("n2", {"n1"})
    assert wire.send("away").messages() == []
    wire.network.links["n2"]["n1"].send("back")
    assert wire.messages() == ["back"]
    wire.network.cut_into("n2", ())
    assert wire.send("again").messages() == ["back", "again"]


def test_conditions_may_differ_from_link_to_link() -> None:
    def of(sender: str, _: str) -> Conditions:
        return Conditions(delay=Constant(1 if sender == "n1" else 2))

    kernel = Kernel()
    arrived: list[tuple[int, Any]] = []

    def arrive(_: Link, message: Any) -> None:
        arrived.append((kernel.now, message))

    network = Network(kernel, 7, {"n1": arrive, "n2": arrive}, of)
    network.links["n1"]["n2"].send("fast")
    network.links["n2"]["n1"].send("slow")
    kernel.run_until(5)
    assert arrived == [(1, "fast"), (2, "slow")]


def _delays(seed: int, before: Callable[[Network], None]) -> list[int]:
    kernel = Kernel()
    arrived: list[int] = []
    ends = {name: lambda link, _: arrived.append(kernel.now) if link.to == "n2" else None for name in ("n1", "n2")}
    network = Network(kernel, seed, ends, CALM)
    before(network)
    for _ in range(5):
        network.links["n1"]["n2"].send("")
    kernel.run_until(MS * 10)
    return arrived


def test_the_random_numbers_of_a_link_depend_only_on_the_seed_and_the_link() -> None:
    def busy(network: Network) -> None:
        for _ in range(3):
            network.links["n2"]["n1"].send("")

    assert _delays(7, busy) == _delays(7, lambda _: None)
    assert _delays(8, busy) != _delays(7, busy)
