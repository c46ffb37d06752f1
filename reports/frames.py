"""What a picture of a run is drawn from: plain frames of numbers, computed from the history and its verdicts.

Two promises. Nothing here judges: what is called proven or a stall comes from the verdicts, and the rest is
description. And every frame is bounded in size whatever the length of the history; what a bound left out is
counted in the frame, so that the reader can be told.

A claim observed in [invoke, complete] holds at some instant of that window. So a reign surely covers
[earliest completion, latest invocation] of its claims and may reach as far as the neighbouring observations that
contradict it (zones of Gibbons and Korach, "Testing shared memories", 1997).

Times are integer nanoseconds on the history's clock unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from checkers.history import Fault, History, Observations, Operations

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_REIGNS = 3_000
MAX_STEPS_A_NODE = 1_500
MAX_CONFIRMS = 20_000
MAX_QUIET = 500
ANSWER_BINS = 900
SERIES_BINS = 150

_OK = 0
_NOBODY = -1
_JOINED = -2  # the key of claims that carry neither term nor reign: neighbours are drawn as one stretch


@dataclass(frozen=True, kw_only=True, slots=True)
class Reign:
    """A stretch of leadership claims of one node under one key.

    Surely leading on [first, last] when first <= last; possibly on [earliest, latest]. `key` is None when the
    system names no leadership; then nothing is sure and [first, last] only spans the claims. `line` is the history
    line of the first claim.
    """

    node: int
    term: int | None
    key: str | None
    earliest: int
    first: int
    last: int
    latest: int
    claims: int
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reigns:
    rows: tuple[Reign, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A fault from its first line to the line that ended it.

    Possibly active on [begin, end], surely on [effect, undo] where both are known. A fault that was never undone
    lasts to the end of the history (`undone` is False).
    """

    fault: Fault
    begin: int
    effect: int | None
    undo: int | None
    end: int
    undone: bool
    kind: str  # down, paused, cut or other: how it is drawn

    @property
    def shape(self) -> str:
        """What the fault was called when it was asked for: its shape, else its name."""
        return str(self.fault.asked.get("shape") or self.fault.f)


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """A node is hurt by a window's fault on [start, end]."""

    node: int
    start: int
    end: int
    kind: str
    window: int


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A finding of a verdict, placed on the time axis."""

    start: int
    end: int
    nodes: tuple[str, ...]
    words: str
    evidence: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one fault did to leadership, as the stall checker measured it; seconds, None where it could not tell."""

    gap_s: float | None
    recovery_s: float | None
    agreement_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """Recovery times of the faults of one shape, in the order of the faults; None where none was seen."""

    shape: str
    seconds: tuple[float | None, ...]
    faults: tuple[str, ...]

    @property
    def seen(self) -> tuple[float, ...]:
        return tuple(value for value in self.seconds if value is not None)


def reigns(history: History, limit: int = MAX_REIGNS) -> Reigns:
    """The reigns of all nodes by start; of more than `limit` the longest are kept."""
    found = [reign for node in range(len(history.nodes)) for reign in _reigns_of(history, node)]
    longest = sorted(found, key=lambda reign: reign.latest - reign.earliest, reverse=True)[:limit]
    rows = tuple(sorted(longest, key=lambda reign: (reign.earliest, reign.node)))
    return Reigns(rows=_without_the_dead(rows, windows(history), history.nodes), left_out=len(found) - len(rows))


def _reigns_of(history: History, node: int) -> Iterator[Reign]:
    seen = history.observations
    chosen = np.flatnonzero((seen.node == node) & (seen.outcome == _OK))
    chosen = chosen[np.argsort(seen.complete[chosen], kind="stable")]
    if not len(chosen):
        return
    keys = _keys(seen, chosen)
    starts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    ends = np.append(starts[1:], len(keys))
    invoke, complete = seen.invoke[chosen], seen.complete[chosen]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if keys[start] == _NOBODY:
            continue
        row = int(chosen[start])
        first, last = int(complete[start:end].min()), int(invoke[start:end].max())
        if keys[start] == _JOINED:
            first, last = int(invoke[start:end].min()), int(complete[start:end].max())
        earliest = int(invoke[start - 1]) if start else 0
        latest = int(complete[end]) if end < len(keys) else history.end
        yield Reign(
            node=node,
            term=None if seen.term[row] < 0 else int(seen.term[row]),
            key=_key_name(history, row),
            earliest=min(earliest, first, last),
            first=first,
            last=last,
            latest=max(latest, first, last),
            claims=end - start,
            line=int(seen.complete_index[row]),
        )


def _keys(seen: Observations, chosen: Ints) -> Ints:
    """One number a leadership: even for reign keys, odd for terms, `_NOBODY` where nothing was claimed."""
    reign, term = seen.reign[chosen].astype(np.int64), seen.term[chosen].astype(np.int64)
    named = np.where(reign >= 0, reign * 2, np.where(term >= 0, term * 2 + 1, _JOINED))
    return np.where(seen.leading[chosen], named, _NOBODY)


def _key_name(history: History, row: int) -> str | None:
    seen = history.observations
    if seen.reign[row] >= 0:
        return str(seen.reign_names[int(seen.reign[row])])
    return None if seen.term[row] < 0 else str(int(seen.term[row]))


def _without_the_dead(rows: Sequence[Reign], hurt: Sequence[Window], nodes: Sequence[str]) -> tuple[Reign, ...]:
    """No process leads after it was killed: the possible part ends there, though nobody was left to deny it."""
    deaths = [
        (nodes.index(name), window.effect)
        for window in hurt
        if window.kind == "down" and window.effect is not None
        for name in window.fault.nodes
    ]
    clipped = []
    for reign in rows:
        known = max(reign.first, reign.last)
        ends = [at for node, at in deaths if node == reign.node and known <= at < reign.latest]
        clipped.append(replace(reign, latest=min(ends)) if ends else reign)
    return tuple(clipped)


_KINDS = {"kill": "down", "crash": "down", "pause": "paused", "partition": "cut"}
_UNDOES = {"restart": ("down",), "resume": ("paused",), "heal": ("cut", "other")}


def windows(history: History) -> tuple[Window, ...]:
    """Every fault of the history with the stretch in which it was active, in order of begin.

    `restart` ends what killed its nodes, `resume` what paused them; `heal` ends the faults it names, else every
    fault that is neither. A fault on several nodes ends with the last of them.
    """
    left: dict[int, set[str]] = {}  # of the faults still active, the nodes that are still hurt
    ended: dict[int, Fault] = {}
    begun: list[int] = []
    for number, fault in enumerate(history.faults):
        if not _is_undo(fault):
            begun.append(number)
            if not fault.skipped:
                left[number] = set(fault.nodes)
            continue
        for which in [which for which in left if _undoes(fault, history.faults[which])]:
            left[which] -= set(fault.nodes) if _node_by_node(fault) else left[which]
            if not left[which]:
                ended[which] = fault
                del left[which]
    return tuple(_window(history, history.faults[number], ended.get(number)) for number in begun)


def _is_undo(fault: Fault) -> bool:
    return fault.f in _UNDOES or "heals" in fault.asked


def _undoes(undo: Fault, hurt: Fault) -> bool:
    named = undo.asked.get("heals")
    if isinstance(named, list):
        return hurt.id in named
    return _KINDS.get(hurt.f, "other") in _UNDOES.get(undo.f, ())


def _node_by_node(undo: Fault) -> bool:
    return bool(undo.nodes) and undo.f != "heal" and "heals" not in undo.asked


def _window(history: History, fault: Fault, undo: Fault | None) -> Window:
    if fault.skipped:
        end = fault.begin if fault.done is None else fault.done
    else:
        end = history.end if undo is None or undo.done is None else undo.done
    return Window(
        fault=fault,
        begin=fault.begin,
        effect=fault.done,
        undo=None if undo is None else undo.begin,
        end=end,
        undone=undo is not None,
        kind=_KINDS.get(fault.f, "other"),
    )


def states(hurt: Sequence[Window], nodes: Sequence[str]) -> tuple[State, ...]:
    """Which node was hurt when: the nodes a fault names, and for cut links both their ends."""
    rows = []
    for number, window in enumerate(hurt):
        if window.fault.skipped:
            continue
        named = {*window.fault.nodes, *(node for link in window.fault.links for node in link)}
        # A cut that names its targets is about them; the peers on the other side are not "cut off".
        touched = set(window.fault.nodes) or named
        for name in sorted(touched & set(nodes)):
            rows.append(
                State(
                    node=nodes.index(name),
                    start=window.begin,
                    end=window.end,
                    kind=window.kind,
                    window=number,
                )
            )
    return tuple(sorted(rows, key=lambda state: (state.node, state.start)))


def answers(history: History, bins: int = ANSWER_BINS) -> Answers:
    """Shares of answers by node and bin, by the time of the invocation."""
    seen, width = history.observations, max(1, -(-(history.end + 1) // bins))
    shape = (len(history.nodes), bins)
    known = seen.node >= 0
    cell = seen.node[known].astype(np.int64) * bins + seen.invoke[known] // width
    ok = seen.outcome[known] == _OK

    def count(weights: npt.NDArray[np.bool_]) -> Floats:
        return np.bincount(cell[weights], minlength=shape[0] * bins).reshape(shape).astype(np.float64)

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
        chosen = np.flatnonzero((seen.node == node) & (seen.outcome == _OK) & (seen.term >= 0))
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
    ok, completed = done.outcome == _OK, done.complete >= 0
    per_second = np.float64(1e9 / width)
    p50, p99 = _quantiles(done, ok, width, bins)
    return Series(
        f=f,
        width=width,
        ok_per_s=np.bincount(done.complete[ok] // width, minlength=bins) * per_second,
        failed_per_s=np.bincount(done.complete[completed & ~ok] // width, minlength=bins) * per_second,
        p50_ms=p50,
        p99_ms=p99,
    )


def _quantiles(done: Operations, ok: npt.NDArray[np.bool_], width: int, bins: int) -> tuple[Floats, Floats]:
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
    ok = np.flatnonzero(done.outcome == _OK)
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


def marks(verdicts: Mapping[str, Any], name: str) -> tuple[Mark, ...]:
    """The findings of one property by start; those that carry no stretch of time are left out."""
    findings = _mapping(_mapping(verdicts.get("properties")).get(name)).get("findings")
    placed = [
        Mark(
            start=int(finding["start"]),
            end=int(finding["end"]),
            nodes=tuple(str(node) for node in finding.get("nodes") or ()),
            words=str(finding.get("words", "")),
            evidence=tuple(finding.get("evidence") or ()),
        )
        for finding in (findings if isinstance(findings, list) else [])
        if isinstance(finding.get("start"), int) and isinstance(finding.get("end"), int)
    ]
    return tuple(sorted(placed, key=lambda mark: (mark.start, mark.end)))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def effects(verdicts: Mapping[str, Any]) -> dict[str, Effect]:
    """What each fault (by its id, as text) did, from the measurements of the stall checker."""
    facts = _mapping(_mapping(_mapping(verdicts.get("properties")).get("stall")).get("facts"))
    rows = facts.get("faults")
    return {
        str(row.get("id")): Effect(
            gap_s=_in_seconds(row.get("gap_ns")),
            recovery_s=_in_seconds(row.get("recovery_ns")),
            agreement_s=_in_seconds(row.get("agreement_ns")),
        )
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping)
    }


def _in_seconds(value: object) -> float | None:
    return value / 1e9 if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def recovery(hurt: Sequence[Window], measured: Mapping[str, Effect]) -> tuple[Recovery, ...]:
    """Recovery times by shape, of the faults that took effect and were measured."""
    by_shape: dict[str, list[tuple[float | None, str]]] = {}
    for window in hurt:
        effect = measured.get(str(window.fault.id))
        if effect is not None and window.fault.in_effect:
            by_shape.setdefault(window.shape, []).append((effect.recovery_s, str(window.fault.id)))
    return tuple(
        Recovery(shape=shape, seconds=tuple(s for s, _ in rows), faults=tuple(fault for _, fault in rows))
        for shape, rows in sorted(by_shape.items())
    )


def bound(experiment: Mapping[str, Any]) -> float | None:
    """The recovery that the system promises, in seconds."""
    stall = _mapping(experiment.get("bounds")).get("stall_ms")
    return stall / 1000 if isinstance(stall, (int, float)) and not isinstance(stall, bool) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """All frames of one run."""

    nodes: tuple[str, ...]
    end: int
    reigns: Reigns
    hurt: tuple[Window, ...]
    states: tuple[State, ...]
    overlaps: tuple[Mark, ...]
    stalls: tuple[Mark, ...]
    terms: Terms
    series: tuple[Series, ...]
    lateness: Lateness
    confirms: Confirms
    answers: Answers
    effects: Mapping[str, Effect]
    recovery: tuple[Recovery, ...]
    bound_s: float | None


def gather(history: History, verdicts: Mapping[str, Any], experiment: Mapping[str, Any]) -> Frames:
    """Every frame of a run."""
    hurt, measured = windows(history), effects(verdicts)
    return Frames(
        nodes=history.nodes,
        end=history.end,
        reigns=reigns(history),
        hurt=hurt,
        states=states(hurt, history.nodes),
        overlaps=marks(verdicts, "exclusivity"),
        stalls=marks(verdicts, "stall"),
        terms=terms(history),
        series=tuple(series(history, f) for f in ("observe", "confirm") if len(history.operations(f))),
        lateness=lateness(history),
        confirms=confirms(history),
        answers=answers(history),
        effects=measured,
        recovery=recovery(hurt, measured),
        bound_s=bound(experiment),
    )
