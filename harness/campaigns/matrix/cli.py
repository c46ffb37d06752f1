"""The command ``splitbrain matrix``.

Exit status: 0 no promise was broken, 1 one was, 2 nothing was judged, 3 a run failed for another reason,
64 wrong usage.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from splitbrain import errors
from splitbrain.campaigns.limit_options import limit_options
from splitbrain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from splitbrain.campaigns.matrix.results import Result

SHORT_S = 20 * 60.0
UNITS = {"s": 1, "m": 60, "h": 3600}


@click.command()
@click.argument("systems", nargs=-1)
@click.option("--runtime", "runtimes", multiple=True, help="Only this runtime; default: both.")
@click.option(
    "--fault-class", "fault_classes", multiple=True, help="Only this fault class, for example leader-isolated."
)
@click.option("--budget", default=None, help="Time budget, for example 90m; default: 20m, with --full unlimited.")
@click.option("--full", is_flag=True, help="Run every entry, without a time budget.")
@click.option("--seed", type=int, default=None, help="Seed of the schedules; default: random.")
@limit_options
@click.option("--store", type=click.Path(path_type=Path), default=Path("store"), help="Directory for stored runs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def matrix(
    systems: tuple[str, ...],
    runtimes: tuple[str, ...],
    fault_classes: tuple[str, ...],
    budget: str | None,
    full: bool,
    seed: int | None,
    memory_mb: int | None,
    pids: int | None,
    store: Path,
    as_json: bool,
) -> None:
    """Run SYSTEMS (default: all) under every fault class, and compare the results with their promises.

    Writes matrix.html, matrix.csv, matrix.md and matrix.xml (JUnit) into the store, beside the runs.
    """
    from splitbrain import reports
    from splitbrain.campaigns.matrix.campaign import campaign
    from splitbrain.campaigns.matrix.entries import entries
    from splitbrain.core.store import make_store
    from splitbrain.nodes.systems.base import Limits
    from splitbrain.progress import display
    from splitbrain.runtimes.capabilities import known_runtime

    budget_s = _seconds(budget) if budget is not None else float("inf") if full else SHORT_S
    seed = secrets.randbelow(2**31) if seed is None else seed
    worlds = [known_runtime(name) for name in runtimes] or ("sim", "docker")
    planned = entries(systems, worlds, fault_classes, Limits(memory_mb=memory_mb, pids=pids))
    make_store(store)
    console = display()
    command = " ".join(
        (
            "splitbrain matrix",
            *systems,
            *(f"--runtime {name}" for name in runtimes),
            *(f"--fault-class {name}" for name in fault_classes),
            *(["--full"] if full else []),
            *([f"--budget {budget}"] if budget is not None else []),
            *([f"--memory {memory_mb}"] if memory_mb is not None else []),
            *([f"--pids {pids}"] if pids is not None else []),
            f"--seed {seed}",
        )
    )
    console.print(f"seed {seed}: {command}; {len(planned)} entries", highlight=False, soft_wrap=True)
    results: list[Result] = []
    try:
        for result in campaign(planned, seed, store, budget_s, lambda done: _print_result(done, console)):
            results.append(result)
    finally:
        record = {"command": command, "seed": seed, "results": [result.as_json() for result in results]}
        reports.matrix(record, store)
    counts = Counter(result.status for result in results)
    if as_json:
        click.echo(json.dumps(record))
    else:
        for result in results:
            if result.status == "broken promise":
                click.echo(f"{result.entry.system} {result.entry.fault_class}: {result.words}: {result.command}")
        click.echo(f"{', '.join(f'{count} {status}' for status, count in counts.items())}  {store / 'matrix.html'}")
    sys.exit(
        errors.EXIT_INVALID
        if counts["broken promise"]
        else errors.EXIT_FAILED
        if counts["failed"]
        else errors.EXIT_VALID
        if counts["as expected"] or counts["not shown"]
        else errors.EXIT_UNKNOWN
    )


def _print_result(result: Result, console: Console) -> None:
    entry = result.entry
    violated = ", ".join(guarantee for guarantee, observed in result.observed.items() if observed == "violated")
    seen = f", violated: {violated}" if violated else ""
    line = f"{entry.runtime:>6}  {entry.system} {entry.fault_class}: {result.status}{seen}. {result.words}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise UsageError(f"--budget: expected a time (90m, 2h or 600s, for example), got {text!r}")
    return float(found[1]) * UNITS[found[2] or "s"]
