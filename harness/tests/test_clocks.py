"""Verification of clock faults: the clock that the program shows counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from splitbrain.nemesis.state import Error, State
from splitbrain.runtimes.docker.agent.messages import ClockReport, ClockState, ReadClocks, Request
from splitbrain.runtimes.docker.agents import Verification
from splitbrain.runtimes.docker.clocks import Clocks
from splitbrain.tests.fake_agents import FakeAgents

SECOND = 1_000_000_000
NOW = 1_000 * SECOND
LATE = State(errors={("n1", "wall"): Error(offset_ms=-60_000)})


class Obedient(FakeAgents):
    """A host with the requested clock error in the memory of its processes."""

    late: ClassVar[tuple[str, ...]] = ()

    def reply(self, name: str, request: Request[Any]) -> Any:
        if not isinstance(request, ReadClocks):
            return super().reply(name, request)
        off = -60 * SECOND
        return ClockReport(
            wall=ClockState(now_ns=NOW, set_ns=off, off_ns=off, ppm=0),
            monotonic=ClockState(now_ns=NOW, set_ns=0, off_ns=0, ppm=0),
            processes=1,
            problems=(),
            stopped_ns=0,
            started=0,
            late=self.late,
        )


class Unfiltered(Obedient):
    """A host with a process that takes no filter."""

    late: ClassVar[tuple[str, ...]] = ("process 7: its filter has no effect",)


def verified(host: type[Obedient], shown: Mapping[str, int]) -> Verification:
    async def shows(_: str) -> Mapping[str, int]:
        return shown

    async def struck() -> Verification:
        clocks = Clocks(host(["n1"], {}, {}, {}), shows)
        await clocks.make(LATE, {})
        return await clocks.verify(LATE, {"n1"})

    return asyncio.run(struck())


def problems(shown: Mapping[str, int]) -> tuple[str, ...]:
    return verified(Obedient, shown).problems


def test_the_history_says_how_far_a_skew_reaches() -> None:
    facts = [verified(host, {}).facts["clocks"]["n1"] for host in (Obedient, Unfiltered)]
    assert [each["new_programs"] for each in facts] == [
        "from their start, 0 so far",
        "within some 5 ms of their start: process 7: its filter has no effect",
    ]


@pytest.mark.parametrize("shown", [{}, {"wall": NOW - 60 * SECOND}])
def test_a_skew_is_verified_if_the_program_shows_the_skewed_time_or_no_time(shown: Mapping[str, int]) -> None:
    assert not problems(shown)


def test_a_program_that_shows_the_right_time_is_not_skewed() -> None:
    (words,) = problems({"wall": NOW})
    assert words.startswith("n1: its wall clock should be off by -60000.000 ms, and shows ")


def test_a_clock_shown_in_seconds_is_verified_to_one_second() -> None:
    coarse = {"within": SECOND // 2}
    assert not problems({"wall": NOW - 60 * SECOND + 499_000_000, **coarse})
    assert problems({"wall": NOW - 58 * SECOND, **coarse})
