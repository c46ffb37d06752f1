"""The command line. Exit status: 0 every guarantee held, 1 one was broken, 2 unknown, 3 the harness or its
environment failed, 64 wrong usage. Invalid outranks unknown everywhere."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from splitbrain import errors
from splitbrain.campaigns.compare.cli import compare
from splitbrain.campaigns.hunt.cli import hunt
from splitbrain.campaigns.limit_options import limit_options
from splitbrain.campaigns.matrix.cli import matrix
from splitbrain.campaigns.soak.cli import soak
from splitbrain.describing.cli import init, probe
from splitbrain.ending import DEBUG_OPTION, conclude, words_of
from splitbrain.errors import EnvironmentFailure, Interrupted, UsageError
from splitbrain.names import ALLOW_PRIVILEGED, MODELS, OLD_PRESETS, PRESET_AT, PRESETS, Model

# Everything else is imported by the command that needs it, so that ``--help`` answers at once.
if TYPE_CHECKING:
    from splitbrain.checkers.judgement import Judgement
    from splitbrain.core.experiment import Experiment
    from splitbrain.core.run import StoredRun
    from splitbrain.core.store import RunDirectory
    from splitbrain.nemesis.nemeses import Nemesis
    from splitbrain.nemesis.schedules import Schedule
    from splitbrain.nodes.systems.base import System
    from splitbrain.plugins import Group

EVERY_SHAPE = 5  # nodes, of which every shape can be made
STATUS = {"valid": errors.EXIT_VALID, "unknown": errors.EXIT_UNKNOWN, "invalid": errors.EXIT_INVALID}

store_option = click.option(
    "--store", type=click.Path(path_type=Path), default=Path("store"), help="Where runs are kept."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
privileged_option = click.option(
    ALLOW_PRIVILEGED,
    "privileged",
    is_flag=True,
    help="Let containers of the run use devices of the machine: loop devices, and others that a description names.",
)
strict_option = click.option("--strict", is_flag=True, help="Fail if a known weakness was not reproduced.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="splitbrain")
@click.option(DEBUG_OPTION, is_flag=True, expose_value=False, help="Show the traceback of a failure, in any command.")
def cli() -> None:
    """Fault injection for leader election: two leaders, none, or the wrong one, found and shown."""


@cli.command()
@click.argument("system")
@click.option("--nemesis", "nemeses", default=None, help="Faults to inject: a nemesis, or several with commas.")
@click.option("--runtime", default="docker", show_default=True, help="Where the cluster runs.")
@click.option("--nodes", type=int, default=None, help="Number of nodes; default: that of SYSTEM, mostly 5.")
@click.option("--time-limit", default=60.0, show_default=True, help="Seconds of faults.")
@click.option("--seed", type=int, default=None, help="Seed of the schedule; default: random.")
@click.option(
    "--observe-period",
    type=int,
    default=None,
    help="Time between two observations of a node, in ms; default: 20, in simulation 100.",
)
@click.option("--workload", "kind", default="election", show_default=True, help="See `splitbrain workloads`.")
@click.option(
    "--promises",
    type=click.Choice([*PRESETS, *OLD_PRESETS]),
    default=None,
    help="Hold SYSTEM to these promises, not its own.",
)
@limit_options
@privileged_option
@store_option
@json_option
@strict_option
def test(
    system: str,
    nemeses: str | None,
    runtime: str,
    nodes: int | None,
    time_limit: float,
    seed: int | None,
    observe_period: int | None,
    kind: str,
    promises: str | None,
    memory_mb: int | None,
    pids: int | None,
    privileged: bool,
    store: Path,
    as_json: bool,
    strict: bool,
) -> None:
    """Run SYSTEM under faults, and judge the run.

    SYSTEM-NEMESIS in one word works too: `splitbrain test raft-basic-isolated-leader`. A node class of yours is named
    as package.module:Name and needs --runtime sim.
    """
    from splitbrain.core.experiment import asked_for
    from splitbrain.nodes.systems.base import Limits
    from splitbrain.user_systems.lookup import find_system

    if not 1 <= time_limit <= 86_400:
        raise UsageError(f"--time-limit: expected 1 to 86400 seconds, got {time_limit:g}")
    system, names = _system_and_nemeses(system, nemeses)
    under_test = find_system(system if promises is None else f"{system}{PRESET_AT}{promises}")
    limits = Limits(memory_mb=memory_mb, pids=pids)
    experiment = asked_for(
        under_test, names, runtime, nodes, time_limit, _seed(seed), observe_period, kind, limits=limits
    )
    _perform(experiment, _schedule(experiment), store, as_json, strict, privileged)


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--runtime", default=None, help="Replay in this runtime rather than in the one of the run.")
@click.option("--system", default=None, help="The system; that of the run, or for a bare schedule raft.")
@click.option("--trust", is_flag=True, help="Import the class that a run's record names.")
@click.option("--nodes", type=int, default=None, help="For a bare schedule: how many nodes.")
@click.option("--seed", type=int, default=None, help="Another seed than the run's.")
@click.option("--workload", "kind", default="election", show_default=True, help="For a bare schedule: the workload.")
@privileged_option
@store_option
@json_option
@strict_option
def replay(
    path: Path,
    runtime: str | None,
    system: str | None,
    trust: bool,
    nodes: int | None,
    seed: int | None,
    kind: str,
    privileged: bool,
    store: Path,
    as_json: bool,
    strict: bool,
) -> None:
    """Repeat the schedule of a run's directory, or of a SCHEDULE.json."""
    from splitbrain.core.experiment import REPLAY, Experiment, asked_for, read_json, read_schedule
    from splitbrain.core.store import EXPERIMENT, SCHEDULE
    from splitbrain.nodes.systems.base import AS_STATED
    from splitbrain.user_systems.lookup import find_recorded, find_system

    if path.is_dir():
        source = path / EXPERIMENT
        record = read_json(source)

        def find(name: str) -> System:
            return find_recorded(name, record, trusted=trust) if system is None else find_system(system)

        past = Experiment.from_json(record, str(source), find)
        if record.get("origin", {}).get("sha256") not in (None, past.system.origin.get("sha256")):
            click.echo(f"note: the source of {past.system.name} has changed since that run", err=True)
        schedule = read_schedule(path / SCHEDULE)
        same = runtime in (None, past.runtime)
        experiment = asked_for(
            past.system,
            past.nemesis,
            runtime or past.runtime,
            past.nodes,
            schedule.length_ms / 1000,
            past.seed if seed is None else seed,
            past.workload.observe_period_ms if same else None,
            past.workload.kind,
            limits=past.limits if same else AS_STATED,
        )
    else:
        schedule = read_schedule(path)
        limit = schedule.length_ms / 1000
        under_test = find_system(system or "raft")
        experiment = asked_for(under_test, REPLAY, runtime or "docker", nodes, limit, _seed(seed), None, kind)
    experiment.refuse_impossible(schedule, str(path / SCHEDULE if path.is_dir() else path))
    _perform(experiment, schedule, store, as_json, strict, privileged)


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--system", default=None, help="The system whose promises the history is held to.")
@click.option("--property", "property_", default=None, help="Judge only this property, or several with commas.")
@click.option(
    "--model", type=click.Choice(list(MODELS)), default=None, help="What clients operate on; by default, what they do."
)
@json_option
@strict_option
def check(
    path: Path, system: str | None, property_: str | None, model: Model | None, as_json: bool, strict: bool
) -> None:
    """Judge a run's directory, or a bare HISTORY.jsonl, again.

    Jepsen's history.edn and history.txt are read as well.
    """
    from splitbrain.core.judging import judge_stored, properties_named, read_history
    from splitbrain.core.store import existing_run
    from splitbrain.user_systems.lookup import find_system

    asked = None if system is None else find_system(system)
    only = None if property_ is None else properties_named(property_)
    if not path.is_dir():
        judged = judge_stored(replace(read_history(path), model=model), asked, {}, strict=strict, only=only)
        _conclude(judged.judgement, None, as_json)
    with _verdict_first(as_json):
        stored, _ = _judge_again(existing_run(path), asked, strict, only, model)
    _conclude(stored.judged.judgement, stored.directory, as_json)


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
def report(path: Path) -> None:
    """Judge a run's directory and draw its report again."""
    from splitbrain.core.run import FailedAfterVerdict, draw
    from splitbrain.core.store import SCHEDULE, existing_run

    run = existing_run(path)
    with _verdict_first(as_json=False):
        stored, record = _judge_again(run, None, strict=False)
        try:
            draw(stored, record, run.read_json(SCHEDULE))
        except OSError as failure:
            raise FailedAfterVerdict(f"no report was written: {words_of(failure)}", stored) from failure
    click.echo(str(run.report))


def _judge_again(
    run: RunDirectory,
    asked: System | None,
    strict: bool,
    only: Collection[str] | None = None,
    model: Model | None = None,
) -> tuple[StoredRun, dict[str, Any]]:
    """Judge a stored run by ``asked``, else by the system in its record; the record with its contract.

    The new verdicts are stored, unless ``only`` limits them to the properties of those names.
    """
    from splitbrain.core.judging import judge_stored, read_history
    from splitbrain.core.run import FailedAfterVerdict, StoredRun
    from splitbrain.core.store import EXPERIMENT, VERDICTS, ReadOnly
    from splitbrain.core.stored_system import stored_system

    record = run.read_json(EXPERIMENT)
    record.pop("cells", None)  # codes of the fault classes, in runs before 0.2; the contract has their names
    system = asked or stored_system(record, str(run.path / EXPERIMENT))
    history = replace(read_history(run.history), model=model)
    judged = judge_stored(history, system, record, strict=strict, only=only)
    stored = StoredRun(directory=run, judged=judged)
    try:
        if only is None:
            run.write_json(VERDICTS, stored.as_json())
    except ReadOnly as refused:
        click.echo(f"note: {refused}; nothing was written", err=True)
    except EnvironmentFailure as failure:
        raise FailedAfterVerdict(str(failure), stored) from failure
    return stored, {**record, **judged.contract.as_json()}


@cli.command()
def systems() -> None:
    """List the systems under test, and the package that each comes from."""
    from splitbrain.nodes.systems import SYSTEMS
    from splitbrain.nodes.systems.base import System

    _table("system", [*_built_in(SYSTEMS), *_shipped("systems", System)], "from")


@cli.command()
def nemeses() -> None:
    """List the nemeses: named schedules of faults."""
    from splitbrain.nemesis.nemeses import every_nemesis

    rows = ((nemesis.name, nemesis.help, _where(nemesis)) for nemesis in every_nemesis().values())
    _table("nemesis", rows, "where")


@cli.command()
def workloads() -> None:
    """List the workloads of clients."""
    from splitbrain.workloads import kinds

    _table("workload", kinds().items())


@cli.command()
def properties() -> None:
    """List the properties that histories are judged by, and the package that each comes from."""
    from splitbrain.checkers.judge import PROPERTIES, Property

    built_in = {tested.name: tested for tested in PROPERTIES}
    _table("property", [*_built_in(built_in), *_shipped("checkers", Property)], "from")


@cli.command()
@click.argument("file", required=False)
def doctor(file: str | None) -> None:
    """Check this machine for all that runs on containers need; with FILE, only that description.

    Nothing is started: `splitbrain probe FILE` does that.
    """
    if file is not None:
        from splitbrain.describing.summary import summary
        from splitbrain.user_systems.lookup import find_system

        found = find_system(file)
        for subject, words in summary(found):
            click.echo(f"ok      {subject}: {words}")
        for note in found.notes:
            click.echo(f"note    {note}")
        return
    from splitbrain.doctor import examine

    healthy = True
    for finding in examine():
        healthy = healthy and finding.fine
        click.echo(f"{'ok     ' if finding.fine else 'MISSING'} {finding.subject}: {finding.words}")
    sys.exit(errors.EXIT_VALID if healthy else errors.EXIT_FAILED)


@cli.command()
@click.option("--all", "everything", is_flag=True, help="Include the runs that are still at work.")
@click.option("--images", is_flag=True, help="The images that were built, too.")
def clean(everything: bool, images: bool) -> None:
    """Remove containers and networks that an interrupted run left behind."""
    from splitbrain.runtimes.docker.engine import connect, remove_images, remove_runs

    client = connect()
    removed = remove_runs(client, None, everything) + (remove_images(client) if images else [])
    for name in removed:
        click.echo(f"removed {name}")
    if not removed:
        click.echo("nothing was left behind")


@cli.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="Port on 127.0.0.1.")
@store_option
def serve(port: int, store: Path) -> None:
    """Show the stored runs in a browser, on 127.0.0.1 only."""
    from splitbrain.serve import serve_store

    serve_store(store, port)


cli.add_command(compare)
cli.add_command(hunt)
cli.add_command(matrix)
cli.add_command(init)
cli.add_command(probe)
cli.add_command(soak)


def _seed(given: int | None) -> int:
    return secrets.randbelow(2**31) if given is None else given


def _system_and_nemeses(system: str, nemeses: str | None) -> tuple[str, tuple[str, ...]]:
    """The names, from SYSTEM and --nemesis or from SYSTEM-NEMESIS in one word."""
    from splitbrain.nodes.systems import SYSTEMS

    if nemeses is None and system not in SYSTEMS:
        for known in sorted(SYSTEMS, key=len, reverse=True):
            if system.startswith(f"{known}-"):
                return known, tuple(system.removeprefix(f"{known}-").split("+"))
    return system, tuple((nemeses or "partition").split(","))


def _schedule(experiment: Experiment) -> Schedule:
    from splitbrain.nemesis.nemeses import NemesisError

    try:
        return experiment.planned()
    except NemesisError as wrong:
        raise UsageError(f"--nemesis: {wrong}") from wrong


def _perform(
    experiment: Experiment, schedule: Schedule, store: Path, as_json: bool, strict: bool, privileged: bool
) -> None:
    from splitbrain.core.run import perform
    from splitbrain.progress import display, shown

    with _verdict_first(as_json), shown(display()) as progress:
        stored = perform(
            experiment, schedule, store, progress=progress, say=progress.say, strict=strict, privileged=privileged
        )
    _conclude(stored.judged.judgement, stored.directory, as_json)


@contextlib.contextmanager
def _verdict_first(as_json: bool) -> Iterator[None]:
    """Print the verdict of a run that failed after it was judged."""
    from splitbrain.core.run import FailedAfterVerdict

    try:
        yield
    except FailedAfterVerdict as failure:
        _print_verdict(failure.stored.judged.judgement, failure.stored.directory, as_json)
        raise


def _conclude(judgement: Judgement, run: RunDirectory | None, as_json: bool) -> NoReturn:
    """Print the verdict, with the outcome and the headline last, and exit with its status."""
    _print_verdict(judgement, run, as_json)
    sys.exit(STATUS[judgement.outcome.word])


def _print_verdict(judgement: Judgement, run: RunDirectory | None, as_json: bool) -> None:
    """Raises EnvironmentFailure, which holds the verdict, if standard output does not take it."""
    verdicts = judgement.as_json(None if run is None else str(run.path))
    outcome = judgement.outcome.word.upper()
    try:
        if as_json:
            click.echo(json.dumps(verdicts))
            return
        for judged in judgement.properties:
            click.echo(f"{judged.outcome.word:>8}  {judged.name}: {judged.observed.value}: {judged.words}")
        for sentence in judgement.incidents:
            click.echo(f"    note  {sentence}")
        if judgement.not_judged:
            click.echo(f"not judged: {', '.join(judged.name for judged in judgement.not_judged)}")
        if run is not None:
            click.echo(f"report: {run.report}")
        click.echo(f"{outcome}: {judgement.words}")
    except OSError as failure:
        where = "" if run is None else f"  {run.report}"
        raise EnvironmentFailure(f"standard output: {words_of(failure)}; the verdict: {outcome}{where}") from failure


class _Described(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


def _built_in(parts: Mapping[str, _Described]) -> list[tuple[str, str, str]]:
    return [(part.name, part.help, "splitbrain") for part in parts.values()]


def _shipped(group: Group, kind: type[_Described]) -> list[tuple[str, str, str]]:
    """Name, description and package of each part that other packages ship."""
    from splitbrain.plugins import shipped

    return [(name, part.value.help, part.package) for name, part in shipped(group, kind).items()]


def _where(nemesis: Nemesis) -> str:
    """The runtimes that can do all its faults, and wait for all its events."""
    from splitbrain.nemesis.nemeses import needs
    from splitbrain.runtimes.capabilities import CAPABILITIES

    cards, needed = nemesis.deck(EVERY_SHAPE), needs(nemesis, EVERY_SHAPE)
    events = {card.when.event for card in cards if card.when is not None}
    able = {name: powers for name, powers in CAPABILITIES.items() if events <= powers.triggers}
    return ", ".join(
        name if needed <= powers.faults else f"{name} with {ALLOW_PRIVILEGED}"
        for name, powers in able.items()
        if needed <= powers.faults | powers.privileged
    )


def _table(title: str, rows: Any, *more: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title, "description", *more, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console()
    with console.capture() as printed:  # rich itself would end with status 1 when the pipe is closed
        console.print(table)
    click.echo(printed.get(), nl=False)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; every exception that is no verdict ends with status 3 or 64 and one message."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    conclude(lambda: _run([word for word in words if word != DEBUG_OPTION]), debug=DEBUG_OPTION in words)


def _run(words: list[str]) -> None:
    # click's own main() would end with status 1, a broken promise, when a pipe is closed.
    if "_SPLITBRAIN_COMPLETE" in os.environ:
        cli.main(words, prog_name="splitbrain")
    try:
        with cli.make_context("splitbrain", words) as context:
            cli.invoke(context)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort as aborted:
        raise Interrupted("aborted") from aborted
    except click.ClickException as wrong:
        raise UsageError(wrong.format_message()) from wrong
