"""Hostile inputs of every format end in a refusal or a result: no other exception, and no traceback."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbrain.tests.fuzz import FORMATS, refused_or_read

INPUTS = 1_000


@pytest.mark.simulation
@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_input_is_refused_or_read(name: str) -> None:
    form = FORMATS[name]
    read = 0

    @settings(max_examples=INPUTS, deadline=None, database=None, derandomize=True)
    @given(st.integers(0, 2**64))
    def hostile(seed: int) -> None:
        nonlocal read
        read += refused_or_read(form, form.input(Random(seed)))

    hostile()
    assert read, "no input was read: nothing behind the reader was tested"
