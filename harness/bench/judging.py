"""Time reading and judging: ``python -m splitbrain.bench.judging [--observations N] [--nodes 5] [--kind plausible]``.

Prints the time for reading a generated history and judging it with all checkers, and the peak resident memory. Kinds:
*plausible* has a new reign every ten seconds, with a fault in each, and confirmations. In *adversarial* every node
always claims to lead, and every claim is a new reign. *Overlapping* has two claims per reign instead. In *keyless* the
claims have neither reign nor term.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History
from splitbrain.checkers.judge import PROPERTIES, judge
from splitbrain.names import MS

PERIOD = 20 * MS
REIGN = 10_000 * MS
CUT = 1_000 * MS  # how long a leader is cut off before the end of its reign, and after it
KINDS = ("plausible", "adversarial", "overlapping", "keyless")


def lines(observations: int, nodes: int, kind: str) -> Iterator[bytes]:
    """Generate a history with about this number of observations, as JSON lines in order of time."""
    encode = msgspec.json.Encoder().encode
    for index, line in enumerate(_lines(observations, nodes, kind)):
        yield encode({"index": index, **line}) + b"\n"


def _lines(observations: int, nodes: int, kind: str) -> Iterator[dict[str, Any]]:
    rng = Random(1)
    names = [f"n{at}" for at in range(1, nodes + 1)]
    for turn in range(observations // nodes):
        start = turn * PERIOD
        reign, passed = divmod(start, REIGN)
        yield from _fault(start, passed, reign, names)
        if turn % 5 == 0 and passed < REIGN - CUT:
            yield from _confirm(start, nodes, names[reign % nodes])
        asked = [start + rng.randrange(2 * MS) for _ in names]
        answered = [at + 1 + rng.randrange(5 * MS) for at in asked]
        for at, process, done in sorted(
            [(at, process, False) for process, at in enumerate(asked)]
            + [(at, process, True) for process, at in enumerate(answered)]
        ):
            line: dict[str, Any] = {"time": at, "process": process, "f": "observe", "node": names[process]}
            if done:
                yield {**line, "type": "ok", "value": _claim(names, process, start, turn, kind)}
            else:
                yield {**line, "type": "invoke", "value": None}


def _claim(names: list[str], process: int, start: int, turn: int, kind: str) -> dict[str, Any]:
    reign, passed = divmod(start, REIGN)
    leader = reign % len(names)
    match kind:
        case "adversarial":
            return _claim_to_lead(names[process], turn)
        case "overlapping":
            return _claim_to_lead(names[process], turn // 2)
        case "keyless":
            return {"leading": True, "leader": names[process], "term": None, "reign": None}
        case _ if reign and passed < CUT and process == (reign - 1) % len(names):
            return {"leading": False, "leader": None, "term": reign, "reign": None}  # cut off, it hears of no other
        case _:
            key = f"boot-{reign}" if process == leader else None
            leading = process == leader
            return {"leading": leading, "leader": names[leader], "term": reign + 1, "reign": key}


def _claim_to_lead(name: str, turn: int) -> dict[str, Any]:
    return {"leading": True, "leader": name, "term": turn, "reign": f"{name}-{turn}"}


def _fault(start: int, passed: int, reign: int, names: list[str]) -> Iterator[dict[str, Any]]:
    """An isolation of the leader from the last second of its reign to the first of the next one."""
    line: dict[str, Any] = {"time": start, "process": "nemesis", "type": "info", "node": None}
    leader = names[reign % len(names)]
    if passed == REIGN - CUT:
        links = [[leader, name] for name in names if name != leader]
        links += [[receiver, sender] for sender, receiver in links]
        value = {"id": reign, "nodes": [leader], "links": links}
        yield {**line, "f": "partition", "value": {**value, "phase": "begin"}}
        yield {**line, "f": "partition", "value": {**value, "phase": "done", "verified": True}}
    if passed == CUT and reign:
        yield {**line, "f": "heal", "value": {"id": -reign, "phase": "begin", "heals": [reign - 1]}}
        yield {**line, "f": "heal", "value": {"id": -reign, "phase": "done", "verified": True}}


def _confirm(start: int, nodes: int, leader: str) -> Iterator[dict[str, Any]]:
    line = {"time": start, "process": nodes, "f": "confirm", "node": leader}
    yield {**line, "type": "invoke", "value": None}
    yield {**line, "type": "ok", "value": None}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m splitbrain.bench.judging", description=__doc__)
    parser.add_argument("--observations", type=int, default=1_000_000)
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        with path.open("wb") as file:
            file.writelines(lines(asked.observations, asked.nodes, asked.kind))
        read = Stopwatch()
        history = History.read(path)
        read.stop()
        size = path.stat().st_size
    print(f"{asked.kind}, {asked.nodes} nodes: {history.lines:,} lines, {len(history.observations):,} observations")
    print(f"{'':20}   wall s    cpu s")
    print(f"{'read':20} {read}  ({size / 1e6:.0f} MB)")
    judging = Stopwatch()
    judged = judge(history)
    judging.stop()
    print(f"{'judge':20} {judging}  ({judged.outcome.word})")
    for tested in PROPERTIES:  # one by one, without the time for the reigns, which all share and which are known by now
        if tested.why_not(history, Bounds()) is not None:
            continue
        one = Stopwatch()
        found = tested.check(history, Bounds())
        one.stop()
        print(f"  {tested.name:18} {one}  {found.outcome.word}: {found.words[:100]}")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB resident")


class Stopwatch:
    """Measures wall and CPU time; on a busy machine only CPU time is meaningful."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.wall, self.cpu = time.perf_counter() - self._started[0], time.process_time() - self._started[1]

    def __str__(self) -> str:
        return f"{self.wall:8.3f} {self.cpu:8.3f}"


if __name__ == "__main__":
    main()
