"""What the watcher tells of the engine's reports, which are literal here, and a run on containers that end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest

from splitbrain.nodes.systems.base import RestartPolicy, Software
from splitbrain.runtimes.base import Incident
from splitbrain.runtimes.docker.containers import Containers, Spent
from splitbrain.runtimes.docker.engine import CONTROLLER_LABEL, RUN_LABEL, clock_ahead
from splitbrain.runtimes.docker.intents import Intents
from splitbrain.runtimes.docker.watcher import Watcher

APP = Path(__file__).parent / "ending_node"


class Node:
    def __init__(self, name: str) -> None:
        self.id = f"id of {name}"


class Host:
    def __init__(self, name: str) -> None:
        self.node = Node(name)


class Engine(Containers):
    """Notes which nodes are started, and has killed none for want of memory."""

    def __init__(self) -> None:
        self.intents = Intents()
        self.started_by: list[tuple[str, str]] = []

    async def out_of_memory(self, node: str) -> bool:
        return False

    async def start(self, node: str, by: str) -> None:
        self.started_by.append((node, by))


class Told:
    """A watcher of n1 and n2, and what it told."""

    def __init__(self, restart: RestartPolicy = "never") -> None:
        self.incidents: list[Incident] = []
        self.engine = Engine()
        software = Software(image="own", command=lambda machine: (), restart=restart, restart_delay_ms=0)
        hosts: Any = {name: Host(name) for name in ("n1", "n2")}
        nothing: Any = None
        self.watcher = Watcher(
            nothing, "run", hosts, nothing, self.engine, nothing, lambda node: software, self.incidents.append
        )

    async def reported(self, action: str, node: str = "n1", **attributes: str) -> None:
        event = {"Action": action, "Actor": {"ID": f"id of {node}", "Attributes": attributes}}
        await self.watcher._take(event, time.time_ns())

    @property
    def short(self) -> list[tuple[str, str, Any]]:
        return [(each.f, each.node, each.facts.get("by")) for each in self.incidents]


def told(*reports: tuple[str, dict[str, str]], restart: RestartPolicy = "never") -> Told:
    async def story() -> Told:
        made = Told(restart)
        for action, attributes in reports:
            await made.reported(action, **attributes)
        await asyncio.gather(*made.watcher._restarts)
        return made

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("before", "code", "facts"),
    [
        ((), "3", {"status": 3}),
        ((), "139", {"status": 139, "signal": "SIGSEGV"}),
        ((("oom", {}),), "137", {"status": 137, "signal": "SIGKILL", "oom": True}),
        ((("kill", {"signal": "15"}),), "143", {"status": 143, "signal": "SIGTERM", "by": "outside"}),
        ((("kill", {"signal": "1"}),), "3", {"status": 3}),
    ],
    ids=["a status", "a signal", "want of memory", "a signal from outside", "a harmless signal from outside"],
)
def test_an_end_is_told_with_its_cause(before: Sequence[Any], code: str, facts: dict[str, Any]) -> None:
    (incident,) = told(*before, ("die", {"exitCode": code})).incidents
    assert (incident.f, incident.node, dict(incident.facts)) == ("ended", "n1", facts)
    assert 0 <= time.monotonic_ns() - incident.at < 60 * 10**9


def test_a_pause_and_a_restart_from_outside_are_told_and_other_containers_are_not_watched() -> None:
    reports = [("pause", {}), ("unpause", {}), ("kill", {"signal": "9"}), ("die", {"exitCode": "137"}), ("start", {})]
    ours: Any = {"node": "a host"}
    found = told(*reports, ("die", {"exitCode": "1", **ours})).short
    assert found == [(f, "n1", "outside") for f in ("paused", "resumed", "ended", "started")]


def test_what_the_nemesis_does_is_told_as_its_doing() -> None:
    async def story() -> Told:
        made = Told(restart="always")
        made.engine.intents.begin("n1", "die")
        await made.reported("die", exitCode="137")
        made.engine.intents.begin("n1", "start")
        await made.reported("start")
        made.engine.intents.end("n1", "start")
        made.engine.intents.begin("n2", "pause")
        await made.reported("pause", "n2")
        await made.reported("unpause", "n2")
        assert not made.watcher._restarts
        return made

    assert asyncio.run(story()).short == [("ended", "n1", "nemesis"), ("started", "n1", "nemesis")]


@pytest.mark.parametrize(
    ("policy", "code", "starts"),
    [("never", "3", 0), ("on-failure", "3", 1), ("on-failure", "0", 0), ("always", "0", 1)],
)
def test_a_restart_policy_is_carried_out(policy: RestartPolicy, code: str, starts: int) -> None:
    made = told(("die", {"exitCode": code}), restart=policy)
    assert made.engine.started_by == [("n1", "restart policy")] * starts


def test_a_restart_policy_starts_no_node_that_the_nemesis_wants_down() -> None:
    async def story() -> Told:
        made = Told(restart="always")
        await made.reported("die", exitCode="3")
        made.engine.intents.begin("n1", "die")
        await asyncio.gather(*made.watcher._restarts)
        return made

    assert asyncio.run(story()).engine.started_by == []


@pytest.mark.parametrize(("withheld", "told_of"), [(20.0, 0), (900.0, 1)])
def test_processor_time_that_is_withheld_is_told_from_the_reading_before(withheld: float, told_of: int) -> None:
    async def story() -> list[Incident]:
        made = Told()
        before = Spent(at_ms=time.monotonic() * 1e3 - 1_000, cpu_ms=10.0, throttled_ms=5.0)
        made.watcher._compare("n1", before, Spent(at_ms=before.at_ms + 1_000, cpu_ms=20.0, throttled_ms=5.0 + withheld))
        again = Spent(at_ms=before.at_ms + 2_000, cpu_ms=1.0, throttled_ms=900.0)
        made.watcher._compare("n1", Spent(at_ms=0.0, cpu_ms=900.0, throttled_ms=0.0), again)  # started in between
        return made.incidents

    incidents = asyncio.run(story())
    assert len(incidents) == told_of
    assert all(time.monotonic_ns() - each.at >= 10**9 for each in incidents)


def test_processor_time_that_the_nemesis_withholds_is_no_incident_even_if_that_is_over() -> None:
    async def story() -> list[Incident]:
        made = Told()
        before = Spent(at_ms=time.monotonic() * 1e3 - 1_000, cpu_ms=10.0, throttled_ms=0.0)
        made.engine.intents.begin("n1", "ration")
        made.engine.intents.end("n1", "ration")
        made.watcher._compare("n1", before, Spent(at_ms=before.at_ms + 1_000, cpu_ms=20.0, throttled_ms=900.0))
        return made.incidents

    assert asyncio.run(story()) == []


@pytest.mark.parametrize(("ahead_s", "slow_s", "found_s"), [(0.0, 0.0, 0), (0.04, 0.1, 0), (3_600.0, 0.1, 3_600)])
def test_a_slow_answer_of_the_engine_is_not_taken_for_another_clock(
    monkeypatch: pytest.MonkeyPatch, ahead_s: float, slow_s: float, found_s: int
) -> None:
    began = 1_800_000_000 * 10**9
    clock = iter((began, began + round(slow_s * 1e9)))
    monkeypatch.setattr("splitbrain.runtimes.docker.engine.time.time_ns", lambda: next(clock))
    shown = datetime.fromtimestamp(began / 1e9 + slow_s / 2 + ahead_s, UTC).isoformat()
    client: Any = SimpleNamespace(info=lambda: {"SystemTime": shown})
    assert round(clock_ahead(client) / 1e9) == found_s


@pytest.mark.engine
def test_a_node_that_exits_is_recorded_at_once_and_started_again_by_its_policy(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from splitbrain.cli import main; main()", "test", str(APP / "exits.toml")]
    options = ["--nemesis", "none", "--time-limit", "6", "--seed", "1", "--json", "--store", str(tmp_path)]
    run = subprocess.run([*command, *options], capture_output=True, text=True, timeout=180, check=False)
    verdicts = json.loads(run.stdout)
    history = (Path(verdicts["run"]) / "history.jsonl").read_text().splitlines()
    watched = [line for line in map(json.loads, history) if line["process"] == "watcher"]
    ended, started = [line for line in watched if line["node"] == "n1" and line["f"] in ("ended", "started")][:2]
    assert (ended["f"], ended["node"], ended["value"]["status"]) == ("ended", "n1", 3)
    assert (started["f"], started["node"], started["value"]["by"]) == ("started", "n1", "restart policy")
    assert started["time"] - ended["value"]["at"] >= 500_000_000
    assert "n1 ended by itself (exit status 3)" in run.stderr
    assert any("n1 ended by itself (exit status 3)" in sentence for sentence in verdicts["incidents"])


def server_of(node: str, run: subprocess.Popen[str]) -> int:
    """The process of a node that serves, by its number on this machine: the child of the first one."""
    for container in docker.from_env().containers.list(filters={"label": RUN_LABEL}, ignore_removed=True):
        if str(container.name).endswith(f"-{node}") and f"/{run.pid}/" in container.labels[CONTROLLER_LABEL]:
            for pid, arguments in container.top(ps_args="-eo pid,args")["Processes"]:
                if "stays" in arguments:
                    return int(pid)
    raise AssertionError(f"{node} serves nothing")


def until(holds: Callable[[], bool], run: subprocess.Popen[str]) -> None:
    while not holds():
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)


@pytest.mark.engine
def test_processes_that_are_killed_and_stopped_from_outside_excuse_and_are_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "splitbrain", "test", str(APP / "supervised.toml"), "--store", str(tmp_path)]
    options = ["--nemesis", "none", "--time-limit", "20", "--seed", "1", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:

        def lines(f: str) -> list[dict[str, Any]]:
            found = [*tmp_path.glob("*/2*/history.jsonl")]
            text = found[0].read_bytes().rpartition(b"\n")[0].splitlines() if found else []
            return [line for line in map(json.loads, text) if line["f"] == f]

        until(lambda: any(line["time"] > 7 * 10**9 for line in lines("observe")), run)  # they have served for long
        os.kill(server_of("n1", run), signal.SIGKILL)
        stopped = server_of("n2", run)
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: bool(lines("replaced") and lines("paused")), run)
        os.kill(stopped, signal.SIGCONT)
        until(lambda: bool(lines("resumed")), run)
        output, _ = run.communicate(timeout=180)
    told = json.loads(output)["incidents"]
    assert any(words.startswith("the process of n1 that clients ask ended inside its container") for words in told)
    assert any(words.startswith("the process of n2 that clients ask was stopped by a signal") for words in told)
    assert run.returncode in (0, 2), told
