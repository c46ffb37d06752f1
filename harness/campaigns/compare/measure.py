"""Measurements of the comparison, in simulation on links without faults. Each is a function of its arguments.

An election begins with the leader's death. Messages are those of the algorithm: heartbeats are left out, and
acknowledgements (by which a ring skips dead nodes) are counted separately. The formulas are those of the papers, for a
leader whose death all survivors notice at once: Garcia-Molina 1982; Chang & Roberts 1979, with every survivor an
initiator on a ring in the order of names; the ring that collects names as in Tanenbaum & van Steen; Ongaro & Ousterhout
2014 for one candidate and no split vote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
import pandas as pd

from splitbrain.campaigns.compare.message_counts import ElectionCost, NoElection, failover
from splitbrain.nodes.raft import RaftOptions
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.units import MS

SIZES: Final = (3, 5, 7, 9, 15, 25, 51, 75, 101)
ACKNOWLEDGING: Final = frozenset({"ack"})
SPREADS_MS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 150)


@dataclass(frozen=True, kw_only=True, slots=True)
class Formula:
    """Number of messages of an election among n nodes after the leader's death, as text and as a function."""

    words: str
    of: Callable[[int], int]


FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType(
    {
        "bully": Formula(words="n² − n − 1", of=lambda n: n * n - n - 1),
        "ring": Formula(words="3n − 2", of=lambda n: 3 * n - 2),
        "ring-append": Formula(words="2n(n − 1)", of=lambda n: 2 * n * (n - 1)),
        "raft-basic": Formula(words="2n − 3", of=lambda n: 2 * n - 3),
        "raft": Formula(words="4n − 6", of=lambda n: 4 * n - 6),
    }
)
"""Formulas of the compared systems, in the order of the table."""

RECIPES: Final[Mapping[str, Formula]] = MappingProxyType(
    {
        "zookeeper": Formula(words="1 notification, 2 requests", of=lambda n: 3),
        "zookeeper-herd": Formula(words="n − 1 notifications, 2(n − 1) requests", of=lambda n: 3 * (n - 1)),
    }
)
"""Formulas of the recipes on ZooKeeper's servers: each node watches its predecessor, or all watch the leader ("the herd
effect", ZooKeeper's documentation, "Recipes and Solutions"). A notified node lists all znodes, and then watches one."""


def cost_of(system: System, nodes: int, seed: int) -> dict[str, object]:
    """One election as a row: ``messages`` of the algorithm, ``acks``, ``agreed_ms``, and the count of each kind."""
    return _row(system.name, nodes, seed, failover(system, nodes, seed=seed))


def _row(system: str, nodes: int, seed: int, cost: ElectionCost) -> dict[str, object]:
    acks = sum(count for kind, count in cost.sent.items() if kind in ACKNOWLEDGING)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(cost.sent.items()))
    return {
        "system": system,
        "nodes": nodes,
        "seed": seed,
        "messages": cost.messages - acks,
        "acks": acks,
        "agreed_ms": cost.agreed_ns / MS,
        "kinds": kinds,
    }


def costs(sizes: Sequence[int] = SIZES, seeds: int = 20) -> pd.DataFrame:
    """One row per election, for every system and size; large sizes with fewer seeds."""
    return pd.DataFrame(list(_costs(sizes, seeds)))


def _costs(sizes: Sequence[int], seeds: int) -> Iterator[dict[str, object]]:
    for name in FORMULAS:
        for nodes in sizes:
            for seed in range(1, (seeds if nodes <= 9 else max(3, seeds // 5)) + 1):
                yield cost_of(SYSTEMS[name], nodes, seed)


def order_of(frame: pd.DataFrame, of: Literal["median", "min"] = "median") -> float:
    """The exponent p of messages ~ n^p: the log-log slope of the median (or minimum) of each size, from 9 nodes on."""
    middle = frame[frame["nodes"] >= 9].groupby("nodes")["messages"].agg(of)
    slope, _ = np.polyfit(np.log(middle.index.to_numpy(float)), np.log(middle.to_numpy(float)), 1)
    return float(slope)


def line_of(frame: pd.DataFrame) -> tuple[float, float]:
    """The least-squares line of messages over nodes: slope and intercept."""
    slope, at_none = np.polyfit(frame["nodes"].to_numpy(float), frame["messages"].to_numpy(float), 1)
    return round(float(slope), 9) + 0.0, round(float(at_none), 9) + 0.0  # + 0.0 turns -0.0 into 0.0


def exact(frame: pd.DataFrame, formula: Formula) -> float:
    """The share of elections with exactly the number of messages in the formula."""
    return float((frame["messages"] == frame["nodes"].map(formula.of)).mean())


def split_votes(spreads_ms: Sequence[int] = SPREADS_MS, nodes: int = 5, seeds: int = 100) -> pd.DataFrame:
    """One row per election of plain Raft, with timeouts drawn from 150 ms to 150 ms plus each of ``spreads_ms``.

    ``rounds`` counts candidacies; more than one means split votes. ``elected`` is False if there was no leader within
    the time limit of a measurement (a minute).
    """
    return pd.DataFrame(list(_split_votes(spreads_ms, nodes, seeds)))


def _split_votes(spreads_ms: Sequence[int], nodes: int, seeds: int) -> Iterator[dict[str, object]]:
    basic = SYSTEMS["raft-basic"]
    for spread in spreads_ms:
        options: RaftOptions = replace(basic.options, election_timeout_max=(150 + spread) * MS)
        system = replace(basic, options=options)
        for seed in range(1, (seeds if spread else min(seeds, 5)) + 1):
            try:
                cost = failover(system, nodes, seed=seed)
            except NoElection:
                yield {"spread_ms": spread, "seed": seed, "elected": False, "rounds": np.nan, "agreed_ms": np.nan}
                continue
            yield {
                "spread_ms": spread,
                "seed": seed,
                "elected": True,
                "rounds": cost.sent["vote"] / (nodes - 1),
                "agreed_ms": cost.agreed_ns / MS,
            }
