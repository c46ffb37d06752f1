"""A node of PySyncObj, a Raft library for Python, with the HTTP interface of ``nodes.endpoint``.

Its status is read in the thread that runs PySyncObj's Raft, between two ticks, so state, term and leader are of one
instant. An acknowledgement is an increment of a replicated counter, committed and applied.

    python3 -m splitbrain.nodes.systems.pysyncobj.contender --id n1 --at n1=10.0.0.11:7000 ... --data /data
"""

from __future__ import annotations

import argparse
import importlib
import queue
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from splitbrain.nodes.endpoint import NodeServer
from splitbrain.nodes.protocol import Answer, Json

TICK_S: Final = 0.01
RETRY_S: Final = 0.1
"""Delay between connection attempts; with the default of 5 s a restarted node would stay unconnected for long."""
PATIENCE_S: Final = 2.0
LEADER: Final = 2
SUCCESS: Final = 0


class PySyncObjNode:
    """One node. ``raft`` is a SyncObj; ``write`` replicates a command and calls back in its thread."""

    def __init__(
        self, id: str, raft: Any, write: Callable[[Callable[[Any, int], None]], None], names: Mapping[str, str]
    ) -> None:
        self.id = id
        self._raft = raft
        self._write = write
        self._names = names
        self._boot = uuid.uuid4().hex[:8]
        self._pending: queue.SimpleQueue[queue.SimpleQueue[dict[str, Json]]] = queue.SimpleQueue()
        raft.addOnTickCallback(self.on_tick)

    def on_tick(self) -> None:
        """Answer all pending status requests. Called in the Raft thread."""
        while True:
            try:
                waiting = self._pending.get_nowait()
            except queue.Empty:
                return
            waiting.put(self._now())

    def status(self) -> dict[str, Json]:
        answer: queue.SimpleQueue[dict[str, Json]] = queue.SimpleQueue()
        self._pending.put(answer)
        return answer.get()

    def confirm(self, timeout: float) -> Answer:
        """Write, and require that this node led in the same term before the write and when it was applied."""
        before = self.status()
        if not before["leading"]:
            return Answer(0, None, None, "it does not lead")
        written: queue.SimpleQueue[tuple[int, dict[str, Json]]] = queue.SimpleQueue()
        self._write(lambda result, error: written.put((error, self._now())))
        try:
            error, after = written.get(timeout=min(timeout, PATIENCE_S))
        except queue.Empty:
            raise TimeoutError from None
        if error != SUCCESS or after["reign"] != before["reign"]:
            raise TimeoutError
        term = before["term"]
        assert isinstance(term, int)
        return Answer(0, term, str(before["reign"]), None)

    def _now(self) -> dict[str, Json]:
        status: Mapping[str, Any] = self._raft.getStatus()
        leading, term, leader = status["state"] == LEADER, int(status["raft_term"]), status["leader"]
        return {
            "id": self.id,
            "leading": leading,
            "leader": None if leader is None else self._names.get(leader.id),
            "term": term,
            "reign": f"{self._boot}-{term}" if leading else None,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="splitbrain.nodes.systems.pysyncobj.contender", description="Run a node of PySyncObj."
    )
    parser.add_argument("--id", required=True, help="name of this node")
    parser.add_argument(
        "--at",
        action="append",
        required=True,
        metavar="NAME=HOST:PORT",
        help="address of a node, this one included; repeatable",
    )
    parser.add_argument("--port", type=int, required=True, help="port of its HTTP interface")
    parser.add_argument("--data", type=Path, required=True, help="directory of its journal")
    given = parser.parse_args()
    at = dict(text.split("=", 1) for text in given.at)
    own = at[given.id]
    given.data.mkdir(parents=True, exist_ok=True)
    pysyncobj = importlib.import_module("pysyncobj")
    batteries = importlib.import_module("pysyncobj.batteries")
    conf = pysyncobj.SyncObjConf(
        journalFile=str(given.data / "journal"),
        autoTickPeriod=TICK_S,
        connectionRetryTime=RETRY_S,
        commandsWaitLeader=False,
        dynamicMembershipChange=False,
    )
    counter = batteries.ReplCounter()
    raft = pysyncobj.SyncObj(own, [peer for peer in at.values() if peer != own], conf, consumers=[counter])

    def write(done: Callable[[Any, int], None]) -> None:
        counter.inc(callback=done)

    node = PySyncObjNode(given.id, raft, write, {address: name for name, address in at.items()})
    # Runs in the main thread, because PySyncObj stops when that ends.
    NodeServer(("0.0.0.0", given.port), node).serve_forever()


if __name__ == "__main__":
    main()
