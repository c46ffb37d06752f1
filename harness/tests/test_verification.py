from __future__ import annotations

from harness.runtimes.verification import Heard, problems

NODES = ("n1", "n2", "n3")
ALL = {node: Heard(frozenset(set(NODES) - {node}), {}) for node in NODES}
ONE_WAY = frozenset({("n1", "n2")})


def test_whole_links_that_carried_a_packet_are_as_asked() -> None:
    assert problems(NODES, frozenset(), ALL) == ()


def test_a_cut_counts_only_when_its_rule_dropped_a_packet_that_came() -> None:
    dropped = ALL | {"n2": Heard(frozenset({"n3"}), {"n1": 1})}
    assert problems(NODES, ONE_WAY, dropped) == ()
    nothing_came = ALL | {"n2": Heard(frozenset({"n3"}), {"n1": 0})}
    assert problems(NODES, ONE_WAY, nothing_came) == ("n1 to n2 should be cut, and its rule has dropped nothing",)


def test_a_cut_that_lets_packets_through_is_told() -> None:
    assert problems(NODES, ONE_WAY, ALL) == ("n1 to n2 should be cut, and a packet came",)


def test_a_cut_in_the_wrong_direction_is_told_twice() -> None:
    other_way = ALL | {"n1": Heard(frozenset({"n3"}), {"n2": 3})}
    assert len(problems(NODES, ONE_WAY, other_way)) == 3


def test_an_open_link_without_a_packet_is_told() -> None:
    silent = ALL | {"n3": Heard(frozenset({"n1"}), {})}
    assert problems(NODES, frozenset(), silent) == ("n2 to n3 should be open, and no packet came",)


def test_a_rule_left_behind_is_told_though_packets_still_came() -> None:
    left = ALL | {"n3": Heard(frozenset({"n1", "n2"}), {"n2": 0})}
    assert problems(NODES, frozenset(), left) == ("n2 to n3 should be open, and a rule drops it",)
