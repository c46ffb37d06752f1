"""Histories with a known truth behind them, written line by line as a run would have written them.

A `Truth` states which node led and which faults were injected; `lines` simulates one observer per node and one
confirming client. The seed decides everything, so that a test and a figure show the same run.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from splitbrain.names import MS

SECOND = 1_000_000_000

Event = tuple[int, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Led:
    """`node` really led on [start, end) (seconds), and heard from a majority until `works_until`."""

    node: str
    start: float
    end: float
    term: int | None
    reign: str | None = None
    works_until: float | None = None


@dataclass(frozen=True, kw_only=True)
class InjectedFault:
    """A fault that was asked for at `start`, took 20 ms to take effect, and was undone from `end` on (seconds)."""

    id: int
    f: str
    start: float
    end: float
    nodes: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    undo: str = "heal"
    shape: str | None = None
    skipped: str | None = None
    verified: bool | None = True


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What really happened in a run of `seconds`, and how often it was looked at."""

    nodes: tuple[str, ...]
    seconds: float
    reigns: tuple[Led, ...]
    faults: tuple[InjectedFault, ...] = ()
    observe_ms: float = 100
    confirm_ms: float = 100
    probe_timeout_ms: float = 250
    seed: int = 1
    busy: tuple[tuple[float, float, float], ...] = ()  # from, to, canary lateness in ms


def names(count: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(1, count + 1))


def isolation(nodes: tuple[str, ...], victim: str) -> tuple[tuple[str, str], ...]:
    """Every directed link into and out of the victim."""
    others = [node for node in nodes if node != victim]
    return tuple((a, b) for other in others for a, b in ((victim, other), (other, victim)))


def lines(truth: Truth) -> list[bytes]:
    """The history file of this truth, one JSON object a line."""
    events = [*_observations(truth), *_confirms(truth), *_faults(truth), *_canary(truth)]
    events.sort(key=lambda event: event[0])
    return [
        json.dumps({"index": index, "time": time, **entry}).encode() + b"\n"
        for index, (time, entry) in enumerate(events)
    ]


def healthy(count: int = 5, seconds: float = 12, **options: Any) -> Truth:
    """One leader throughout, without faults."""
    nodes = names(count)
    return Truth(
        nodes=nodes,
        seconds=seconds,
        reigns=(Led(node=nodes[0], start=0.4, end=seconds, term=1, reign="a-1"),),
        **options,
    )


def elections(count: int = 5, seconds: float = 60, *, seed: int = 7, overlap: float = 0, **options: Any) -> Truth:
    """Every 9.5 s the leader is cut off, killed or paused for 5.5 s; another is elected 0.3 to 1.5 s later.

    With an `overlap` (seconds) a leader that was cut off goes on leading for so long after its successor won.
    """
    rng = random.Random(seed)
    nodes = names(count)
    leader, term, since = nodes[0], 1, 0.35
    reigns: list[Led] = []
    faults: list[InjectedFault] = []
    at = 3.0
    while at + 7.5 < seconds:
        kind = ("partition", "kill", "pause", "partition")[len(faults) % 4]
        fault = _leader_fault(kind, len(faults), at, at + 5.5, nodes, leader)
        faults.append(fault)
        won = at + rng.uniform(0.3, 1.5)
        stops = {"partition": won + overlap if overlap else at + 0.15, "kill": at + 0.02, "pause": at + 5.6}[kind]
        reigns.append(Led(node=leader, start=since, end=stops, term=term, reign=f"{leader}-{term}", works_until=at))
        leader, term, since = rng.choice([n for n in nodes if n != leader]), term + rng.choice((1, 1, 2)), won
        at += 9.5
    reigns.append(Led(node=leader, start=since, end=seconds, term=term, reign=f"{leader}-{term}"))
    return Truth(nodes=nodes, seconds=seconds, reigns=tuple(reigns), faults=tuple(faults), seed=seed, **options)


def leaderless(count: int = 3, seconds: float = 10, **options: Any) -> Truth:
    """No leader at any time, without faults."""
    return Truth(nodes=names(count), seconds=seconds, reigns=(), **options)


def keyless(truth: Truth) -> Truth:
    """The same truth, of a system that has neither terms nor reign keys."""
    return replace(truth, reigns=tuple(replace(led, term=None, reign=None) for led in truth.reigns))


def _leader_fault(kind: str, id: int, start: float, end: float, nodes: tuple[str, ...], leader: str) -> InjectedFault:
    match kind:
        case "partition":
            cut = isolation(nodes, leader)
            return InjectedFault(
                id=id, f=kind, start=start, end=end, nodes=(leader,), links=cut, shape="isolated-leader"
            )
        case "kill":
            return InjectedFault(id=id, f=kind, start=start, end=end, nodes=(leader,), undo="restart")
        case _:
            return InjectedFault(id=id, f=kind, start=start, end=end, nodes=(leader,), undo="resume")


def _state(truth: Truth, node: str, at: float) -> str:
    for fault in truth.faults:
        if node in fault.nodes and fault.start + 0.01 <= at < fault.end + 0.05 and not fault.skipped:
            if fault.f == "kill":
                return "down"
            if fault.f == "pause":
                return "paused"
    return "up"


def _leading(truth: Truth, node: str, at: float) -> Led | None:
    return next((led for led in truth.reigns if led.node == node and led.start <= at < led.end), None)


def _says(truth: Truth, node: str, at: float) -> dict[str, Any]:
    leads = _leading(truth, node, at)
    known = [led for led in truth.reigns if led.start + 0.03 <= at]
    newest = max(known, key=lambda led: led.start, default=None)
    followed = newest if newest and at < newest.end + 0.2 else None
    leader = leads or followed
    return {
        "leading": leads is not None,
        "leader": leader.node if leader else None,
        "term": leader.term if leader else (newest.term if newest else 0),
        "reign": leads.reign if leads else None,
    }


def _observations(truth: Truth) -> Iterator[Event]:
    rng = random.Random(f"observe-{truth.seed}")
    for number, node in enumerate(truth.nodes):
        process, at = number, 0.005 + number * 0.0007
        while at < truth.seconds:
            took = min(rng.lognormvariate(-6.4, 0.5), 0.2)
            invoked = {"process": process, "type": "invoke", "f": "observe", "node": node, "value": None}
            yield _ns(at), invoked
            match _state(truth, node, at):
                case "paused":
                    took = truth.probe_timeout_ms / 1000
                    yield _ns(at + took), invoked | {"type": "info", "error": "timed out"}
                    process += len(truth.nodes)
                case "down":
                    yield _ns(at + took), invoked | {"type": "fail", "error": "connection refused"}
                case _:
                    value = _says(truth, node, at + took / 2)
                    yield _ns(at + took), invoked | {"type": "ok", "value": value}
            at += max(truth.observe_ms / 1000, took + 0.0001)


def _confirms(truth: Truth) -> Iterator[Event]:
    rng = random.Random(f"confirm-{truth.seed}")
    process = 10_000_000
    for led in truth.reigns:
        at = led.start + 0.05
        while at < min(led.end, truth.seconds):
            works = at < (led.end if led.works_until is None else led.works_until)
            took = min(rng.lognormvariate(-5.6, 0.6), 0.2) if works else truth.probe_timeout_ms / 1000
            invoked = {"process": process, "type": "invoke", "f": "confirm", "node": led.node, "value": None}
            yield _ns(at), invoked
            if works:
                yield _ns(at + took), invoked | {"type": "ok", "value": {"term": led.term}}
            else:
                yield _ns(at + took), invoked | {"type": "info", "error": "timed out"}
            process += 1
            at += max(truth.confirm_ms / 1000, took + 0.0001)


def _faults(truth: Truth) -> Iterator[Event]:
    for fault in truth.faults:
        value = {"id": fault.id, "nodes": list(fault.nodes), "links": [list(link) for link in fault.links]}
        if fault.shape:
            value["shape"] = fault.shape
        done = {"skipped": fault.skipped} if fault.skipped else {"verified": fault.verified}
        yield from _nemesis(fault.f, fault.start, value, done)
        if not fault.skipped:
            undone = value | {"id": 1000 + fault.id, "heals": [fault.id]}
            yield from _nemesis(fault.undo, fault.end, undone, {"verified": True})


def _nemesis(f: str, at: float, value: dict[str, Any], done: dict[str, Any]) -> Iterator[Event]:
    entry = {"process": "nemesis", "type": "info", "f": f, "node": None}
    yield _ns(at), entry | {"value": value | {"phase": "begin"}}
    yield _ns(at + 0.02), entry | {"value": value | {"phase": "done"} | done}


def _canary(truth: Truth) -> Iterator[Event]:
    rng = random.Random(f"canary-{truth.seed}")
    at = 0.0
    while at < truth.seconds:
        late = rng.expovariate(1 / 0.3)
        late += next((ms for start, end, ms in truth.busy if start <= at < end), 0)
        at += 0.05 + late / 1000
        entry = {"process": "canary", "type": "info", "f": "canary", "node": None}
        yield _ns(at), entry | {"value": {"late": int(late * MS)}}


def _ns(seconds: float) -> int:
    return round(seconds * SECOND)
