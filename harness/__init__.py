"""Fault injection for leader election: run elections under faults, record them, and judge the recording.

    >>> import splitbrain
    >>> history = splitbrain.read_history("history.jsonl")
    >>> judged = splitbrain.judge(history, system="raft")
    >>> judged.verdict, judged.to_dataframe()

The names below are the public interface; they are imported on first use, so ``import splitbrain`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splitbrain.api import (
        ContainerRun,
        History,
        Judged,
        Schedule,
        SimRun,
        Verdict,
        judge,
        linearizable,
        read_history,
        run,
    )


__all__ = [
    "ContainerRun",
    "History",
    "Judged",
    "Schedule",
    "SimRun",
    "Verdict",
    "judge",
    "linearizable",
    "read_history",
    "run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("splitbrain")
    if name in __all__:
        return getattr(import_module("splitbrain.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
