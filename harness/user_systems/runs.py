"""Run an election and judge it: in simulation where the system has one, else on containers.

A system may be given as a name, a TOML file, ``package.module:Name``, a ``System``, or a class or function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from splitbrain.arguments import names, number, refused, typed, whole
from splitbrain.core.experiment import Experiment, asked_for
from splitbrain.errors import UsageError
from splitbrain.names import PRESET_AT, PRESETS, preset_named
from splitbrain.nemesis.nemeses import NemesisError
from splitbrain.nemesis.schedules import Schedule
from splitbrain.nodes.systems import SYSTEMS
from splitbrain.nodes.systems.base import System
from splitbrain.runtimes.capabilities import CAPABILITIES, refuse_unsupported
from splitbrain.user_systems.container_run import ContainerRun
from splitbrain.user_systems.judged_run import GIVEN
from splitbrain.user_systems.lookup import find_system
from splitbrain.user_systems.node_class import name_of, system_of
from splitbrain.user_systems.promises import with_preset
from splitbrain.user_systems.sim_run import SimRun
from splitbrain.workloads import USUAL

SECONDS = 20.0


def run(
    system: object,
    *,
    runtime: str | None = None,
    nodes: int | None = None,
    nemesis: str | Sequence[str] | None = None,
    schedule: Schedule | None = None,
    seconds: float | None = None,
    seed: int = 0,
    observe_period_ms: int | None = None,
    workload: str = "election",
    promises: str | None = None,
    strict: bool = False,
    store: str | Path = "store",
    again: Sequence[str] = (),
    on_broken: Callable[[], object] = lambda: None,
) -> SimRun | ContainerRun:
    """Run ``system`` on that many nodes, with that many seconds of faults (20 if not given).

    ``runtime`` is ``sim`` or ``docker``; None simulates what can be simulated. The faults are those of a ``nemesis``
    ("partition"; or several, with commas or as a sequence), or of a ``schedule``, which has a length. ``workload`` is
    one of ``workloads.kinds()``. ``promises`` is a preset ("quorum") in place of the system's promises. ``strict``: a
    known weakness that was not shown is invalid. A run on containers is kept in the folder ``store``. ``again`` are
    commands that a failure's message shows, and ``on_broken`` is called before a ``BrokenPromise`` is raised.

    Raises UsageError for impossible arguments, NodeFailure where a node of a user's class breaks, EnvironmentFailure
    where the machine or the engine does, and HarnessFailed where the harness does.
    """
    __tracebackhide__ = True
    typed(bool, "strict", strict, "True or False")
    experiment, planned = _plan(
        _system(system, promises), runtime, nodes, nemesis, schedule, seconds, seed, observe_period_ms, workload
    )
    if experiment.runtime == "docker":
        return ContainerRun.of(experiment, planned, Path(store), strict=strict, again=again, on_broken=on_broken)
    commands = (*again, *_commands(experiment, system, schedule, strict))
    return SimRun.of(experiment, planned, strict=strict, again=commands, on_broken=on_broken)


# Before


def _plan(
    system: System,
    runtime: str | None,
    nodes: int | None,
    nemesis: str | Sequence[str] | None,
    schedule: Schedule | None,
    seconds: float | None,
    seed: int,
    period_ms: int | None,
    kind: str,
) -> tuple[Experiment, Schedule]:
    if schedule is not None and (nemesis is not None or seconds is not None):
        raise UsageError("a schedule has faults and a length: give no nemesis and no seconds beside it")
    experiment = asked_for(
        system,
        _names(nemesis) if schedule is None else GIVEN,
        _runtime(runtime, system),
        None if nodes is None else whole("nodes", nodes),
        _seconds(seconds) if schedule is None else _length_s(schedule),
        whole("seed", seed),
        None if period_ms is None else whole("observe_period_ms", period_ms),
        kind,
        place=str,
    )
    try:
        planned = schedule or experiment.planned()
    except NemesisError as wrong:
        raise UsageError(f"nemesis: {wrong}") from wrong
    experiment.refuse_impossible(planned)
    refuse_unsupported(planned, experiment.runtime)
    return experiment, planned


def _runtime(given: str | None, system: System) -> str:
    if given is None:
        return "sim" if system.simulated else "docker"
    if given not in CAPABILITIES:
        raise refused("runtime", f"one of {', '.join(CAPABILITIES)}", given)
    return given


def _system(target: object, promises: str | None) -> System:
    if promises is None:
        return _of_any_kind(target)
    preset = preset_named(promises)
    if preset is None:
        raise refused("promises", f"one of {', '.join(PRESETS)}", promises)
    return with_preset(_of_any_kind(target), preset)


def _of_any_kind(target: object) -> System:
    if isinstance(target, str | Path):
        return find_system(str(target))
    if isinstance(target, System) and (target.factory is None or SYSTEMS.get(target.name) is target):
        return target
    return system_of(target, name_of(target))


def _names(nemesis: str | Sequence[str] | None) -> tuple[str, ...]:
    if nemesis is None:
        return ("partition",)
    return names("nemesis", nemesis.split(",") if isinstance(nemesis, str) else nemesis)


def _seconds(given: float | None) -> float:
    limit = SECONDS if given is None else number("seconds", given)
    if not 0 < limit <= 86_400:
        raise UsageError(f"seconds: expected more than 0 and at most 86400, got {limit:g}")
    return limit


def _length_s(schedule: Schedule) -> float:
    return typed(Schedule, "schedule", schedule, "a splitbrain.Schedule").length_ms / 1000


def _commands(experiment: Experiment, target: object, schedule: Schedule | None, strict: bool) -> tuple[str, ...]:
    """The command line that makes the same run in simulation, where one can: it needs a name."""
    option = " --strict" if strict else ""
    if not _can_be_named(experiment.system.name, target):
        return ()
    if schedule is None:
        return (f"{experiment.command}{option}",)
    if experiment.workload.observe_period_ms != USUAL["sim"].observe_period_ms:
        return ()
    return (
        f"splitbrain replay schedule.json --system {experiment.system.name} --runtime sim "
        f"--nodes {experiment.nodes} --seed {experiment.seed}{experiment.workload.option}{option}",
    )


def _can_be_named(name: str, target: object) -> bool:
    """True if the command line finds the system under that name from the current directory."""
    if isinstance(target, str) or name in SYSTEMS:
        return True
    module, _, attribute = name.partition(":")
    place = Path.cwd().joinpath(*module.split("."))
    named = all(part.isidentifier() for part in attribute.partition(PRESET_AT)[0].split("."))
    return named and (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file())
