"""The order of virtual time, the alarm's contract, and tasks that end together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitbrain.runtimes.base import Alarm as AlarmLike
from splitbrain.runtimes.docker.cluster import AsyncioAlarm
from splitbrain.runtimes.sim.kernel import Kernel, SimAlarm, Stuck, suspend
from splitbrain.units import MS


@given(st.lists(st.integers(0, 5), max_size=30))
def test_events_happen_by_instant_and_then_in_the_order_asked_for(instants: list[int]) -> None:
    kernel = Kernel()
    happened: list[tuple[int, int]] = []
    for number, instant in enumerate(instants):
        kernel.at(instant, lambda at, n: happened.append((at, n)), instant, number)
    kernel.run_until(5)
    assert happened == sorted((instant, number) for number, instant in enumerate(instants))


def test_run_until_stops_at_its_instant() -> None:
    kernel = Kernel()
    happened: list[int] = []
    kernel.at(10, lambda a, _: happened.append(a), 1)
    kernel.at(11, lambda a, _: happened.append(a), 2)
    kernel.run_until(10)
    assert (happened, kernel.now) == ([1], 10)


def test_a_task_sleeps_in_virtual_time_and_its_value_is_returned() -> None:
    kernel = Kernel()

    async def work() -> int:
        await kernel.sleep(3_600_000 * MS)
        return kernel.now

    assert kernel.run(work()) == 3_600_000 * MS


def test_an_error_in_a_task_is_raised_by_run() -> None:
    kernel = Kernel()

    async def work() -> None:
        await kernel.sleep(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        kernel.run(work())


def test_waiting_for_an_event_that_cannot_come_is_an_error() -> None:
    kernel = Kernel()

    async def forever() -> None:
        await suspend()

    with pytest.raises(Stuck, match="no event is left"):
        kernel.run(forever())


# run_all


def test_run_all_returns_when_the_last_job_has_ended() -> None:
    kernel = Kernel()
    ends: list[int] = []

    async def job(ns: int) -> None:
        await kernel.sleep(ns)
        ends.append(kernel.now)

    async def work() -> int:
        await kernel.run_all([job(30), job(10), job(20)])
        return kernel.now

    assert kernel.run(work()) == 30
    assert ends == [10, 20, 30]


def test_an_error_in_one_job_ends_the_others_and_is_raised() -> None:
    kernel = Kernel()
    ended: list[str] = []

    async def job() -> None:
        try:
            await kernel.sleep(100)
        finally:
            ended.append(f"at {kernel.now}")

    async def broken() -> None:
        await kernel.sleep(5)
        raise ValueError("broken")

    async def work() -> None:
        await kernel.run_all([job(), broken(), job()])

    with pytest.raises(ValueError, match="broken"):
        kernel.run(work())
    assert ended == ["at 5", "at 5"]


def test_an_interrupt_closes_every_job_and_is_raised() -> None:
    kernel = Kernel()
    ended: list[int] = []

    async def job() -> None:
        try:
            await kernel.sleep(100)
        finally:
            ended.append(kernel.now)

    async def work() -> None:
        await kernel.run_all([job(), job()])

    def interrupt(_: Any, __: Any) -> None:
        raise KeyboardInterrupt

    kernel.at(50, interrupt)
    with pytest.raises(KeyboardInterrupt):
        kernel.run(work())
    assert ended == [50, 50]


def test_running_no_jobs_returns_at_once() -> None:
    kernel = Kernel()
    kernel.run(kernel.run_all([]))
    assert kernel.now == 0


# The contract of the alarm, in virtual and in real time. Each story returns its events in words.

Now = Callable[[], int]
Story = Callable[[AlarmLike, Now], Any]


async def _rung_before_is_heard_at_once(alarm: AlarmLike, now: Now) -> str:
    alarm.ring()
    start = now()
    await alarm.wait_until(start + 5_000 * MS)
    return "early" if now() - start < 2_500 * MS else "late"


async def _two_rings_are_heard_as_one(alarm: AlarmLike, now: Now) -> str:
    alarm.ring()
    alarm.ring()
    start = now()
    await alarm.wait_until(start + 5_000 * MS)
    await alarm.wait_until(start + 40 * MS)
    return "slept" if now() - start >= 40 * MS else "woken twice"


async def _a_past_instant_is_no_wait(alarm: AlarmLike, now: Now) -> str:
    start = now()
    await alarm.wait_until(start - 1)
    return "early" if now() - start < 2_500 * MS else "late"


async def _a_past_instant_uses_up_a_ring(alarm: AlarmLike, now: Now) -> str:
    alarm.ring()
    start = now()
    await alarm.wait_until(start)
    await alarm.wait_until(start + 40 * MS)
    return "slept" if now() - start >= 40 * MS else "woken"


STORIES: dict[Story, str] = {
    _rung_before_is_heard_at_once: "early",
    _two_rings_are_heard_as_one: "slept",
    _a_past_instant_is_no_wait: "early",
    _a_past_instant_uses_up_a_ring: "slept",
}


@pytest.mark.parametrize("story", STORIES)
def test_the_alarm_keeps_its_contract_in_virtual_time(story: Story) -> None:
    kernel = Kernel()
    assert kernel.run(story(SimAlarm(kernel), lambda: kernel.now)) == STORIES[story]


@pytest.mark.parametrize("story", STORIES)
def test_the_alarm_keeps_the_same_contract_in_real_time(story: Story) -> None:
    async def told() -> Any:
        return await story(AsyncioAlarm(), time.monotonic_ns)

    assert asyncio.run(told()) == STORIES[story]


def test_a_ring_wakes_a_sleeper_at_its_own_instant_and_only_once() -> None:
    kernel = Kernel()
    alarm = SimAlarm(kernel)
    woken: list[int] = []

    async def sleeper() -> None:
        for _ in range(2):
            await alarm.wait_until(100)
            woken.append(kernel.now)

    kernel.at(30, lambda *_: alarm.ring())
    kernel.run(sleeper())
    assert woken == [30, 100]


def test_the_end_of_an_earlier_sleep_does_not_end_a_later_one() -> None:
    kernel = Kernel()
    alarm = SimAlarm(kernel)

    async def sleeper() -> int:
        await alarm.wait_until(100)  # rung at 30; the event at 100 is still in the queue
        await alarm.wait_until(200)
        return kernel.now

    kernel.at(30, lambda *_: alarm.ring())
    assert kernel.run(sleeper()) == 200
