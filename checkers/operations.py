"""Operations of a history as columns: one row per invocation, in the order of the invoke lines.

Columns rather than objects, because a history may hold a million observations and every checker reads all of them.
Times are integer ns on the history's clock, so rows sorted by line are also sorted by ``invoke``. A claim observed in
[invoke, complete] holds at some instant of that closed window, not throughout it (Gibbons and Korach 1997, on reads
of a register).
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
    """All invocations of one ``f``; every column has one entry per row.

    ``node`` is an index into ``History.nodes`` (-1: none). ``invoke`` and ``complete`` are ns. ``outcome`` is 0 for ok,
    1 for fail, 2 for info or never completed; an operation that never completed has -1 for ``complete`` and
    ``complete_index``. The index columns number history lines from 0. ``process`` is the client, ``asked`` and
    ``answered`` are the values of the invocation and the completion. These three are empty for observe and confirm,
    of which a history may hold millions.
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
        """Mask of the rows that completed with ok."""
        return np.equal(self.outcome, OK)


@dataclass(frozen=True, kw_only=True)
class Observations(Operations):
    """The claims of nodes about themselves. The columns below are valid only where ``ok`` is set.

    ``leader`` and ``vote`` are indexes into ``History.nodes``, ``reign`` is one into ``reign_names``. ``term`` is the
    node's, ``leader_term`` that of the leadership that it names, which is not known where a node may go on to name a
    leader of an earlier term. -1 stands for null in all of them.
    """

    leading: Mask
    leader: Codes
    term: Ints
    leader_term: Ints
    reign: Ints
    vote: Codes
    reign_names: tuple[str, ...]
