"""The watch over the processes inside the nodes' containers, of which the engine reports nothing while the first lives.

About once a second each agent lists its node's processes. Two things are told, unless the nemesis brought them about: a
process that is stopped by a signal, and one that served clients for long and has ended inside its container. Only
processes that listen on the node's ports count, for others come and go in many a system, as a shell for each probe
does. One that has served for less than ``LASTING_S`` may be replaced for each request, and is no loss. The end of the
container's first process is left to the engine's reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from splitbrain.names import OUTSIDE, PAUSED, REPLACED, RESUMED
from splitbrain.runtimes.docker.agent.messages import ListRunning, RunningProcess
from splitbrain.runtimes.docker.agents import AgentPool
from splitbrain.runtimes.docker.intents import Intents

LASTING_S: Final = 5.0

Processes = tuple[RunningProcess, ...]


class Note(Protocol):
    """Tells of something that happened to a node at an instant of this machine's wall clock (ns)."""

    def __call__(self, f: str, node: str, at: int, **facts: Any) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """The processes of a node, and when they were asked for: ns of this machine's wall clock."""

    asked: int
    processes: Processes


class ProcessWatch:
    """What two lists of each node's processes, one after the other, show.

    ``ports`` are those that each node serves clients on, and ``down`` returns the nodes whose containers have ended.
    """

    def __init__(
        self,
        hands: AgentPool,
        intents: Intents,
        ports: Mapping[str, tuple[int, ...]],
        down: Callable[[], Collection[str]],
        note: Note,
    ) -> None:
        self._hands = hands
        self._intents = intents
        self._ports = ports
        self._down = down
        self._note = note
        self._before: dict[str, Listed] = {}
        self._halted: set[str] = set()

    async def look(self) -> None:
        """List the processes of all nodes that run. Raises EnvironmentFailure if an agent has ended or is silent."""
        asked, nodes = time.time_ns(), [node for node in self._ports if node not in self._down()]
        answers = await self._hands.ask({node: ListRunning(ports=self._ports[node]) for node in nodes})
        now = {node: Listed(asked=asked, processes=answer.processes) for node, answer in answers.items()}
        for node in now.keys() & self._before.keys():
            self.compare(node, self._before[node], now[node])
        self._before = now

    def compare(self, node: str, before: Listed, now: Listed) -> None:
        """Tell of the difference between two lists, or of none if the node was to end in between."""
        if node in self._down() or self._intents.since(node, "die", before.asked):
            self._halted.discard(node)
            return
        if lost := lost_ports(before.processes, now.processes):
            self._note(REPLACED, node, before.asked, ports=list(lost))
        stopped = halted(now.processes)
        if not stopped and node in self._halted:
            self._halted.discard(node)
            self._note(RESUMED, node, now.asked, by=OUTSIDE)
        elif stopped and node not in self._halted and not self._intents.since(node, "stop", before.asked):
            self._halted.add(node)
            self._note(PAUSED, node, before.asked, by=OUTSIDE, signal="SIGSTOP")


def lost_ports(before: Processes, now: Processes) -> tuple[int, ...]:
    """The ports of which all lasting listeners have ended, though the first process of the container lives on."""
    alive = {_identity(each) for each in now}
    if not any(each.first and _identity(each) in alive for each in before):
        return ()
    lasting = [each for each in before if each.age_s >= LASTING_S]
    lost = {port for each in lasting for port in each.ports if _identity(each) not in alive}
    return tuple(sorted(lost - {port for each in lasting for port in each.ports if _identity(each) in alive}))


def halted(processes: Processes) -> bool:
    """True if a process that serves clients is stopped by a signal; where none is known to, the first one."""
    serving = [each for each in processes if each.ports] or [each for each in processes if each.first]
    return any(each.halted for each in serving)


def _identity(process: RunningProcess) -> tuple[int, int]:
    """What tells a process from another with the same number."""
    return process.pid, process.began
