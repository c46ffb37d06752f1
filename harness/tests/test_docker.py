"""Runs on containers, ended in every possible way, of which none may leave anything behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from splitbrain.tests.waits import until

pytestmark = [pytest.mark.engine, pytest.mark.alone]

COMMAND = [sys.executable, "-c", "from splitbrain.cli import main; main()"]
ALLOWED = "--allow-privileged"
PATIENCE_S = 180
CLOCK_NS = 100_000_000  # the least jump that a skew makes is five times that


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def footprint() -> dict[str, Any]:
    """Everything a run could leave behind: containers, networks, volumes, firewall rules of the host, devices,
    mounts, processes of the harness and of the engine, and their control groups."""
    rules = output("iptables-save") if os.geteuid() == 0 else ""
    ours = [line for line in rules.splitlines() if not line.startswith(("#", ":"))]
    return {
        "containers": output("docker", "ps", "-aq", "--filter", "label=splitbrain.run"),
        "networks": output("docker", "network", "ls", "-q"),
        "volumes": output("docker", "volume", "ls", "-q"),
        "rules": sorted(re.sub(r"\[\d+:\d+\]", "", line) for line in ours),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "loop devices": sorted(str(path) for path in Path("/sys/block").glob("loop*/loop/backing_file")),
        "processes": sorted(words for words in command_lines() if re.search(SERVING, words)),
        "control groups": sorted(str(path) for path in control_groups() if any(map(path.match, GROUPS))),
    }


CGROUPS = Path("/sys/fs/cgroup")
GROUPS = ("*docker*/*", "docker-*.scope")  # of containers, as the engine makes them itself, and as systemd does
SERVING = "containerd-shim|docker-proxy|runc|splitbrain.runtimes"


def control_groups() -> Iterator[Path]:
    for folder, names, _ in os.walk(CGROUPS):  # which passes over those that end in the meantime
        yield from (Path(folder, name) for name in names)


def command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            yield path.read_text(errors="replace").replace("\0", " ")


def wall_beside_monotonic_ns() -> int:
    """Changes only if this machine's clock is set, since both clocks run at one rate. The least of some readings, as
    the process may have to wait between its two looks at a clock."""
    return min(time.time_ns() - time.monotonic_ns() for _ in range(20))


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    before, clock = footprint(), wall_beside_monotonic_ns()
    yield
    with contextlib.suppress(AssertionError):  # the processes that serve a container end a moment after it
        until(lambda: footprint() == before)
    assert footprint() == before
    assert abs(wall_beside_monotonic_ns() - clock) < CLOCK_NS


def started(store: Path, *arguments: str, seconds: int = 12, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "test", "raft", "--time-limit", str(seconds), "--seed", "7", "--store", str(store), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def latest(store: Path) -> Path:
    return (store / "latest").resolve()


def starved(properties: dict[str, Any]) -> bool:
    """True if no property is violated, and the run measured a busy machine, which may leave some in doubt."""
    broken = any(each["verdict"] == "invalid" for each in properties.values())
    return not broken and properties["coverage"]["facts"]["canary_late_share"] > 0


def test_a_partitioned_raft_keeps_its_promises_and_the_run_is_complete(tmp_path: Path) -> None:
    run = started(tmp_path, "--nemesis", "isolated-leader", "--json")
    out, err = run.communicate(timeout=PATIENCE_S)
    verdicts = json.loads(out)
    assert run.returncode == 0 or starved(verdicts["properties"]), (verdicts, err)
    folder = latest(tmp_path)
    assert Path(verdicts["run"]).resolve() == folder
    names = {path.name for path in folder.iterdir()}
    assert {"experiment.json", "schedule.json", "history.jsonl", "verdicts.json", "report.html", "logs"} <= names
    assert list(folder.glob("*.png"))
    assert (folder / "logs" / "n1.log").read_text()
    record = json.loads((folder / "experiment.json").read_text())
    assert record["versions"]["engine"] and record["versions"]["images"]["node"]
    faults = [json.loads(line) for line in (folder / "history.jsonl").open() if '"process":"nemesis"' in line]
    done = [line["value"] for line in faults if line["f"] == "partition" and line["value"]["phase"] == "done"]
    assert done and all(value["verified"] for value in done)
    crossed = [row for line in faults for row in line["value"].get("crossed", ())]
    assert {row["over"] for row in crossed} - {None} == {"udp"} and {tuple(row["link"]) for row in crossed} == {
        tuple(link) for value in done for link in value["links"]
    }
    assert "first data over healed links" in (folder / "report.html").read_text()
    assert "--seed 7" in err


# Three runs at once, as they mostly wait. In the phase of faults: with many of them, and with a closed pipe, below.
@pytest.mark.parametrize(
    "interruptions",
    [
        (("set-up", signal.SIGTERM), ("starting", signal.SIGTERM), ("starting", signal.SIGINT)),
        (("starting", signal.SIGHUP), ("faults", signal.SIGTERM), ("recovery", signal.SIGTERM)),
        (("tear-down", signal.SIGTERM), ("judging", signal.SIGTERM), ("drawing", signal.SIGTERM)),
    ],
    ids=["before faults", "during faults", "after faults"],
)
def test_interrupted_runs_store_their_histories(
    tmp_path: Path, interruptions: Sequence[tuple[str, signal.Signals]]
) -> None:
    with ThreadPoolExecutor() as pool:
        ends = [
            pool.submit(interrupt_until_it_comes_in_time, tmp_path / f"{phase}-{number.name}", phase, number)
            for phase, number in interruptions
        ]
    for end in ends:
        end.result()


def interrupt_until_it_comes_in_time(store: Path, phase: str, number: signal.Signals) -> None:
    """Interrupt a run, and another where one was over before the signal came, as the last phases are short."""
    for _ in range(5):
        run = started(store, "--nemesis", "none", "--nodes", "3", seconds=2)
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith(phase):
                break
        run.send_signal(number)
        _, err = run.communicate(timeout=PATIENCE_S)
        if run.returncode not in (0, 2):
            break
    assert run.returncode == 3, err
    assert f"interrupted by {number.name}" in err
    assert "Traceback" not in err
    folder = latest(store)
    assert json.loads((folder / "experiment.json").read_text())["notes"]
    if phase not in ("set-up", "starting"):
        assert (folder / "history.jsonl").stat().st_size > 0
        assert f"splitbrain check {folder.relative_to(store)}" in err.replace(f"{store}/", "")


def test_a_run_with_a_closed_pipe_for_its_display_ends_as_by_a_hang_up(tmp_path: Path) -> None:
    run = started(tmp_path, "--nemesis", "isolated-leader", "--nodes", "3", seconds=20)
    assert run.stderr is not None
    for line in run.stderr:
        if line.startswith("faults"):
            break
    run.stderr.close()
    assert run.wait(timeout=PATIENCE_S) == 3
    folder = latest(tmp_path)
    assert "interrupted by SIGHUP" in " ".join(json.loads((folder / "experiment.json").read_text())["notes"])
    assert (folder / "history.jsonl").stat().st_size > 0


SHOWN = {"containers", "networks", "volumes", "rules", "interfaces", "mounts", "processes", "control groups"}
# Followers can be targeted only while there is a leader, so the leader dies last.
MIXED: tuple[dict[str, Any], ...] = (
    {"f": "delay", "target": "all", "ms": 20, "jitter_ms": 10},
    {"f": "skew", "target": "all", "offset_ms": 3_600_000},
    {"f": "slow-fsync", "target": "all", "ms": 20},
    {"f": "corrupt", "target": "follower", "percent": 10},
    {"f": "throttle", "target": "follower", "per_mille": 900},
    {"f": "fill", "target": "follower"},
    {"f": "freeze", "target": "follower"},
    {"f": "kill", "target": "follower", "state": "lost"},
    {"f": "partition", "shape": "isolated-leader"},
    {"f": "oom", "target": "leader"},
)
# The same on disks that lose unflushed writes: none of them can be filled, and one is wiped.
POWERLESS = tuple(
    {"f": "kill", "target": "follower", "state": "torn"} if fault["f"] == "kill" else fault
    for fault in MIXED
    if fault["f"] != "fill"
)


@pytest.mark.parametrize(
    ("system", "number", "faults", "shown"),
    [
        ("raft", signal.SIGINT, POWERLESS, SHOWN | {"loop devices"}),
        ("etcd", signal.SIGTERM, MIXED, SHOWN),
    ],
    ids=["raft, power cut", "etcd"],
)
def test_a_run_interrupted_during_many_faults_cleans_up_and_stores_a_history(
    tmp_path: Path, system: str, number: signal.Signals, faults: Sequence[dict[str, Any]], shown: set[str]
) -> None:
    steps = [{"at_ms": 1_500 + 50 * at, "for_ms": 120_000, "fault": fault} for at, fault in enumerate(faults)]
    schedule, store = tmp_path / "schedule.json", tmp_path / "store"
    schedule.write_text(json.dumps({"format": 1, "length_ms": 125_000, "steps": steps}))
    before = footprint()
    run = subprocess.Popen(
        [*COMMAND, "replay", str(schedule), "--system", system, "--seed", "7", "--store", str(store), ALLOWED],
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + PATIENCE_S
    while len(in_effect(store)) < len(faults) and run.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    during = footprint()
    run.send_signal(number)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3, err
    assert f"interrupted by {number.name}" in err
    assert "Traceback" not in err
    assert (ALLOWED in err) == ("loop devices" in shown), "what makes the run again is told"
    assert {name for name in before if during[name] != before[name]} == shown, "what a footprint is to show, it shows"
    hurt = in_effect(store)
    assert {value["f"] for value in hurt} == {fault["f"] for fault in faults}
    doubtful = [value["problems"] for value in hurt if not value["verified"]]
    assert len(doubtful) <= 2, "on a busy machine one may disturb how another is looked at"
    check = subprocess.run(
        [*COMMAND, "check", str(latest(store)), "--json"], capture_output=True, text=True, check=False
    )
    assert check.returncode in (0, 2), check.stderr
    assert json.loads(check.stdout)["properties"]["term-safety"]["verdict"] == "valid"


def in_effect(store: Path) -> list[dict[str, Any]]:
    """The names of the faults in effect according to the history so far."""
    found = []
    for history in store.glob("*/*/history.jsonl"):
        for text in history.read_text().splitlines():
            with contextlib.suppress(ValueError):  # the last line may be incomplete
                line = json.loads(text)
                if line["process"] == "nemesis" and line["value"]["phase"] == "done" and "skipped" not in line["value"]:
                    found.append({"f": line["f"], **line["value"]})
    return found
