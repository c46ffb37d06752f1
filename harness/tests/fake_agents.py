"""Agents of hosts that reply without doing anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from splitbrain.runtimes.docker.agent.messages import (
    Checked,
    CheckMarker,
    CopyFolder,
    DiskFilled,
    DiskFreed,
    DiskLeft,
    DiskRestored,
    Done,
    FillDisk,
    FlushReport,
    FolderCopied,
    FreeDisk,
    GrowMemory,
    KillMatching,
    KillNode,
    Matched,
    NodeKilled,
    NodeTerminated,
    PauseMatching,
    Request,
    RestoreDisk,
    SetFlushes,
    TerminateNode,
)
from splitbrain.runtimes.docker.agents import AgentPool

R = TypeVar("R")


class FakeAgents(AgentPool):
    """A pool whose agents reply as ``reply`` says: that everything went well, unless a test overrides it."""

    async def ask(self, requests: Mapping[str, Request[R]]) -> dict[str, R]:
        return {name: self._checked(name, request) for name, request in requests.items()}

    def reply(self, name: str, request: Request[Any]) -> Any:
        match request:
            case KillNode(disk=disk):
                left = None if disk is None else DiskLeft(changed=0, problem=None)
                return NodeKilled(disk=left, connections_left=0)
            case KillMatching() | PauseMatching():
                return Matched(pids=(7,), others=1, first=False)
            case TerminateNode():
                return NodeTerminated(obeyed=True)
            case CheckMarker() | GrowMemory():
                return Checked(problem=None)
            case RestoreDisk():
                return DiskRestored(changed=0, problem=None)
            case CopyFolder():
                return FolderCopied(files=0, stopped_ms=0.0)
            case FillDisk():
                return DiskFilled(taken=0, left=0)
            case FreeDisk():
                return DiskFreed(left=4_096)
            case SetFlushes():
                return FlushReport(processes=1, problems=(), held=0, refused=0, took_ms=None, most_ms=None)
            case _:
                return Done()

    def _checked(self, name: str, request: Request[R]) -> R:
        reply = self.reply(name, request)
        assert isinstance(reply, request.reply_type()), f"{type(request).__name__} gets no {type(reply).__name__}"
        return reply
