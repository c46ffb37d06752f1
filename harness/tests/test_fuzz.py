"""Hostile inputs of every format end in a refusal or a result: no other exception, and no traceback."""

from __future__ import annotations

from random import Random

import pytest

from splitbrain.tests.fuzz import FORMATS, refused_or_read

INPUTS = 1_000


@pytest.mark.simulation
@pytest.mark.parametrize("name", FORMATS)
def test_a_hostile_input_is_refused_or_read(name: str) -> None:
    form = FORMATS[name]
    read = 0
    for seed in range(INPUTS):
        try:
            read += refused_or_read(form, form.input(Random(seed)))
        except Exception as failure:
            failure.add_note(f"seed {seed}")
            raise
    assert read, "no input was read: nothing behind the reader was tested"
