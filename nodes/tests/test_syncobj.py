"""A node of PySyncObj, on a Raft of a few lines that turns when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from splitbrain.nodes.systems.pysyncobj.contender import LEADER, PySyncObjNode


class Peer:
    def __init__(self, id: str) -> None:
        self.id = id


class Raft:
    """Turns in a thread of its own for as long as it is in use."""

    def __init__(self, state: int, term: int) -> None:
        self.state, self.term = state, term
        self._turn: Callable[[], None] = lambda: None

    def addOnTickCallback(self, callback: Callable[[], None]) -> None:  # noqa: N802
        self._turn = callback

    def getStatus(self) -> dict[str, Any]:  # noqa: N802
        return {"state": self.state, "raft_term": self.term, "leader": Peer("10.0.0.12:7000")}

    def turning(self, over: threading.Event) -> None:
        while not over.wait(0.001):
            self._turn()


def asked(raft: Raft, question: Callable[[PySyncObjNode], Any], deposes: bool = False, error: int = 0) -> Any:
    def write(done: Callable[[Any, int], None]) -> None:
        raft.term += deposes
        done(None, error)

    node = PySyncObjNode("n2", raft, write, {"10.0.0.12:7000": "n2"})
    over = threading.Event()
    thread = threading.Thread(target=raft.turning, args=(over,))
    thread.start()
    try:
        return question(node)
    finally:
        over.set()
        thread.join()


def test_a_leader_confirms_a_write_only_if_it_led_in_one_term_all_the_while() -> None:
    status = asked(Raft(LEADER, 4), PySyncObjNode.status)
    assert (status["leading"], status["leader"], status["term"]) == (True, "n2", 4)
    assert status["reign"].endswith("-4")
    assert asked(Raft(LEADER, 4), lambda node: node.confirm(1.0)).term == 4
    assert asked(Raft(0, 4), lambda node: node.confirm(1.0)).error == "it does not lead"
    assert asked(Raft(0, 4), PySyncObjNode.status)["reign"] is None
    with pytest.raises(TimeoutError):
        asked(Raft(LEADER, 4), lambda node: node.confirm(1.0), deposes=True)
    with pytest.raises(TimeoutError):
        asked(Raft(LEADER, 4), lambda node: node.confirm(1.0), error=3)
