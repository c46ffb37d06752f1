"""Workloads: the operations of clients during a run, by name; one module for each kind of client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from splitbrain.plugins import shipped

if TYPE_CHECKING:
    from splitbrain.runtimes.base import Cluster
    from splitbrain.workloads.clients import ClientGroup, LeaderView, OperationRecorder

Kind = Literal["election", "ledger", "ledger-unfenced", "lock", "writes"]
KINDS: Final[Mapping[str, str]] = {
    "election": "observe every node, and ask leaders to confirm that they lead",
    "ledger": "as election; leaders also write to a shared ledger that checks tokens",
    "ledger-unfenced": "as ledger, with a ledger that accepts every write",
    "lock": "as election; holders of the lock (or of leadership) also add to a shared set",
    "writes": "as election; clients also add to a set that the system itself keeps, through its leader",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """The kind of a workload, one of ``kinds()``, and the periods of its clients, in ms.

    ``probe_timeout_ms`` stays below a quarter of the stall bound. ``canary_period_ms`` is None where the controller
    cannot be late: in simulation. ``write_period_ms`` is the time between two writes, or two tries to get a lock, of
    one client.
    """

    kind: str = "election"
    observe_period_ms: int = 20
    confirm_period_ms: int = 50
    probe_timeout_ms: int = 500
    canary_period_ms: int | None = 10
    write_period_ms: int = 50

    @property
    def option(self) -> str:
        """The option by which a command line asks for it; empty for the usual one."""
        return "" if self.kind == "election" else f" --workload {self.kind}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShippedWorkload:
    """A workload that another package ships: ``clients`` makes the clients that run beside the observers."""

    name: str
    help: str
    clients: Callable[[Cluster, OperationRecorder, LeaderView, Workload, int], Sequence[ClientGroup]]


def kinds() -> Mapping[str, str]:
    """Every kind of workload, with its description: the built-in ones, and those that other packages ship."""
    others = {name: part.value.help for name, part in shipped("workloads", ShippedWorkload).items()}
    return {**KINDS, **others}


# Workloads that differ from the default. A simulated controller is never late and needs no canary.
USUAL = {"sim": Workload(observe_period_ms=100, confirm_period_ms=100, canary_period_ms=None)}


def workload_from_json(value: Mapping[str, Any]) -> Workload:
    """Raises TypeError or ValueError for one that cannot be."""
    workload = Workload(**value)
    known = kinds()
    if workload.kind not in known:
        raise ValueError(f"expected a workload of {', '.join(known)}, got {workload.kind!r}")
    return workload
