"""The command ``splitbrain soak``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from splitbrain import errors
from splitbrain.campaigns.limit_options import limit_options


@click.command()
@click.argument("systems", nargs=-1)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Minimum duration; the last round is finished.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the schedules.")
@limit_options
@click.option("--store", type=click.Path(path_type=Path), default=Path("store"), help="Directory for stored runs.")
def soak(
    systems: tuple[str, ...], minutes: float, seed: int, memory_mb: int | None, pids: int | None, store: Path
) -> None:
    """Run SYSTEMS (default: all) on containers under all kinds of fault, and report leaked resources.

    Writes soak.csv and soak.png into the store. Exit status: 1 a promise was broken, 3 a run failed or a resource
    leaked.
    """
    import pandas as pd

    from splitbrain.campaigns.soak.runs import grown, runs
    from splitbrain.core.store import make_store
    from splitbrain.nodes.systems import SYSTEMS
    from splitbrain.nodes.systems.base import Limits
    from splitbrain.progress import display
    from splitbrain.reports.soak import write

    make_store(store)
    console, limits = display(), Limits(memory_mb=memory_mb, pids=pids)
    rows: list[dict[str, Any]] = []
    try:
        for row in runs(systems or tuple(SYSTEMS), minutes, seed, store, console, limits):
            rows.append(row)
    finally:
        frame = pd.DataFrame(rows)
        if rows:
            write(frame, store)
    found = grown(frame)
    failed, unverified = int((frame["verdict"] == "failed").sum()), int(frame["unverified"].sum())
    click.echo(
        f"{len(frame)} runs, {int(frame['faults'].sum())} faults injected and healed, {unverified} not verified; "
        f"{failed} runs failed; {'; '.join(found) or 'no resource leaked'}  {store / 'soak.png'}"
    )
    if found or failed:
        sys.exit(errors.EXIT_FAILED)
    sys.exit(errors.EXIT_INVALID if (frame["verdict"] == "invalid").any() else errors.EXIT_VALID)
