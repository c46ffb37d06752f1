"""The operations of a history as columns: one row an invocation, in the order of the invoke lines.

UncheckedRecording rather than objects, because a history may hold a million observations and every checker reads them
all. Times are integer nanoseconds of the one clock of the history, so rows sorted by line are sorted by
``invoke`` as well. A claim that was observed in [invoke, complete] holds at some instant in that window, never at
both ends (Gibbons and Korach 1997, on reads of a register).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.int16]
Mask = NDArray[np.bool_]
Groups = NDArray[np.integer[Any]]

OK, FAIL, INFO = 0, 1, 2
NONE = -1


@dataclass(frozen=True, kw_only=True)
class Operations:
    """All invocations of one ``f``; every column has one entry a row.

    ``node`` is a code into ``History.nodes`` (-1: none). ``outcome`` is 0 ok, 1 fail, 2 info or never completed;
    in the last case ``complete`` and ``complete_index`` are -1. The index columns number history lines from 0.
    ``process`` is who asked, ``asked`` and ``answered`` are the values of the invoke and of the completion; they are
    empty for the operations that a history has by the million (observe, confirm).
    """

    f: str
    node: Codes
    invoke: Ints
    complete: Ints
    outcome: NDArray[np.int8]
    invoke_index: Ints
    complete_index: Ints
    process: tuple[int | str, ...] = ()
    asked: tuple[Any, ...] = ()
    answered: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.invoke)

    @cached_property
    def ok(self) -> Mask:
        """Which rows completed with ok."""
        return np.equal(self.outcome, OK)


@dataclass(frozen=True, kw_only=True)
class Observations(Operations):
    """What nodes said of themselves. The columns below mean something only where ``ok`` is set.

    ``leader`` and ``vote`` are codes into ``History.nodes``, ``reign`` one into ``reign_names``; -1 stands for null
    there and in ``term``.
    """

    leading: Mask
    leader: Codes
    term: Ints
    reign: Ints
    vote: Codes
    reign_names: tuple[str, ...]
