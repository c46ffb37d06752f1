"""The command ``splitbrain hunt``: search, shrink, save.

Exit status: 0 nothing found within the limits, 1 a promise was broken, 2 no schedule was run, 3 the harness or its
environment failed, 64 wrong usage.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain import errors
from splitbrain.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from splitbrain.campaigns.hunt.coverage import Coverage
    from splitbrain.campaigns.hunt.save import SavedFinding
    from splitbrain.campaigns.hunt.search import HuntTarget, SearchResult

SECONDS = 60.0
STATUS = {"valid": errors.EXIT_VALID, "unknown": errors.EXIT_UNKNOWN, "invalid": errors.EXIT_INVALID}
NINETY_FIVE_PERCENT = 3  # rule of three: after N cases without a hit, the hit rate is below 3 / N at 95 % confidence


@click.command()
@click.argument("system")
@click.option(
    "--property",
    "property_",
    default=None,
    help="Search for violations of this property only; 'votes' checks the nodes' inner state.",
)
@click.option("--seconds", type=float, default=None, help=f"Time limit of the search.  [default: {SECONDS:g}]")
@click.option(
    "--schedules",
    type=int,
    default=None,
    help="Maximum number of schedules; the default time limit does not apply then.",
)
@click.option("--cores", type=int, default=None, help="Number of processes; default: one per core.")
@click.option("--seed", type=int, default=None, help="Seed of the stream of cases; default: random.")
@click.option("--nodes", default=5, show_default=True, help="Size of the largest cluster.")
@click.option("--store", type=click.Path(path_type=Path), default=Path("store"), help="Directory for stored runs.")
@click.option("--coverage", "show_coverage", is_flag=True, help="Print the coverage of the search.")
@click.option(
    "--confirm",
    "confirm_times",
    type=click.IntRange(min=0),
    default=0,
    help="Number of runs of the finding on containers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def hunt(
    system: str,
    property_: str | None,
    seconds: float | None,
    schedules: int | None,
    cores: int | None,
    seed: int | None,
    nodes: int,
    store: Path,
    show_coverage: bool,
    confirm_times: int,
    as_json: bool,
) -> None:
    """Search for a fault schedule under which SYSTEM breaks a promise, and shrink it.

    The search runs in simulation. A finding is stored as a run and printed as a one-line story, with a command that
    replays it and a test that reproduces it.
    """
    from splitbrain.campaigns.hunt.save import write_coverage
    from splitbrain.campaigns.hunt.search import hunt as search
    from splitbrain.core.store import make_store
    from splitbrain.progress import display

    target = _target(system, nodes, property_)
    _check_limits(seconds=seconds, schedules=schedules, cores=cores)
    make_store(store)
    seed = secrets.randbelow(2**31) if seed is None else seed
    console = display()
    limits = {"--property": property_, "--seconds": seconds, "--schedules": schedules}
    given = "".join(f" {option} {value}" for option, value in limits.items() if value is not None)
    command = f"splitbrain hunt {shlex.quote(system)} --nodes {nodes} --seed {seed}{given}"
    console.print(f"seed {seed}: {command}", markup=False, highlight=False, soft_wrap=True)
    with console.status("hunting") as status:
        result = search(
            target,
            seed=seed,
            seconds=seconds or (SECONDS if schedules is None else inf),
            schedules=schedules,
            cores=cores or os.cpu_count() or 1,
            so_far=lambda result: status.update(f"hunting: {_amount(result)}"),
        )
        finding = _shrink_and_save(result, store, status.update)
    folder = store / target.name if finding is None else _folder(finding)
    write_coverage(result.coverage, folder)
    confirmed = _confirm(finding, confirm_times, store, console) if finding is not None and confirm_times else None
    _print(finding, result, confirmed, as_json)
    if show_coverage:
        _print_coverage(result.coverage, as_json)
    sys.exit(STATUS[_verdict(finding, result)])


def _target(system: str, nodes: int, property_: str | None) -> HuntTarget:
    """The target of the hunt. Raises UsageError for an invalid one."""
    from splitbrain.campaigns.hunt.search import HuntTarget
    from splitbrain.checkers.judge import PROPERTIES
    from splitbrain.core.experiment import refuse_cluster
    from splitbrain.invariants.registry import INVARIANTS
    from splitbrain.user_systems.lookup import find_system

    under_test = find_system(system)
    refuse_cluster(under_test, "sim", nodes)
    known = [tested.name for tested in PROPERTIES if tested.guarantees and not tested.needs] + ["votes", *INVARIANTS]
    if property_ is not None and property_ not in known:
        raise UsageError(f"--property: expected one of {', '.join(known)}, got {property_!r}")
    return HuntTarget(system=system, nodes=nodes, wanted=property_)


def _check_limits(*, seconds: float | None, schedules: int | None, cores: int | None) -> None:
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds: expected more than 0, got {seconds:g}")
    for name, value in (("schedules", schedules), ("cores", cores)):
        if value is not None and value < 1:
            raise UsageError(f"--{name}: expected at least 1, got {value}")


def _shrink_and_save(result: SearchResult, store: Path, say: Callable[[str], None]) -> SavedFinding | None:
    from splitbrain.campaigns.hunt.save import save
    from splitbrain.campaigns.hunt.shrink import shrink

    if result.hit is None:
        return None
    faults = len(result.hit.case.schedule.steps)
    say(f"found {result.hit.signature} with {faults} faults; shrinking")
    small = shrink(result.hit.case, result.hit.signature)
    say(f"shrunk to {len(small.case.schedule.steps)} faults; storing the run")
    return save(small.case, result.hit.signature, store)


def _folder(finding: SavedFinding) -> Path:
    return finding.stored.directory.path


def _print(finding: SavedFinding | None, result: SearchResult, confirmed: dict[str, Any] | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(finding, result, confirmed)))
    elif not result.cases:
        click.echo("UNKNOWN: no schedule was run to its end within the time, so nothing was searched")
    elif finding is None:
        click.echo(f"NOTHING FOUND in {_amount(result)}{_bound(result)}{_overlaps(result)}")
    else:
        click.echo(f"{finding.story}\n\nagain: {finding.replay}\n\n{finding.test}")
        if confirmed is not None:
            click.echo(confirmed["words"])
        click.echo(f"BROKEN {finding.signature} after {_amount(result)}  {_folder(finding) / 'report.html'}")


def _verdict(finding: SavedFinding | None, result: SearchResult) -> str:
    if finding is not None:
        return "invalid"
    return "valid" if result.cases else "unknown"


def _as_json(finding: SavedFinding | None, result: SearchResult, confirmed: dict[str, Any] | None) -> dict[str, Any]:
    """The object that ``--json`` prints: the fields of ``test``, and ``hunt``.

    A white-box finding makes the verdict invalid even where every judged property holds.
    """
    verdict = {"run": None, "properties": {}} if finding is None else finding.stored.as_json()
    return {
        **verdict,
        "verdict": _verdict(finding, result),
        "hunt": {
            "schedules": result.cases,
            "simulated_s": round(result.simulated_s, 1),
            "cpu_s": round(result.cpu_s, 1),
            "states": len(result.coverage.states),
            "overlaps": {"true": result.overlaps, "proven": result.proven},
            "found": None if finding is None else finding.as_json(),
            **({} if confirmed is None else {"confirmed": confirmed}),
        },
    }


def _amount(result: SearchResult) -> str:
    hours = result.simulated_s / 3600
    return f"{result.cases} schedules, {hours:.2f} simulated hours, {len(result.coverage.states)} election states"


def _bound(result: SearchResult) -> str:
    """Upper bound of the hit rate after a search without a hit, in words (the rule of three)."""
    if result.cases <= NINETY_FIVE_PERCENT:
        return ""
    share = NINETY_FIVE_PERCENT / result.cases
    return f": fewer than {share:.2%} of schedules drawn this way break a promise, at 95 % confidence"


def _overlaps(result: SearchResult) -> str:
    """How many pairs of leaders at one instant there were, and how many of them observation proves, in words."""
    if not result.overlaps:
        return ""
    share = result.proven / result.overlaps
    return (
        f"\ntwo leaders at one instant {result.overlaps} times by the nodes' own state, "
        f"of which observation proves {result.proven} ({share:.0%})"
    )


def _print_coverage(coverage: Coverage, to_stderr: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from splitbrain.campaigns.hunt.save import coverage_rows

    heading, *rows = coverage_rows(coverage)
    table = Table(*heading, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    with console.capture() as printed:
        console.print(table)
    cases, states = coverage.cases, len(coverage.states)
    click.echo(
        f"{printed.get()}{states} distinct election states in {cases} schedules; estimated probability that the next "
        f"one is new {coverage.chance_of_new:.2%}, "
        f"estimated lower bound of unseen states {coverage.unseen_at_least:.0f}",
        err=to_stderr,
    )


def _confirm(finding: SavedFinding, times: int, store: Path, console: Console) -> dict[str, Any]:
    from splitbrain.campaigns.hunt.confirm import confirm
    from splitbrain.campaigns.hunt.save import save_confirmed

    def say(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    found = confirm(finding.case, finding.signature, times, store, say)
    save_confirmed(finding, found, store)
    return found.as_json()
