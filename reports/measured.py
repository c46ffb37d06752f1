"""Measurements over a run: answers and terms of the nodes, rates, latencies, lateness of the controller.

The size of every frame is bounded, whatever the length of the history: time is divided into bins, and omitted rows are
counted, so that pages can say so. Times are integer ns on the clock of the history, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from splitbrain.checkers.history import History, Operations
from splitbrain.checkers.operations import Ints, Mask

Floats = npt.NDArray[np.float64]

MAX_STEPS_A_NODE = 1_500
MAX_CONFIRMS = 20_000
MAX_QUIET = 500
ANSWER_BINS = 900
SERIES_BINS = 150


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """Share of observations that a node answered, in bins of `width` ns; NaN in bins without an observation."""

    width: int
    answered: Floats  # node x bin: ok / invoked
    leading: Floats  # node x bin: claims / ok


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """For each node, the times at which its observed term changed, with the new term."""

    steps: tuple[tuple[tuple[int, int], ...], ...]
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Rates and latencies of one operation in bins: bin k covers [k * width, (k + 1) * width)."""

    f: str
    width: int
    ok_per_s: Floats
    failed_per_s: Floats
    p50_ms: Floats
    p99_ms: Floats

    @property
    def centres_s(self) -> Floats:
        return (np.arange(len(self.ok_per_s), dtype=np.float64) + 0.5) * (self.width / 1e9)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lateness:
    """Lateness of the controller: maximum and median of each bin in ms, NaN in bins without a sample."""

    width: int
    worst_ms: Floats
    median_ms: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfirmationTimes:
    """Times of successful confirmations by node, and the long gaps between them.

    `times` is None when there are too many to draw individually.
    """

    total: int
    times: tuple[Ints, ...] | None
    quiet: tuple[tuple[int, int], ...]
    quiet_longer_than: int
    quiet_left_out: int


def answers(history: History, bins: int = ANSWER_BINS) -> Answers:
    """Shares of answered observations by node and time of invocation; bins hold about two observations at least."""
    seen, nodes = history.observations, len(history.nodes)
    bins = max(1, min(bins, len(seen) // (2 * max(nodes, 1))))
    width = -(-(history.end + 1) // bins)
    known = seen.node >= 0
    cell = seen.node[known].astype(np.int64) * bins + seen.invoke[known] // width
    ok = seen.ok[known]

    def count(chosen: Mask) -> Floats:
        return np.bincount(cell[chosen], minlength=nodes * bins).reshape(nodes, bins).astype(np.float64)

    invoked, answered = count(np.ones(len(ok), dtype=np.bool_)), count(ok)
    leading = count(ok & seen.leading[known])
    return Answers(width=width, answered=_share(answered, invoked), leading=_share(leading, answered))


def _share(part: Floats, total: Floats) -> Floats:
    return np.divide(part, total, out=np.full_like(total, np.nan), where=total > 0)


def terms(history: History, limit: int = MAX_STEPS_A_NODE) -> Terms:
    """The observed term of each node as steps, the first `limit` of each node."""
    seen = history.observations
    steps: list[tuple[tuple[int, int], ...]] = []
    left_out = 0
    for node in range(len(history.nodes)):
        chosen = np.flatnonzero((seen.node == node) & seen.ok & (seen.term >= 0))
        chosen = chosen[np.argsort(seen.complete[chosen], kind="stable")]
        changes = chosen[np.flatnonzero(np.diff(seen.term[chosen], prepend=-1))]
        left_out += max(0, len(changes) - limit)
        kept = changes[:limit]
        steps.append(tuple(zip(seen.complete[kept].tolist(), seen.term[kept].tolist(), strict=True)))
    return Terms(steps=tuple(steps), left_out=left_out)


def grid(end: int, bins: int = SERIES_BINS) -> int:
    """A round bin width (ns) with at most `bins` bins in [0, end]: 0.5 s for a minute, 10 ms for a second."""
    for power in range(6, 14):
        for mantissa in (1, 2, 5):
            if mantissa * 10**power * bins >= end:
                return int(mantissa * 10**power)
    return max(1, -(-end // bins))


def series(history: History, f: str) -> Series:
    """Rates of one operation by time of completion, and its latencies by time of invocation.

    In a bin with fewer than a hundred answers, the 99th percentile is the maximum.
    """
    done = history.operations(f)
    width = grid(history.end)
    bins = max(1, -(-(history.end + 1) // width))
    ok, completed = done.ok, done.complete >= 0
    lasting = np.full(bins, float(width))
    lasting[-1] = history.end + 1 - (bins - 1) * width
    # The last bin is shorter than the others; if it is much shorter, its rate would be mostly noise.
    lasting[-1] = lasting[-1] if lasting[-1] >= width / 4 else np.nan
    p50, p99 = _quantiles(done, ok, width, bins)
    return Series(
        f=f,
        width=width,
        ok_per_s=np.bincount(done.complete[ok] // width, minlength=bins) / lasting * 1e9,
        failed_per_s=np.bincount(done.complete[completed & ~ok] // width, minlength=bins) / lasting * 1e9,
        p50_ms=p50,
        p99_ms=p99,
    )


def _quantiles(done: Operations, ok: Mask, width: int, bins: int) -> tuple[Floats, Floats]:
    """The 50th and 99th percentile latency (ms) of each bin, as order statistics without interpolation."""
    bin_of, took = done.invoke[ok] // width, (done.complete[ok] - done.invoke[ok]) / 1e6
    return _order_statistic(bin_of, took, bins, 0.5), _order_statistic(bin_of, took, bins, 0.99)


def _order_statistic(bin_of: Ints, values: Floats, bins: int, share: float) -> Floats:
    order = np.lexsort((values, bin_of))
    counts = np.bincount(bin_of, minlength=bins)
    found = np.full(bins, np.nan)
    filled = np.flatnonzero(counts)
    firsts = (np.cumsum(counts) - counts)[filled]
    ranks = np.ceil(share * counts[filled]).astype(np.int64) - 1
    found[filled] = values[order[firsts + np.maximum(ranks, 0)]]
    return found


def lateness(history: History) -> Lateness:
    """The lateness of the canary in the bins of the rates."""
    width = grid(history.end)
    bins = max(1, -(-(history.end + 1) // width))
    bin_of, late = history.canary.time // width, history.canary.late / 1e6
    return Lateness(
        width=width,
        worst_ms=_order_statistic(bin_of, late, bins, 1.0),
        median_ms=_order_statistic(bin_of, late, bins, 0.5),
    )


def confirms(history: History) -> ConfirmationTimes:
    """The confirmations of leadership, and the gaps between them.

    A gap is reported when it is longer than 100 ms and than four times the median interval between confirmations. The
    time before the first confirmation and after the last one counts as a gap too.
    """
    done = history.operations("confirm")
    ok = np.flatnonzero(done.ok)
    order = ok[np.argsort(done.complete[ok], kind="stable")]
    at = done.complete[order]
    longer_than = int(max(100e6, 4 * float(np.median(np.diff(at))))) if len(at) > 1 else 100_000_000
    edges = np.concatenate(([0], at, [history.end]))
    gaps = np.flatnonzero(np.diff(edges) > longer_than) if len(at) else np.array([], dtype=np.int64)
    kept = gaps[np.argsort(-np.diff(edges)[gaps], kind="stable")][:MAX_QUIET]
    quiet = sorted((int(edges[gap]), int(edges[gap + 1])) for gap in kept)
    drawable = len(at) <= MAX_CONFIRMS
    return ConfirmationTimes(
        total=len(at),
        times=tuple(at[done.node[order] == node] for node in range(len(history.nodes))) if drawable else None,
        quiet=tuple(quiet),
        quiet_longer_than=longer_than,
        quiet_left_out=len(gaps) - len(kept),
    )
