"""Verification of disk faults by the reports of hosts, which are fakes here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.faults import Crash, Fault, Fill, Kill
from splitbrain.nemesis.state import State
from splitbrain.runtimes.docker.agent.messages import (
    DiskFilled,
    DiskFreed,
    FillDisk,
    FlushReport,
    FreeDisk,
    Request,
    SetFlushes,
)
from splitbrain.runtimes.docker.agents import Verification
from splitbrain.runtimes.docker.containers import Containers
from splitbrain.runtimes.docker.disks import Disks
from splitbrain.runtimes.docker.loop_devices import explained
from splitbrain.runtimes.docker.runtime import disks_for
from splitbrain.tests.fake_agents import FakeAgents

CALM = State()
FULL = State(full=frozenset({"n1"}))
SLOW = State(flush_ms={"n1": 100})
SLOWER = State(flush_ms={"n1": 300})
HELD = FlushReport(processes=1, problems=(), held=3, refused=0, took_ms=101.5, most_ms=120.0)
FAILING = State(unflushed=frozenset({"n1"}))


class Machine(Containers):
    """Its node has ended with that status, or runs."""

    def __init__(self, status: int | None) -> None:
        self._status = status

    async def ended(self, node: str) -> int | None:
        return self._status

    async def revive(self, node: str) -> Verification:
        return Verification(facts={"revived": node})


asked: list[Request[Any]] = []


def made(
    states: list[State], left: int = 0, status: int | None = None, folder: str | None = "/data", **flushed: Any
) -> list[Verification]:
    asked.clear()

    class Host(FakeAgents):
        def reply(self, name: str, request: Request[Any]) -> Any:
            assert name == "n1"
            asked.append(request)
            match request:
                case SetFlushes():
                    return replace(HELD, **flushed)
                case FillDisk():
                    return DiskFilled(taken=2_000_000, left=left)
                case FreeDisk():
                    return DiskFreed(left=4_096 if left == 0 else 0)

    async def one_after_another() -> list[Verification]:
        wanted = CALM
        disks = Disks(Host(["n1"], {}, {}, {"n1": folder}), Machine(status), lambda: wanted)
        seen = []
        for wanted in states:  # noqa: B007  # read by ``disks``
            seen.append(await disks.make())
        return seen

    return asyncio.run(one_after_another())


def test_a_disk_is_filled_once_and_freed_once() -> None:
    assert made([FULL, FULL, CALM, CALM]) == [
        Verification(facts={"filled_mb_n1": 2.0}),
        Verification(),
        Verification(),
        Verification(),
    ]


def test_a_disk_with_room_is_not_full_and_one_without_is_not_freed() -> None:
    full, freed = made([FULL, CALM], left=512)
    assert full.problems == ("on n1 512 bytes are left",)
    assert freed.problems == ("n1 has no room",)


@pytest.mark.parametrize(("status", "revived"), [(None, False), (1, True)])
def test_a_node_that_ended_on_a_full_disk_is_restarted_when_there_is_room(status: int | None, revived: bool) -> None:
    _, freed = made([FULL, CALM], status=status)
    assert freed.facts == ({"ended_n1": 1, "revived": "n1"} if revived else {})


def test_a_node_that_is_down_by_another_fault_stays_down() -> None:
    _, freed = made([FULL, State(down=frozenset({"n1"}))], status=137)
    assert freed == Verification()


def test_software_without_data_has_no_disk_to_fill() -> None:
    (full,) = made([FULL], folder=None)
    assert full.problems == ("n1 keeps nothing, so it has no disk to be full",)


def test_flushes_are_slowed_once_and_the_effect_is_reported_when_healed() -> None:
    slow, again, healed = made([SLOW, SLOW, CALM])
    assert (slow, again) == (Verification(), Verification())
    assert healed.facts == {
        "fsync_held_n1": 3,
        "fsync_took_ms_n1": 101.5,
        "fsync_most_ms_n1": 120.0,
        "fsync_refused_n1": 0,
    }
    assert asked == [SetFlushes(ms=100, fail=False), SetFlushes(ms=0, fail=False)]


def test_of_two_flush_delays_the_remaining_one_stays() -> None:
    made([SLOW, SLOWER, SLOW])
    assert asked == [SetFlushes(ms=ms, fail=False) for ms in (100, 300, 100)]


def test_a_process_that_cannot_be_attached_is_reported() -> None:
    (slow,) = made([SLOW], problems=("process 7: its filter has no effect",))
    assert slow.problems == ("n1: process 7: its filter has no effect",)
    (nothing,) = made([FAILING], folder=None)
    assert nothing.problems == ("n1 keeps nothing, so it never flushes",)


def test_a_node_without_processes_is_a_problem_unless_it_should_be_down() -> None:
    (slow,) = made([SLOW], processes=0)
    assert slow.problems == ("n1: it has no process that could flush",)
    (down,) = made([State(flush_ms=SLOW.flush_ms, down=frozenset({"n1"}))], processes=0)
    assert down.problems == ()


def test_a_node_that_ended_on_a_failed_flush_is_restarted_when_flushes_work() -> None:
    failing, slower, healed = made([FAILING, State(unflushed=FAILING.unflushed, flush_ms={"n1": 9}), CALM], status=1)
    assert "revived" not in failing.facts and "revived" not in slower.facts
    assert healed.facts["ended_n1"] == 1 and healed.facts["revived"] == "n1"


def test_a_node_that_ended_on_a_full_disk_is_not_restarted_before_there_is_room() -> None:
    *_, healed = made([State(full=FULL.full, unflushed=FAILING.unflushed), FULL], status=1)
    assert "revived" not in healed.facts


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Kill(target="leader"), "plain"),
        (Fill(target="leader"), "bounded"),
        (Kill(target="leader", state="torn"), "loop"),
        (Crash(target="all", state="torn"), "loop"),
    ],
)
def test_disks_have_the_kind_that_the_schedule_requires(fault: Fault, kind: str) -> None:
    assert disks_for({*Kill(target="all").required(), *fault.required()}) == kind


def test_a_host_without_loop_devices_is_an_error_that_names_the_need() -> None:
    with pytest.raises(EnvironmentFailure, match=r"no such device\n(.|\n)*modprobe -a loop ext4"), explained():
        raise EnvironmentFailure("starting node n1: the engine says: no such device")
