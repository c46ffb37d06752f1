"""The rules of a host when the process that impairs packets ends; a shell is in its place, and no rule is made."""

from __future__ import annotations

import subprocess

import pytest

from splitbrain.runtimes.docker.agent import links
from splitbrain.runtimes.docker.agent.commands import RequestFailed
from splitbrain.runtimes.docker.agent.impairments import Impairments

SLOW = {"10.201.0.12": Impairments(ms=100)}
DELAYED = "read settings; echo; read settings; echo; "  # it is given its settings before its rules, and after them


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that were started to impair packets; each ends without an answer to its third settings."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        shell = ["sh", "-c", f"{DELAYED} read settings"]
        processes.append(subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return processes[-1]

    monkeypatch.setattr(links, "_start_queueing", start)
    monkeypatch.setattr(links, "run", lambda *command, given="": "")
    return processes


def test_the_end_of_the_packet_process_fails_no_change_that_impairs_nothing(
    started: list[subprocess.Popen[bytes]],
) -> None:
    rules = links.LinkRules()
    rules.replace({}, (), {}, SLOW)
    rules.replace({}, (), {}, {})  # in this heal it ends
    started[0].wait()
    rules.replace({}, (), {}, SLOW)
    assert len(started) == 2 and rules.impairing
    for process in started:
        process.communicate()


def test_the_end_of_the_packet_process_fails_a_change_that_impairs(started: list[subprocess.Popen[bytes]]) -> None:
    rules = links.LinkRules()
    rules.replace({}, (), {}, SLOW)
    with pytest.raises(RequestFailed, match="the process that impairs packets has ended"):
        rules.replace({}, (), {}, SLOW)
    started[0].communicate()
