"""Whether an end or a start that the engine reports was of the harness's doing."""

from __future__ import annotations

import time

from splitbrain.runtimes.docker.intents import Intents


def test_what_happens_between_the_beginning_and_the_end_of_an_intent_is_of_its_doing() -> None:
    intents = Intents()
    before = time.time_ns()
    intents.begin("n1", "die")
    during = time.time_ns()
    intents.end("n1", "die")
    intents.begin("n1", "start", "restart policy")
    assert intents.by("n1", "die", before - 1) is None
    assert intents.by("n1", "die", during) == "nemesis"
    assert intents.by("n1", "die", time.time_ns() + 1) is None
    assert intents.by("n2", "die", during) is None
    assert intents.by("n1", "start", time.time_ns()) == "restart policy"


def test_a_report_that_comes_late_is_told_by_its_time() -> None:
    """The node was killed, started again, and ended by itself; only then do the reports arrive."""
    intents = Intents()
    intents.begin("n1", "die")
    killed = time.time_ns()
    intents.end("n1", "die")
    assert not intents.under_way("n1", "die")
    time_of_own_end = time.time_ns() + 1_000
    intents.begin("n1", "die")
    assert intents.by("n1", "die", killed) == "nemesis"
    assert intents.under_way("n1", "die")
    assert time_of_own_end > killed
