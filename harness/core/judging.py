"""Hold a history to the promises of a system: the one place where promises, bounds and workload come together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitbrain.arguments import names
from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.coverage import effective_faults
from splitbrain.checkers.fault import Fault
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.judge import ALL_PROMISED, judge, properties
from splitbrain.checkers.judgement import Judgement
from splitbrain.core.experiment import Experiment
from splitbrain.core.promises import (
    bounds_json,
    bounds_of,
    exercised,
    fault_classes_of,
    promises_of,
    promises_to_writers,
)
from splitbrain.core.store import EXPERIMENT
from splitbrain.errors import UsageError
from splitbrain.names import FaultClass, Promises, did_you_mean
from splitbrain.nemesis.nemeses import ALL, Nemesis, RecordedKind, every_nemesis, recorded_kinds
from splitbrain.nodes.systems.base import System

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """The promises and bounds that a history is held to, the fault classes that they follow from, the system's name."""

    promises: Promises
    bounds: Bounds
    fault_classes: tuple[FaultClass, ...] = ()
    system: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The part of ``experiment.json`` by which reports explain verdicts."""
        return {
            "promises": dict(self.promises),
            "fault_classes": list(self.fault_classes),
            "bounds": bounds_json(self.bounds),
        }


# A history alone does not say whether a majority elects: leases are taken without one.
EVERYTHING_PROMISED = Contract(promises={**ALL_PROMISED, "election-quorum": "undefined"}, bounds=Bounds(elects="none"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A history, the contract that it was held to, and the judgement."""

    history: History
    contract: Contract
    judgement: Judgement

    @property
    def verdict(self) -> str:
        """``valid``, ``unknown`` or ``invalid``: the worst outcome of all properties."""
        return self.judgement.outcome.word

    def to_dataframe(self) -> pd.DataFrame:
        """One row a judged property, with columns property, verdict, observed, promised (by guarantee), class (or
        None), words and evidence (line indexes)."""
        import pandas as pd

        rows = [
            {
                "property": each.name,
                "verdict": each.outcome.word,
                "observed": each.observed.value,
                "promised": dict(each.promises),
                "class": each.found.kind,
                "words": each.words,
                "evidence": list(each.found.evidence),
            }
            for each in self.judgement.properties
        ]
        return pd.DataFrame(rows, columns=["property", "verdict", "observed", "promised", "class", "words", "evidence"])


def contract_of(
    system: System,
    history: History,
    *,
    nodes: Iterable[str] = (),
    servers: Iterable[str] = (),
    workload: str = "election",
    nemeses: Iterable[str] = (),
    planned_s: float | None = None,
    closed: bool = True,
) -> Contract:
    """The promises of ``system`` under the faults in a history, adapted to the resource of its workload.

    ``nodes`` and ``servers`` name the cluster's machines, where they are known beyond what the history names, and
    ``nemeses`` those that were asked for. ``planned_s`` is the planned length of the fault phase, and ``closed`` says
    that a completed history ends with a line that says so.
    """
    fault_classes = fault_classes_of(exercised(history.faults), system)
    bounds = bounds_of(system, nodes, servers)
    return Contract(
        promises=promises_to_writers(promises_of(system, fault_classes), workload),
        bounds=replace(
            bounds,
            without_effect=without_effect(nemeses, history, bounds),
            planned_ns=None if planned_s is None else round(planned_s * 1e9),
            closed=closed,
        ),
        fault_classes=fault_classes,
        system=system.name,
    )


def contract_without_system(
    *, nodes: Iterable[str] = (), servers: Iterable[str] = (), workload: str = "election"
) -> Contract:
    """Everything promised that a workload can show, by a cluster of which no more is known than its machines."""
    return Contract(
        promises=promises_to_writers(EVERYTHING_PROMISED.promises, workload),
        bounds=replace(EVERYTHING_PROMISED.bounds, members=tuple(nodes), servers=tuple(servers)),
    )


def without_effect(nemeses: Iterable[str], history: History, bounds: Bounds) -> tuple[str, ...]:
    """The nemeses of these names of which no fault took effect; names of no nemesis are left out."""
    faults = effective_faults(history, bounds)
    known = every_nemesis()
    named = [known[name] for name in dict.fromkeys(nemeses) if name in known]
    return tuple(nemesis.name for nemesis in named if not _took_effect(nemesis, faults, bounds))


def _took_effect(nemesis: Nemesis, faults: Collection[Fault], bounds: Bounds) -> bool:
    """True if one of the faults is of a kind that the nemesis deals; a nemesis without faults took effect too."""
    if nemesis.name == ALL:
        return bool(faults)
    kinds = recorded_kinds(nemesis, len(bounds.members if nemesis.among == "nodes" else bounds.servers))
    return not kinds or any(_is_of(fault, kind) for fault in faults for kind in kinds)


def _is_of(fault: Fault, kind: RecordedKind) -> bool:
    return (
        (fault.f, fault.shape) == (kind.f, kind.shape)
        and kind.fault_class in (None, fault.fault_class)
        and all(fault.asked.get(name) == value for name, value in kind.figures.items())
    )


def judge_by(
    history: History, contract: Contract, *, strict: bool = False, only: Collection[str] | None = None
) -> Judged:
    """Judge a history by a contract; with ``only``, judge only the properties of those names."""
    judgement = judge(history, contract.promises, contract.bounds, strict, only=only, system=contract.system)
    return Judged(history=history, contract=contract, judgement=judgement)


def judge_run(
    history: History, experiment: Experiment, *, strict: bool = False, only: Collection[str] | None = None
) -> Judged:
    """Judge the history of an experiment by the promises of its system."""
    contract = contract_of(
        experiment.system,
        history,
        nodes=experiment.node_names,
        servers=experiment.server_names,
        workload=experiment.workload.kind,
        nemeses=experiment.nemesis,
        planned_s=experiment.time_limit_s,
    )
    return judge_by(history, contract, strict=strict, only=only)


def judge_stored(
    history: History,
    system: System | None,
    record: Mapping[str, Any],
    *,
    strict: bool = False,
    only: Collection[str] | None = None,
) -> Judged:
    """Judge a history by ``system`` and by the ``experiment.json`` stored with it; without a system, all is promised.

    ``record`` may lack any key: an incomplete record hinders no judging. Raises UsageError for names that are no list.
    """
    if system is None:
        return judge_by(history, EVERYTHING_PROMISED, strict=strict, only=only)
    workload = record.get("workload")
    contract = contract_of(
        system,
        history,
        nodes=names(f"{EXPERIMENT}: node_names", record.get("node_names", ())),
        servers=names(f"{EXPERIMENT}: server_names", record.get("server_names", ())),
        workload=str(workload.get("kind", "election")) if isinstance(workload, Mapping) else "election",
        nemeses=names(f"{EXPERIMENT}: nemesis", record.get("nemesis", ())),
        planned_s=_number(record.get("time_limit_s")),
        closed=record.get("closed") is True,
    )
    return judge_by(history, contract, strict=strict, only=only)


def _number(value: object) -> float | None:
    """A number of a record, None if it is something else."""
    return value if isinstance(value, int | float) and abs(value) < 2**63 else None


def properties_named(names: str) -> frozenset[str]:
    """The properties of these names, which commas separate. Raises UsageError for one that there is not."""
    known = [tested.name for tested in properties()]
    asked = names.split(",")
    for name in asked:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(f"--property: expected one of {', '.join(known)}, got {name!r}{hint}")
    return frozenset(asked)


def read_history(path: Path) -> History:
    """The history in a file. Raises UsageError, which names the line that is malformed."""
    try:
        return History.read(path)
    except HistoryError as wrong:
        raise UsageError(str(wrong)) from wrong
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
