from __future__ import annotations

from collections.abc import Sequence

import pytest

from splitbrain.nemesis.state import Flaws
from splitbrain.runtimes.verification import Heard, amiss, lost_share, measured, problems, unnoticed

NODES = ("n1", "n2", "n3")
ALL = {node: Heard(frozenset(set(NODES) - {node}), {}) for node in NODES}
ONE_WAY = frozenset({("n1", "n2")})


def test_open_links_that_carried_a_packet_are_verified() -> None:
    assert problems(NODES, frozenset(), ALL) == ()


def test_a_cut_counts_only_when_its_rule_dropped_a_packet_that_came() -> None:
    dropped = ALL | {"n2": Heard(frozenset({"n3"}), {"n1": 1})}
    assert problems(NODES, ONE_WAY, dropped) == ()
    nothing_came = ALL | {"n2": Heard(frozenset({"n3"}), {"n1": 0})}
    assert problems(NODES, ONE_WAY, nothing_came) == ("n1 to n2 should be cut, and its rule has dropped nothing",)


def test_a_cut_that_lets_packets_through_is_reported() -> None:
    assert problems(NODES, ONE_WAY, ALL) == ("n1 to n2 should be cut, and a packet came",)


def test_a_cut_in_the_wrong_direction_is_reported_twice() -> None:
    other_way = ALL | {"n1": Heard(frozenset({"n3"}), {"n2": 3})}
    assert len(problems(NODES, ONE_WAY, other_way)) == 3


def test_an_open_link_without_a_packet_is_reported() -> None:
    silent = ALL | {"n3": Heard(frozenset({"n1"}), {})}
    assert problems(NODES, frozenset(), silent) == ("n2 to n3 should be open, and no packet came",)


def test_a_leftover_rule_is_reported_though_packets_still_came() -> None:
    left = ALL | {"n3": Heard(frozenset({"n1", "n2"}), {"n2": 0})}
    assert problems(NODES, frozenset(), left) == ("n2 to n3 should be open, and a rule drops it",)


# Impaired links. A packet is (number, lateness in us), in order of arrival.


def told(flaws: Flaws, came: Sequence[tuple[int, int]], sent: int = 100) -> list[str]:
    return list(amiss(flaws, measured(sent, came), 68))


def late(ms: float, numbers: Sequence[int] = range(100)) -> list[tuple[int, int]]:
    return [(number, int(1_000 * ms)) for number in numbers]


def test_lost_duplicated_and_overtaken_packets_are_measured() -> None:
    seen = measured(8, [(0, 1_000), (2, 3_000), (1, 5_000), (1, 6_000), (6, 1_000)])
    assert (seen.lost, seen.doubled, seen.overtaken) == (0.5, 0.25, 0.25)
    assert seen.run == 2, "3 to 5, and 7"
    assert (seen.least_ms, seen.median_ms, seen.gap_ms) == (1.0, 2.0, 4 / 3)
    nothing = measured(4, [])
    assert (nothing.lost, nothing.run, nothing.median_ms, nothing.gap_ms) == (1.0, 4.0, None, None)


@pytest.mark.parametrize(
    ("flaws", "fits", "does_not", "words"),
    [
        (Flaws(), late(0.1), late(30), "should take about 0 ms more, and took 30.0 ms"),
        (Flaws(), late(0.1), late(0.1, range(90)), "should lose 0%, and lost 10% of 100"),
        (Flaws(loss=0.3), late(0.1, range(70)), late(0.1), "should lose 30%, and lost 0% of 100"),
        (Flaws(loss=1.0), [], late(0.1, range(5)), "should lose 100%, and lost 95% of 100"),
        (Flaws(corruption=0.3), late(0.1, range(70)), late(0.1), "should lose 30%, and lost 0% of 100"),
        (Flaws(bursts=((0.3, 5),)), late(0.1, range(70)), late(0.1, range(10)), "should lose 30%, and lost 90% of 100"),
        (Flaws(ms=50), late(50.2), late(40), "should take at least 50 ms more, and took 40.0 ms"),
        (Flaws(ms=50), late(50.2), late(90), "should take about 50 ms more, and took 90.0 ms"),
        (
            Flaws(ms=10, jitter_ms=100),
            [(i, 10_000 + 1_000 * i) for i in range(100)],
            late(11),
            "should take about 60 ms more, and took 11.0 ms",
        ),
        (
            Flaws(duplication=0.5),
            late(0.1) + late(0.2, range(50)),
            late(0.1),
            "should double 50%, and doubled 0% of 100",
        ),
        (
            Flaws(hold=0.5, hold_ms=100),
            late(0.1, range(50)) + late(100.1, range(50, 100)),
            late(0.1),
            "should hold 50% back, and held 0% of 100",
        ),
    ],
)
def test_an_impairment_is_verified_only_if_packets_show_it(
    flaws: Flaws, fits: list[tuple[int, int]], does_not: list[tuple[int, int]], words: str
) -> None:
    assert told(flaws, fits) == []
    assert words in told(flaws, does_not)


def test_a_limited_link_spends_time_on_each_packet() -> None:
    narrow = Flaws(ms_per_kb=100)
    assert told(narrow, [(i, 7_000 * (i + 1)) for i in range(4)], sent=4) == []
    assert told(narrow, late(0.1, range(4)), sent=4) == ["should take 7 ms over each packet, and took 0.0 ms"]


def test_losses_of_several_causes_are_independent() -> None:
    assert lost_share(Flaws(loss=0.5, corruption=0.5, bursts=((0.2, 3),))) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("links", "errors", "enough"),
    [
        ([], 0, True),
        ([(Flaws(), 100)], 0, True),
        ([(Flaws(corruption=0.3), 100)], 30, True),
        ([(Flaws(corruption=0.3), 100)], 500, True),
        ([(Flaws(corruption=0.3), 100)], 0, False),
        ([(Flaws(corruption=0.3), 100)], 5, False),
        ([(Flaws(corruption=0.3), 100)] * 4, 120, True),
        ([(Flaws(corruption=0.3), 100)] * 4, 30, False),
        ([(Flaws(corruption=0.3, loss=0.9), 100)], 1, True),
        ([(Flaws(loss=0.5), 100)], 0, True),
        ([(Flaws(corruption=0.3, ms_per_kb=100), 4)], 0, True),
    ],
)
def test_corruption_is_verified_by_the_checksum_errors_of_the_receiver_s_kernel(
    links: list[tuple[Flaws, int]], errors: int, enough: bool
) -> None:
    assert (unnoticed(links, errors) is None) == enough
