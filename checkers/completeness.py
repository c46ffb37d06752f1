"""Completeness: the history covers the run as it was planned, the recovery after its faults included.

A run ends its history with a line ``complete``. Without that line and before the end that was planned, a run was cut
short (killed, interrupted, out of disk), and the history says nothing about the rest. A history without a plan, such as
one of other software, is taken as it is.
"""

from __future__ import annotations

from splitbrain.checkers.bounds import Bounds
from splitbrain.checkers.fault_periods import HEALS
from splitbrain.checkers.history import History
from splitbrain.checkers.words import duration
from splitbrain.names import COMPLETE, RUN


def missing_part(history: History, bounds: Bounds) -> str | None:
    """The parts of the planned run that the history lacks, in words; None if it lacks none that is known of."""
    if bounds.planned_ns is None or completed(history):
        return None
    if history.end < bounds.planned_ns:
        planned, left = duration(bounds.planned_ns), duration(bounds.planned_ns - history.end)
        lost = f"{left} of the {planned} of faults and the whole recovery are missing"
    elif not _healed(history):
        lost = "the whole recovery is missing"
    elif bounds.closed:
        lost = "the end of the recovery is missing"
    else:
        return None
    return f"the run was cut short after {duration(history.end)}: {lost}"


def completed(history: History) -> bool:
    """True if a line says that the run was carried out to its end."""
    return any(note.f == COMPLETE and note.process == RUN for note in history.notes)


def _healed(history: History) -> bool:
    """True if everything was healed after the last fault: such a heal names none in particular."""
    return any(fault.f in HEALS and fault.done is not None and "heals" not in fault.asked for fault in history.faults)
