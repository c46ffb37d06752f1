"""Warm-up: faults wait for a first leader, and a described system without one is no verdict on an election."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from splitbrain.checkers.judge import judge
from splitbrain.checkers.tests.histories import Story
from splitbrain.checkers.verdict import Outcome
from splitbrain.core.experiment import Experiment
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.lifecycle import _start
from splitbrain.core.recorder import Recorder
from splitbrain.core.warm_up import until_led
from splitbrain.errors import EnvironmentFailure, UsageError
from splitbrain.names import MS, NO_ELECTION
from splitbrain.nemesis.faults import Kill
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nodes.clients.base import Fail, Ok, Reply
from splitbrain.nodes.systems.base import System
from splitbrain.nodes.systems.probes import Confirm, Http, Probe
from splitbrain.nodes.systems.raft import RAFT_SYSTEM
from splitbrain.runtimes.base import Job, LastWords
from splitbrain.runtimes.docker.cluster import AsyncioAlarm
from splitbrain.workloads import Workload
from splitbrain.workloads.clients import Claim

WAY = Http(path="/")
PROBE = Probe(way=WAY, leading="raft.state == leader", leader="leader", confirm=Confirm(way=Http(path="/confirm")))
NODES = ("n1", "n2")
REFUSED = Fail("status 409")


def described(probe: Probe | None = PROBE) -> System:
    return replace(RAFT_SYSTEM, name="own.toml", probe=probe, wait_for_leader_s=0.05, stall_bound_ms=20, suspicion_ms=1)


def experiment(system: System, runtime: str = "docker") -> Experiment:
    return Experiment(
        system=system, nemesis=("none",), runtime=runtime, nodes=2, time_limit_s=1, seed=1, workload=Workload()
    )


class Lines:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, line: bytes) -> None:
        self.lines.append(json.loads(line))

    def close(self) -> None: ...


class Cluster:
    """Nodes that answer as they are made to, on the clock of the test."""

    nodes = NODES

    def __init__(self, answer: Mapping[str, Any] | str, confirm: Reply) -> None:
        self._answer = answer
        self._confirm = confirm

    def now(self) -> int:
        return time.monotonic_ns()

    def alarm(self) -> AsyncioAlarm:
        return AsyncioAlarm()

    async def run_all(self, main: Job, others: Sequence[Job]) -> None:
        self._all = asyncio.Barrier(1 + len(others))
        await asyncio.wait_for(asyncio.gather(main, *others), timeout=60)

    async def observe(self, node: str, timeout_ns: int) -> Reply:
        await self._all.wait()  # no node is asked after another
        return Ok({"leading": False, "leader": None, "term": 7, "reign": None})

    async def confirm(self, node: str, timeout_ns: int) -> Reply:
        await self._all.wait()
        return self._confirm

    async def last_words(self, node: str) -> LastWords:
        await self._all.wait()
        body = self._answer if isinstance(self._answer, str) else json.dumps(self._answer)
        return LastWords(answer=body, log=("RTNETLINK answers: Operation not permitted",))


def waited(
    system: System,
    claims: Mapping[str, Claim],
    answer: Mapping[str, Any] | str = "",
    confirm: Reply = REFUSED,
    confirmed: bool = False,
    lines: Lines | None = None,
) -> None:
    lines = lines or Lines()
    recorder = Recorder(lines)
    recorder.start_clock(time.monotonic_ns)
    view = LeaderView(NODES, fresh_ns=10**12)
    for node, claim in claims.items():
        view.saw(node, claim)
    if confirmed:
        view.saw_confirmation()
    cluster: Any = Cluster(answer, confirm)
    asyncio.run(until_led(cluster, experiment(system), view, recorder))


def claim(leading: bool = False, leader: str | None = None) -> Claim:
    return Claim(time.monotonic_ns(), leading, leader, 7, None)


FOLLOWERS = {"n1": claim(), "n2": claim()}
LED = {"n1": claim(True, "n1"), "n2": claim(leader="n1")}


def test_a_described_system_in_which_nobody_led_is_no_verdict_but_what_it_said() -> None:
    lines = Lines()
    with pytest.raises(EnvironmentFailure) as failed:
        waited(described(), FOLLOWERS, {"raft": {"state": "follower"}}, lines=lines)
    first, *more = str(failed.value).splitlines()
    assert first == "no node led for 0.05 s (wait_for_leader_s), so there is no election to judge"
    assert more[:4] == [
        '  n1 answered: {"raft": {"state": "follower"}}',
        "  n1 was read as following no leader in term 7",
        "  the log of n1 ends:",
        "    RTNETLINK answers: Operation not permitted",
    ]
    (line,) = lines.lines
    assert (line["f"], line["value"]["words"]) == (NO_ELECTION, first)


def test_a_path_that_leads_nowhere_in_any_answer_is_a_mistake_of_the_description() -> None:
    with pytest.raises(UsageError, match=r"probe\.leading: no answer has anything at 'raft\.state'; a dot stands"):
        waited(described(), FOLLOWERS, {"raft.state": "leader"})


def test_an_answer_that_is_no_json_says_nothing_about_the_path() -> None:
    with pytest.raises(EnvironmentFailure, match="no node led"):
        waited(described(), FOLLOWERS, "<html>")


def test_a_leader_of_which_every_confirmation_is_refused_is_no_verdict() -> None:
    with pytest.raises(EnvironmentFailure, match=r"a node led, but none confirmed .* n1: status 409; n2: status 409"):
        waited(described(), LED)


def test_a_leader_that_all_have_seen_and_that_confirmed_ends_the_warm_up_at_once() -> None:
    waited(replace(described(), wait_for_leader_s=3_600.0), LED, confirmed=True)


def test_without_a_confirm_and_without_a_leaders_name_one_claim_suffices() -> None:
    probe = Probe(way=WAY, leading="leading")
    waited(replace(described(probe), wait_for_leader_s=3_600.0), {"n1": claim(True), "n2": claim()})


def test_a_leader_that_not_all_have_seen_in_time_lets_the_faults_begin() -> None:
    waited(described(), {"n1": claim(True, "n1"), "n2": claim()}, confirmed=True)


def test_a_system_of_ours_that_elects_nobody_is_judged() -> None:
    waited(described(probe=None), FOLLOWERS)


def test_in_simulation_faults_wait_for_nobody() -> None:
    assert experiment(described(), "sim").wait_for_leader_ns == 0
    assert experiment(described()).wait_for_leader_ns == 50 * MS


def test_a_schedule_begins_with_the_run_unless_its_first_fault_would_come_too_early() -> None:
    schedule = Schedule(steps=(Step(at_ms=2_000, for_ms=500, fault=Kill(target="leader")),), length_ms=5_000)
    assert _start(schedule, 10 * MS, 1_500 * MS) == 10 * MS
    assert _start(schedule, 10 * MS, 7_000 * MS) == 5_000 * MS
    assert _start(Schedule(steps=(), length_ms=5_000), 10 * MS, 1_000 * MS) == 10 * MS


def test_a_history_without_an_election_is_not_judged_as_one_of_an_election() -> None:
    story = Story()
    for at in range(0, 20_000, 100):
        for node in NODES:
            story.saw(node, at * MS, at * MS + 1).refused(node, at * MS + 2, at * MS + 3)
    assert judge(story.history())["stall"].outcome is Outcome.INVALID
    line = {"process": "run", "type": "info", "f": NO_ELECTION, "node": None, "value": {"words": "no node led"}}
    story.lines.append((20_000 * MS, line))
    judgement = judge(story.history())
    assert judgement.outcome is Outcome.UNKNOWN
    assert [each.name for each in judgement.properties] == ["coverage"]
    assert "no node led" in judgement.words
