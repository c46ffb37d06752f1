"""The public interface: read and judge a history, run an election, check linearizability.

Results are frozen dataclasses. Mistakes of the caller raise ``splitbrain.errors.UsageError``, with a message that says
what was expected, what came, and where.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from splitbrain.arguments import names, refused, typed
from splitbrain.checkers import linearizability
from splitbrain.checkers.formats import FormatError, completed, is_complete
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.verdict import Verdict
from splitbrain.core import judging
from splitbrain.core.judging import Judged, contract_of, contract_without_system, judge_by
from splitbrain.errors import UsageError
from splitbrain.names import MODELS, Model
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems.base import System
from splitbrain.user_systems.container_run import ContainerRun
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.runs import run
from splitbrain.user_systems.sim_run import SimRun
from splitbrain.workloads import kinds

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


def read_history(path: str | Path) -> History:
    """Read a ``history.jsonl``, the one in a run's directory, or a history of Jepsen's (EDN, text log).

    Raises UsageError, naming the line at fault.
    """
    if not isinstance(path, str | Path):
        raise refused("path", "a path", path)
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
    ``nodes`` and ``servers`` name the machines of the cluster that the history does not, ``workload`` is the one of
    ``splitbrain.workloads.kinds()`` that made the history. With ``strict``, a known weakness that was not shown is
    invalid. Raises UsageError.
    """
    typed(History, "history", history, "a History (splitbrain.read_history gives one)")
    typed(bool, "strict", strict, "True or False")
    known = kinds()
    if workload not in known:
        raise refused("workload", f"one of {', '.join(known)}", workload)
    members, others = names("nodes", nodes), names("servers", servers)
    if system is None:
        contract = contract_without_system(nodes=members, servers=others, workload=workload)
    else:
        found = find_system(system) if isinstance(system, str) else system
        typed(System, "system", found, "a name or a System")
        contract = contract_of(found, history, nodes=members, servers=others, workload=workload)
    return judge_by(history, contract, strict=strict)


def linearizable(history: History | Iterable[Mapping[str, Any]], *, model: Model | None = None) -> Verdict:
    """Check that the registers, mutexes or sets of a history are linearizable (Herlihy and Wing 1990).

    A history may be given as its lines: mappings with the keys ``process``, ``type``, ``f`` and ``value``, in order;
    ``index`` and ``time`` may be left out. ``model`` is ``register``, ``cas-register``, ``mutex`` or ``set``; None
    takes the one that the operations show. The verdict's ``outcome`` is VALID, INVALID or UNKNOWN (the search was
    given up).
    """
    if model is not None and model not in MODELS:
        raise refused("model", f"one of {', '.join(MODELS)}", model)
    return linearizability.check(history if isinstance(history, History) else _history(history), model)


def _history(given: object) -> History:
    """The history of lines given as mappings."""
    if not isinstance(given, Iterable):
        raise refused("history", "a History or its lines", given)
    lines = list(given)
    for at, line in enumerate(lines):
        if not isinstance(line, Mapping):
            raise refused(f"history[{at}]", "a line as a mapping", line)
    try:
        return History.from_entries(lines if is_complete(lines) else completed(lines))
    except (HistoryError, FormatError) as wrong:
        raise UsageError(str(wrong)) from wrong
