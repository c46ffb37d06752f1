"""Hold a history to the promises of a system: the one place where promises, bounds and workload come together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.history import History, HistoryError
from splitbrain.checkers.judge import ALL_PROMISED, Judgement, judge
from splitbrain.core.experiment import Experiment
from splitbrain.core.promises import (
    bounds_json,
    bounds_of,
    exercised,
    fault_classes_of,
    promises_of,
    promises_to_writers,
)
from splitbrain.errors import UsageError
from splitbrain.names import FaultClass, Promises
from splitbrain.nodes.systems.base import System

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """The promises and bounds that a history is held to, and the fault classes that they follow from."""

    promises: Promises
    bounds: Bounds
    fault_classes: tuple[FaultClass, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The part of ``experiment.json`` by which reports explain verdicts."""
        return {
            "promises": dict(self.promises),
            "fault_classes": list(self.fault_classes),
            "bounds": bounds_json(self.bounds),
        }


EVERYTHING_PROMISED = Contract(promises=ALL_PROMISED, bounds=Bounds())


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
        """One row a property, with columns property, verdict, class (or None), words and evidence (line indexes)."""
        import pandas as pd

        rows = [
            {
                "property": each.name,
                "verdict": each.outcome.word,
                "class": each.found.kind,
                "words": each.words,
                "evidence": list(each.found.evidence),
            }
            for each in self.judgement.properties
        ]
        return pd.DataFrame(rows, columns=["property", "verdict", "class", "words", "evidence"])


def contract_of(
    system: System,
    history: History,
    *,
    nodes: Iterable[str] = (),
    servers: Iterable[str] = (),
    workload: str = "election",
) -> Contract:
    """The promises of ``system`` under the faults in a history, adapted to the resource of its workload.

    ``nodes`` and ``servers`` name the cluster's machines, where they are known beyond what the history names.
    """
    fault_classes = fault_classes_of(exercised(history.faults), system)
    return Contract(
        promises=promises_to_writers(promises_of(system, fault_classes), workload),
        bounds=bounds_of(system, nodes, servers),
        fault_classes=fault_classes,
    )


def judge_by(
    history: History, contract: Contract, *, strict: bool = False, only: Collection[str] | None = None
) -> Judged:
    """Judge a history by a contract; with ``only``, judge only the properties of those names."""
    judgement = judge(history, contract.promises, contract.bounds, strict, only=only)
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
    )
    return judge_by(history, contract, strict=strict, only=only)


def judge_stored(history: History, system: System | None, record: Mapping[str, Any], *, strict: bool = False) -> Judged:
    """Judge a history by ``system`` and by the ``experiment.json`` stored with it; without a system, all is promised.

    ``record`` may lack any key: an incomplete record hinders no judging.
    """
    if system is None:
        return judge_by(history, EVERYTHING_PROMISED, strict=strict)
    contract = contract_of(
        system,
        history,
        nodes=record.get("node_names", ()),
        servers=record.get("server_names", ()),
        workload=record.get("workload", {}).get("kind", "election"),
    )
    return judge_by(history, contract, strict=strict)


def read_history(path: Path) -> History:
    """The history in a file. Raises UsageError, which names the line that is malformed."""
    try:
        return History.read(path)
    except HistoryError as wrong:
        raise UsageError(str(wrong)) from wrong
    except OSError as failure:
        raise UsageError(f"{path}: cannot be read: {failure.strerror}") from failure
