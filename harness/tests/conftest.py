"""What every test of the harness has: runs that are stored in this process have a page without pictures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from splitbrain.reports.tests.runs import without_pictures


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Leave out the pictures of a run: nine tenths of the time of a short one. The tests of ``reports`` draw them."""
    with without_pictures():
        yield
