"""Observations grouped by term, for the properties that need no clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitbrain.checkers.operations import Codes, Ints, Mask


@dataclass(frozen=True, kw_only=True)
class ByTerm:
    """Observation rows sorted by term.

    ``terms`` are the distinct terms in ascending order; ``starts`` are the positions in ``rows`` at which each begins.
    """

    rows: Ints
    terms: Ints
    starts: Ints

    @classmethod
    def of(cls, rows: Ints, term: Ints) -> ByTerm:
        """Group ``rows`` (indexes of observations) by ``term``, which has one entry per observation."""
        rows = rows[np.argsort(term[rows], kind="stable")]
        sorted_terms = term[rows]
        starts = np.flatnonzero(np.diff(sorted_terms, prepend=-1))
        return cls(rows=rows, terms=sorted_terms[starts], starts=starts)

    def differs(self, column: Codes) -> Mask:
        """Mask of the terms whose rows have more than one value in the column."""
        if not len(self.rows):
            return np.zeros(0, bool)
        values = column[self.rows]
        least, most = np.minimum.reduceat(values, self.starts), np.maximum.reduceat(values, self.starts)
        return np.not_equal(least, most)

    def rows_of(self, at: int) -> NDArray[np.int64]:
        """The rows of term number ``at``, in the order of their invocations."""
        end = self.starts[at + 1] if at + 1 < len(self.starts) else len(self.rows)
        return self.rows[self.starts[at] : end]
