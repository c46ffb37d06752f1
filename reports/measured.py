"""What was measured over the run: how nodes answered, the terms they told, rates, latencies, lateness.

Every frame is bounded in size whatever the length of the history: time is cut into bins, and what a bound leaves
out is counted, so that the reader can be told. Times are integer ns on the history's clock unless a name says
otherwise.
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
    """How much of what a node was asked it answered, a bin a `width` ns; shares are NaN where nothing was asked."""

    width: int
    answered: Floats  # node x bin: ok / asked
    leading: Floats  # node x bin: claims / ok


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """For each node the (time, term) at which its observed term changed."""

    steps: tuple[tuple[tuple[int, int], ...], ...]
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One operation's rates and latencies on a fine grid: bin k covers [k * width, (k + 1) * width)."""

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
    """The controller's own lateness: the worst and the median of each bin, ms (NaN where no sample fell)."""

    width: int
    worst_ms: Floats
    median_ms: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirms:
    """Times of successful confirmations by node, and the gaps between them that stand out.

    `times` is None when there were too many to draw one by one.
    """

    total: int
    times: tuple[Ints, ...] | None
    quiet: tuple[tuple[int, int], ...]
    quiet_longer_than: int
    quiet_left_out: int


def answers(history: History, bins: int = ANSWER_BINS) -> Answers:
    """Shares of answers by node and bin, by the time of the invocation; some two questions a bin at least."""
    seen, nodes = history.observations, len(history.nodes)
    bins = max(1, min(bins, len(seen) // (2 * max(nodes, 1))))
    width = -(-(history.end + 1) // bins)
    known = seen.node >= 0
    cell = seen.node[known].astype(np.int64) * bins + seen.invoke[known] // width
    ok = seen.ok[known]

    def count(chosen: Mask) -> Floats:
        return np.bincount(cell[chosen], minlength=nodes * bins).reshape(nodes, bins).astype(np.float64)

    asked, answered = count(np.ones(len(ok), dtype=np.bool_)), count(ok)
    leading = count(ok & seen.leading[known])
    return Answers(width=width, answered=_share(answered, asked), leading=_share(leading, answered))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def terms(history: History, limit: int = MAX_STEPS_A_NODE) -> Terms:
    """The term each node told, as steps; of more than `limit` steps of a node the first are kept."""
    seen = history.observations
    steps: list[tuple[tuple[int, int], ...]] = []
    left_out = 0
    for node in range(len(history.nodes)):
        chosen = np.flatnonzero((seen.node == node) & seen.ok & (seen.term >= 0))
        chosen = chosen[np.argsort(seen.complete[chosen], kind="stable")]
        told = seen.term[chosen]
        changes = chosen[np.flatnonzero(np.diff(told, prepend=-1))]
        left_out += max(0, len(changes) - limit)
        kept = changes[:limit]
        steps.append(tuple(zip(seen.complete[kept].tolist(), seen.term[kept].tolist(), strict=True)))
    return Terms(steps=tuple(steps), left_out=left_out)


def grid(end: int, bins: int = SERIES_BINS) -> int:
    """A round bin width (ns) that cuts [0, end] into at most `bins` bins: 0.5 s for a minute, 10 ms for a second."""
    for power in range(6, 14):
        for mantissa in (1, 2, 5):
            if mantissa * 10**power * bins >= end:
                return int(mantissa * 10**power)
    return max(1, -(-end // bins))


def series(history: History, f: str) -> Series:
    """Rates and latencies of one operation. Completions count where they fall, latencies where they were asked.

    With fewer than a hundred answers in a bin its 99th percentile is its slowest answer.
    """
    done = history.operations(f)
    width = grid(history.end)
    bins = max(1, -(-(history.end + 1) // width))
    ok, completed = done.ok, done.complete >= 0
    lasting = np.full(bins, float(width))
    lasting[-1] = history.end + 1 - (bins - 1) * width
    # The last bin is shorter; of one that is much shorter nothing can be said.
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
    """The 50th and 99th percentile latency (ms) of each bin: the order statistics, nothing interpolated."""
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
    """The canary's lateness on the same grid as the rates."""
    width = grid(history.end)
    bins = max(1, -(-(history.end + 1) // width))
    bin_of, late = history.canary.time // width, history.canary.late / 1e6
    return Lateness(
        width=width,
        worst_ms=_order_statistic(bin_of, late, bins, 1.0),
        median_ms=_order_statistic(bin_of, late, bins, 0.5),
    )


def confirms(history: History) -> Confirms:
    """When leadership was confirmed, and where it was not for longer than usual.

    A gap stands out when it is longer than 100 ms and than four times the middle distance of confirmations. The
    time before the first and after the last confirmation counts as well.
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
    return Confirms(
        total=len(at),
        times=tuple(at[done.node[order] == node] for node in range(len(history.nodes))) if drawable else None,
        quiet=tuple(quiet),
        quiet_longer_than=longer_than,
        quiet_left_out=len(gaps) - len(kept),
    )
