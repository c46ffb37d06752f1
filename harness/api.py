"""The public interface: read and judge a history, run an election in simulation, check linearizability.

Results are frozen dataclasses. Mistakes of the caller raise ``splitbrain.errors.UsageError``, with a message that says
what was expected, what came, and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from splitbrain.checkers import linearizability
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.verdict import Verdict
from splitbrain.core import judging
from splitbrain.core.judging import EVERYTHING_PROMISED, Judged, contract_of, judge_by
from splitbrain.errors import UsageError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.sim_run import SimRun, run

__all__ = ["History", "Judged", "Schedule", "SimRun", "Verdict", "judge", "linearizable", "read_history", "run"]


def read_history(path: str | Path) -> History:
    """Read a ``history.jsonl``, or the one in a run's directory. Raises UsageError, naming the line at fault."""
    path = Path(path)
    return judging.read_history(path / "history.jsonl" if path.is_dir() else path)


def judge(
    history: History,
    *,
    system: str | System | None = None,
    nodes: Iterable[str] = (),
    servers: Iterable[str] = (),
    workload: str = "election",
    strict: bool = False,
) -> Judged:
    """Judge every property that concerns a history.

    ``system`` (a name or a ``System``) says which promises it is held to; without one, everything is promised.
    ``nodes`` and ``servers`` name the machines of the cluster that the history does not. With ``strict``, a known
    weakness that was not shown is invalid.
    """
    if system is None:
        return judge_by(history, EVERYTHING_PROMISED, strict=strict)
    found = find_system(system) if isinstance(system, str) else system
    contract = contract_of(found, history, nodes=nodes, servers=servers, workload=workload)
    return judge_by(history, contract, strict=strict)


def linearizable(history: History | Iterable[Mapping[str, Any]]) -> Verdict:
    """Check that the registers of a history are linearizable (Herlihy and Wing 1990).

    A history may be given as its lines: mappings with the keys ``process``, ``type``, ``f`` (``read``, ``write`` or
    ``cas``) and ``value``. The verdict's ``outcome`` is VALID, INVALID or UNKNOWN (the search was given up).
    """
    if not isinstance(history, History):
        try:
            history = History.from_entries(history)
        except HistoryError as wrong:
            raise UsageError(str(wrong)) from wrong
    return linearizability.check(history)
