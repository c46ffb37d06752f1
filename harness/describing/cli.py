"""The commands ``splitbrain init`` and ``splitbrain probe``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from splitbrain import errors


@click.command()
@click.argument("of", metavar="[PRESET|COMPOSE_FILE|IMAGE]", required=False)
@click.option("--output", type=click.Path(path_type=Path), default=None, help="The file; default: PRESET.toml.")
def init(of: str | None, output: Path | None) -> None:
    """Write a commented description of a system, to be completed; without an argument, list the presets.

    IMAGE is an image with its tag, such as nats:2.10. A file that is there already is left alone.
    """
    from splitbrain.describing.first_description import first_description, presets, usual_name

    if of is None:
        for name, words in presets().items():
            click.echo(f"{name:11} {words}")
        return
    text = first_description(of)
    file = output or usual_name(of)
    try:
        with file.open("x") as written:
            written.write(text)
    except FileExistsError:
        raise errors.UsageError(f"{file}: expected no such file yet; name another one with --output") from None
    except OSError as failure:
        raise errors.EnvironmentFailure(f"{file}: {failure.strerror}") from failure
    click.echo(f"wrote {file}; next: complete it, splitbrain doctor {file}, splitbrain probe {file}")


@click.command()
@click.argument("system")
@click.option("--nodes", type=int, default=None, help="Number of nodes; default: that of the description.")
@click.option("--seconds", default=60.0, show_default=True, help="How long the leadership is watched without faults.")
@click.option("--measure", is_flag=True, help="Then kill the leader a few times, to suggest bounds.")
def probe(system: str, nodes: int | None, seconds: float, measure: bool) -> None:
    """Start SYSTEM once on containers, without faults, and show how its nodes answer.

    For each node the answer as it comes stands beside the claim that is read from it. Exit status 0 if one leader
    came and stayed, 2 if the leadership changed though nothing happened.
    """
    from splitbrain.core.experiment import asked_for
    from splitbrain.describing.rehearsal import findings, rehearse
    from splitbrain.progress import display
    from splitbrain.user_systems.lookup import find_system

    if not 0 < seconds <= 3_600:
        raise errors.UsageError(f"--seconds: expected more than 0 and at most 3600, got {seconds:g}")
    experiment = asked_for(find_system(system), ("none",), "docker", nodes, 1.0, 0)
    console = display()
    ended = rehearse(
        experiment,
        quiet_s=seconds,
        measure=measure,
        say=lambda words: console.print(words, markup=False, highlight=False, soft_wrap=True),
    )
    for sentence in findings(ended, experiment):
        click.echo(sentence)
    if ended.problems:
        sys.exit(errors.EXIT_FAILED)
    sys.exit(errors.EXIT_UNKNOWN if ended.changes else errors.EXIT_VALID)
