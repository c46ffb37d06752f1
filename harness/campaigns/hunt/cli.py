"""The command ``splitbrain hunt``: search, shrink, save.

Exit status: 0 nothing found within the limits, 1 a promise was broken, 2 nothing was put to the test, 3 the harness or
its environment failed, 64 wrong usage.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain import errors
from splitbrain.errors import UsageError
from splitbrain.names import OLD_PRESETS, PRESET_AT, PRESETS

if TYPE_CHECKING:
    from rich.console import Console

    from splitbrain.campaigns.hunt.coverage import Coverage
    from splitbrain.campaigns.hunt.save import SavedFinding
    from splitbrain.campaigns.hunt.search import Hit, HuntTarget, SearchResult

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
@click.option(
    "--nodes", type=int, default=None, help="Size of the largest cluster; default: 5, and sometimes 11 or 12."
)
@click.option("--nemesis", "nemeses", default=None, help="Draw faults from these nemeses only, with commas.")
@click.option(
    "--without", default=None, help="Draw no faults of these nemeses or fault classes, with commas: state-loss,drift."
)
@click.option(
    "--workload", "kind", default=None, help="The workload; default: election, and those that the promises concern."
)
@click.option(
    "--promises",
    type=click.Choice([*PRESETS, *OLD_PRESETS]),
    default=None,
    help="Hold SYSTEM to these promises, not its own.",
)
@click.option("--keep-going", is_flag=True, help="Search on after a find, and report each broken promise once.")
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
    nodes: int | None,
    nemeses: str | None,
    without: str | None,
    kind: str | None,
    promises: str | None,
    keep_going: bool,
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

    target = _target(
        system if promises is None else f"{system}{PRESET_AT}{promises}", nodes, property_, nemeses, without, kind
    )
    _check_limits(seconds=seconds, schedules=schedules, cores=cores)
    make_store(store)
    seed = secrets.randbelow(2**31) if seed is None else seed
    console = display()
    options = {
        "--nodes": nodes,
        "--seed": seed,
        "--property": property_,
        "--nemesis": nemeses,
        "--without": without,
        "--workload": kind,
        "--seconds": seconds,
        "--schedules": schedules,
    }
    given = "".join(f" {option} {value}" for option, value in options.items() if value is not None)
    command = f"splitbrain hunt {shlex.quote(target.system)}{given}{' --keep-going' if keep_going else ''}"
    console.print(f"seed {seed}: {command}", markup=False, highlight=False, soft_wrap=True)
    with console.status("hunting") as status:
        result = search(
            target,
            seed=seed,
            seconds=seconds or (SECONDS if schedules is None else inf),
            schedules=schedules,
            cores=cores or os.cpu_count() or 1,
            keep_going=keep_going,
            so_far=lambda result: status.update(f"hunting: {_amount(result)}"),
        )
        findings = [_shrink_and_save(hit, store, status.update) for hit in result.hits.values()]
    for folder in [_folder(finding) for finding in findings] or [store / target.name]:
        write_coverage(result.coverage, folder)
    confirmed = [_confirm(finding, confirm_times, store, console) for finding in findings if confirm_times]
    _print(target, findings, result, confirmed, as_json)
    if show_coverage:
        _print_coverage(result.coverage, as_json)
    sys.exit(STATUS[_verdict(findings, result)])


def _target(
    system: str, nodes: int | None, property_: str | None, nemeses: str | None, without_: str | None, kind: str | None
) -> HuntTarget:
    """The target of the hunt. Raises UsageError for an invalid one."""
    from splitbrain.campaigns.hunt.search import HuntTarget, rare_sizes_of, sizes, usual_size, without, workloads_of
    from splitbrain.core.experiment import asked_for
    from splitbrain.user_systems.lookup import find_system

    under_test = find_system(system)
    largest = usual_size(under_test) if nodes is None else nodes
    asked_for(under_test, (), "sim", largest, SECONDS, 0, None, "election" if kind is None else kind)
    if kind == "writes" and "set" not in under_test.features:
        raise UsageError(f"--workload: {system} keeps no set that clients could write to, got writes")
    wanted = _wanted(property_)
    target = HuntTarget(
        system=system,
        nodes=largest,
        wanted=wanted,
        rare_sizes=rare_sizes_of(under_test) if nodes is None else (),
        nemeses=_simulated(_nemeses("--nemesis", nemeses)),
        workloads=workloads_of(under_test, wanted) if kind is None else (kind,),  # type: ignore[arg-type]
    )
    if not target.workloads:
        raise UsageError(f"--property: {property_} is about operations that no workload of the simulation has")
    if without_ is not None:
        target = replace(target, nemeses=without(target, _excluded(without_)))
    if not sizes(target):
        raise UsageError(f"--nemesis, --without: no nemesis is left that {system} on up to {largest} nodes can have")
    return target


def _wanted(property_: str | None) -> str | None:
    from splitbrain.campaigns.hunt.case import meant
    from splitbrain.invariants.registry import INVARIANTS

    known = [*sorted(meant(None)), "votes", *INVARIANTS]
    if property_ is not None and property_ not in known:
        raise UsageError(f"--property: expected one of {', '.join(known)}, got {property_!r}")
    return property_


def _nemeses(option: str, names: str | None, also: Collection[str] = ()) -> tuple[str, ...] | None:
    """The names that commas separate; None for all."""
    from splitbrain.nemesis.nemeses import ALL, NEMESES

    asked = None if names is None or names == ALL else tuple(dict.fromkeys(names.split(",")))
    for name in asked or ():
        if name == ALL or name not in (*NEMESES, *also):
            near = get_close_matches(name, [*NEMESES, *also], n=1)
            hint = f"; perhaps {near[0]}?" if near else f": expected some of {', '.join((*NEMESES, *also))}"
            raise UsageError(f"{option}: there is no {name!r}{hint}")
    return asked


def _simulated(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Return the names. Raises UsageError for one of which a simulation can do nothing."""
    from splitbrain.nemesis.nemeses import NEMESES

    for name in names or ():
        if not NEMESES[name].simulated:
            raise UsageError(f"--nemesis: expected what a simulation can do, in which hunts run, got {name!r}")
    return names


def _excluded(names: str) -> tuple[str, ...]:
    from splitbrain.names import FAULT_CLASSES

    return _nemeses("--without", names, FAULT_CLASSES) or ()


def _check_limits(*, seconds: float | None, schedules: int | None, cores: int | None) -> None:
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds: expected more than 0, got {seconds:g}")
    for name, value in (("schedules", schedules), ("cores", cores)):
        if value is not None and value < 1:
            raise UsageError(f"--{name}: expected at least 1, got {value}")


def _shrink_and_save(hit: Hit, store: Path, say: Callable[[str], None]) -> SavedFinding:
    from splitbrain.campaigns.hunt.save import save
    from splitbrain.campaigns.hunt.shrink import shrink

    say(f"found {hit.signature} with {len(hit.case.schedule.steps)} faults; shrinking")
    small = shrink(hit.case, hit.signature)
    say(f"shrunk to {len(small.case.schedule.steps)} faults; storing the run")
    return save(small.case, hit.signature, store)


def _folder(finding: SavedFinding) -> Path:
    return finding.stored.directory.path


def _print(
    target: HuntTarget,
    findings: Sequence[SavedFinding],
    result: SearchResult,
    confirmed: Sequence[dict[str, Any]],
    as_json: bool,
) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(findings, result, confirmed)))
    elif not findings:
        click.echo(_nothing(target, result))
    for at, finding in enumerate(() if as_json else findings):
        click.echo(f"{finding.story}\n\nagain: {finding.replay}\n\n{finding.test}")
        if confirmed:
            click.echo(confirmed[at]["words"])
        often = f"in {result.times[finding.signature]} of {_amount(result)}"
        click.echo(f"BROKEN {finding.signature} {often}  {_folder(finding) / 'report.html'}")
    if findings and not as_json and _declares_nothing(target.system):
        click.echo(
            f"note: {target.system} declares no promises, so it is held to all of them; a plain Raft keeps those of "
            "--promises quorum"
        )


def _declares_nothing(system: str) -> bool:
    """True for a class whose promises are those of every class that says nothing."""
    from splitbrain.user_systems.lookup import find_system
    from splitbrain.user_systems.promises import says_nothing

    return ":" in system and says_nothing(find_system(system).promises)


def _nothing(target: HuntTarget, result: SearchResult) -> str:
    if not result.cases:
        return "UNKNOWN: no schedule was run to its end within the time, so nothing was searched"
    if not result.tested:
        return (
            f"UNKNOWN: none of {_amount(result)} put {target.wanted or 'a promise'} to the test: {target.system} does "
            "not guarantee it under these faults, or has no such messages, answers or operations"
        )
    return f"NOTHING FOUND in {_amount(result)}{_bound(result)}{_overlaps(result)}"


def _verdict(findings: Sequence[SavedFinding], result: SearchResult) -> str:
    if findings:
        return "invalid"
    return "valid" if result.tested else "unknown"


def _as_json(
    findings: Sequence[SavedFinding], result: SearchResult, confirmed: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The object that ``--json`` prints: the fields of ``test`` for the first finding, and ``hunt``.

    A white-box finding makes the verdict invalid even where every judged property holds.
    """
    verdict = findings[0].stored.as_json() if findings else {"run": None, "properties": {}}
    found = [{**finding.as_json(), "times": result.times[finding.signature]} for finding in findings]
    for entry, each in zip(found, confirmed, strict=False):
        entry["confirmed"] = each
    return {
        **verdict,
        "verdict": _verdict(findings, result),
        "hunt": {
            "schedules": result.cases,
            "tested": result.tested,
            "simulated_s": round(result.simulated_s, 1),
            "cpu_s": round(result.cpu_s, 1),
            "reigns": result.reigns,
            "states": len(result.coverage.states),
            "overlaps": {"true": result.overlaps, "proven": result.proven},
            "found": found[0] if found else None,
            "all_found": found,
            **({"confirmed": confirmed[0]} if confirmed else {}),
        },
    }


def _amount(result: SearchResult) -> str:
    hours = result.simulated_s / 3600
    states = len(result.coverage.states)
    return f"{result.cases} schedules, {hours:.2f} simulated hours, {result.reigns} reigns, {states} election states"


def _bound(result: SearchResult) -> str:
    """Upper bound of the hit rate after a search without a hit, in words (the rule of three)."""
    if result.tested <= NINETY_FIVE_PERCENT:
        return ""
    share = NINETY_FIVE_PERCENT / result.tested
    untested = "" if result.tested == result.cases else f" (of {result.tested} that put it to the test)"
    return f": fewer than {share:.2%} of schedules drawn this way{untested} break a promise, at 95 % confidence"


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
