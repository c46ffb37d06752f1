"""The reference of schedules: its examples are carried out, and it leaves out no role, fault or key."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from splitbrain.core.experiment import Experiment
from splitbrain.core.simulate import history_of
from splitbrain.nemesis.codec import KEYS
from splitbrain.nemesis.faults import FAULTS
from splitbrain.nemesis.plans import check_aims
from splitbrain.nemesis.schedules import Step, from_json
from splitbrain.nemesis.targets import ROLES
from splitbrain.runtimes.capabilities import CAPABILITIES, unsupported
from splitbrain.user_systems.lookup import find_system
from splitbrain.workloads import Workload

DOCS = Path(__file__).parents[2] / "docs"
NODES = ("n1", "n2", "n3", "n4", "n5")


def examples(page: str) -> list[str]:
    return re.findall(r"^```json\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", [*examples("schedules.md"), *examples("faults.md")])
def test_an_example_is_carried_out_as_written(example: str) -> None:
    """In simulation if that can do it: every fault takes effect and none is skipped."""
    schedule = from_json(json.loads(example))
    check_aims(schedule, NODES, ())
    if unsupported(schedule, CAPABILITIES["sim"]):
        assert not unsupported(schedule, CAPABILITIES["docker"])
        return
    experiment = Experiment(
        system=find_system("raft"),
        nemesis=("replay",),
        runtime="sim",
        nodes=len(NODES),
        time_limit_s=schedule.length_ms / 1000,
        seed=1,
        workload=Workload(observe_period_ms=50, confirm_period_ms=100, canary_period_ms=None),
    )
    found = history_of(experiment, schedule).faults
    assert [fault.skipped for fault in found] == [None] * len(found)
    assert all(fault.verified for fault in found)
    assert len(found) == 2 * len(schedule.steps) + 1, "each is injected and undone, and all is healed at the end"


def test_the_reference_is_complete() -> None:
    page = (DOCS / "schedules.md").read_text()
    keys = {field.name for fault in FAULTS for field in fields(fault)} | {field.name for field in fields(Step)}
    for name in (*ROLES, *KEYS.values(), *keys, *(fault.f for fault in FAULTS)):
        assert f"`{name}`" in page, name


def test_there_are_examples() -> None:
    assert len(examples("schedules.md")) >= 4
