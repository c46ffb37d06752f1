"""That a disk is believed to be full, or to have room again, only when its host says so. Hosts are stand-ins here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from harness.runtimes.docker.containers import Containers
from harness.runtimes.docker.disks import Disks
from harness.runtimes.docker.hands import Hands, Seen
from nemesis.state import State

CALM = State()
FULL = State(full=frozenset({"n1"}))


class Machine(Containers):
    """Its node has ended with that status, or runs."""

    def __init__(self, status: int | None) -> None:
        self._status = status

    async def ended(self, node: str) -> int | None:
        return self._status

    async def revive(self, node: str) -> Seen:
        return Seen(facts={"revived": node})


def made(states: list[State], left: int = 0, status: int | None = None, folder: str | None = "/data") -> list[Seen]:
    class Host(Hands):
        async def ask(self, do: str, arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
            told = {"taken": 2_000_000, "left": left} if do == "fill" else {"left": 4_096 if left == 0 else 0}
            return dict.fromkeys(arguments, told)

    async def one_after_another() -> list[Seen]:
        wanted = CALM
        disks = Disks(Host(["n1"], {}, {}, {"n1": folder}), Machine(status), lambda: wanted)
        seen = []
        for wanted in states:  # noqa: B007  # read by ``disks``
            seen.append(await disks.make())
        return seen

    return asyncio.run(one_after_another())


def test_a_disk_is_filled_once_and_freed_once() -> None:
    assert made([FULL, FULL, CALM, CALM]) == [Seen(facts={"filled_mb_n1": 2.0}), Seen(), Seen(), Seen()]


def test_a_disk_with_room_is_not_full_and_one_without_is_not_freed() -> None:
    full, freed = made([FULL, CALM], left=512)
    assert full.problems == ("on n1 512 bytes are left",)
    assert freed.problems == ("n1 has no room",)


@pytest.mark.parametrize(("status", "revived"), [(None, False), (1, True)])
def test_what_ended_for_want_of_room_is_started_again_when_there_is_some(status: int | None, revived: bool) -> None:
    _, freed = made([FULL, CALM], status=status)
    assert freed.facts == ({"ended_n1": 1, "revived": "n1"} if revived else {})


def test_what_is_to_be_down_for_another_reason_stays_so() -> None:
    _, freed = made([FULL, State(down=frozenset({"n1"}))], status=137)
    assert freed == Seen()


def test_software_that_keeps_nothing_has_no_disk_to_be_full() -> None:
    (full,) = made([FULL], folder=None)
    assert full.problems == ("n1 keeps nothing, so it has no disk to be full",)
