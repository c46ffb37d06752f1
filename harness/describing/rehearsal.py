"""A rehearsal of a description: the system is started without faults, and its answers are shown beside the claims.

It ends with what the figures of a description rest on: how long answers and confirmations take, whether the leadership
is stable when nothing happens, and, if leaders may be killed, how long the others take to elect another one.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import median

from splitbrain.checkers.failed_probes import unusable
from splitbrain.checkers.history import History
from splitbrain.checkers.words import counted, duration, listed, times
from splitbrain.core.experiment import Experiment, cluster_of
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.simulate import EntriesRecorder
from splitbrain.core.warm_up import until_led
from splitbrain.errors import EnvironmentFailure
from splitbrain.nemesis.faults import Kill
from splitbrain.nemesis.plans import Plan, plan
from splitbrain.nodes.clients.answers import printable
from splitbrain.runtimes import runtime_named
from splitbrain.runtimes.base import Cluster, Facts, Say
from splitbrain.units import MS
from splitbrain.workloads.clients import Claim, OperationRecorder
from splitbrain.workloads.observers import Observers

LOOK_NS = 500 * MS
SHOWN = 300  # characters of an answer
LEAST_PATIENCE_NS = 10_000 * MS
KILLS = 3
HEADROOM = 3  # a bound is this many times the longest that was seen
KILL = Kill(target="leader")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """A rehearsal that has ended.

    ``changes`` counts the changes of leader in ``quiet_s`` without faults. ``elections`` are the times (ns) from the
    kill of a leader until all others agreed on another one.
    """

    history: History
    leader: str
    quiet_s: float
    changes: int
    elections: tuple[int, ...]
    problems: tuple[str, ...]


def rehearse(experiment: Experiment, *, quiet_s: float, measure: bool, say: Say) -> Rehearsal:
    """Start the system, look at it, and remove it again.

    Raises UsageError or EnvironmentFailure, with what the nodes answered, if no leader comes in time.
    """
    stage = _Stage(experiment, quiet_s, measure, say)
    spec = replace(cluster_of(experiment), needs=frozenset(KILL.required()))
    with tempfile.TemporaryDirectory(prefix="splitbrain-") as logs:
        run = runtime_named(experiment.runtime)
        facts = run(spec, stage.play, Path(logs), say, lambda phase: say(f"{phase} ..."))
    return stage.ended(facts)


class _Stage:
    """The clients and the steps of one rehearsal."""

    def __init__(self, experiment: Experiment, quiet_s: float, measure: bool, say: Say) -> None:
        self._experiment = experiment
        self._quiet_ns = round(quiet_s * 1e9)
        self._measure = measure
        self._say = say
        self._recorder = EntriesRecorder()
        self._view = LeaderView(experiment.node_names, fresh_ns=experiment.bounds.stall_ns // 2)
        self._changes = 0
        self._leader = ""
        self._elections: list[int] = []

    def ended(self, facts: Facts) -> Rehearsal:
        return Rehearsal(
            history=History.from_entries(self._recorder.entries, "memory"),
            leader=self._leader,
            quiet_s=self._quiet_ns / 1e9,
            changes=self._changes,
            elections=tuple(self._elections),
            problems=facts.problems,
        )

    async def play(self, cluster: Cluster) -> None:
        self._recorder.start_clock(cluster.now)
        experiment, view = self._experiment, self._view
        asked = cluster.nodes if experiment.system.confirms else ()
        operations = OperationRecorder(self._recorder, itertools.count())
        observers = Observers(cluster, self._recorder, operations, view, experiment.workload, asked)
        screen = _Screen(cluster, view, self._say)

        async def steps() -> None:
            self._say("each node's answer, and the claim that is read from it:")
            await until_led(cluster, experiment, view, self._recorder)
            await self._until_agreed(cluster, cluster.nodes)
            self._leader = view.view(cluster.now()).leader or ""
            await screen.show()
            await self._stay_quiet(cluster, screen)
            for _ in range(KILLS if self._measure else 0):
                await self._kill_leader(cluster, screen)
            screen.stop()
            observers.stop()

        await cluster.run_all(steps(), [screen.show_changes(), *observers.jobs()])

    async def _stay_quiet(self, cluster: Cluster, screen: _Screen) -> None:
        self._say(f"{self._leader} leads; {duration(self._quiet_ns)} without faults ...")
        before = len(_leaderships(self._view))
        alarm = cluster.alarm()
        await alarm.wait_until(cluster.now() + self._quiet_ns)
        self._changes = len(_leaderships(self._view)) - before

    async def _kill_leader(self, cluster: Cluster, screen: _Screen) -> None:
        """Kill the leader once, and measure how long it takes until the others agree on another one."""
        await self._until_agreed(cluster, cluster.nodes)
        aimed = plan(KILL, self._view.view(cluster.now()), Random(0))
        if not isinstance(aimed, Plan):
            raise EnvironmentFailure("no leader to kill, though all nodes had just agreed on one")
        began = cluster.now()
        self._say(f"killing {listed(aimed.nodes)} ...")
        await cluster.inflict(aimed)
        others = [node for node in cluster.nodes if node not in aimed.nodes]
        took = await self._until_agreed(cluster, others) - began
        self._elections.append(took)
        self._say(f"{self._view.view(cluster.now()).leader} leads after {duration(took)}")
        await cluster.undo(aimed)

    async def _until_agreed(self, cluster: Cluster, nodes: Sequence[str]) -> int:
        """The instant at which these nodes agree on a leader among them. Raises EnvironmentFailure."""
        patience_ns = max(self._experiment.patience_ns, LEAST_PATIENCE_NS)
        alarm, give_up = cluster.alarm(), cluster.now() + patience_ns
        while (now := cluster.now()) < give_up:
            if _agree(self._view, nodes, now - LOOK_NS):
                return now
            await alarm.wait_until(now + 10 * MS)
        raise EnvironmentFailure(f"{listed(nodes)} did not agree on a leader within {duration(patience_ns)}")


def _leaderships(view: LeaderView) -> list[str]:
    return [node for event, node in view.events if event == "new-leader"]


def _agree(view: LeaderView, nodes: Sequence[str], since: int) -> bool:
    """True if each of these nodes has answered since then, one of them leads, and the others name it or none."""
    claims = {node: view.claims[node] for node in nodes if node in view.claims and view.claims[node].at >= since}
    leading = [node for node, claim in claims.items() if claim.leading]
    return (
        len(claims) == len(nodes)
        and len(leading) == 1
        and all(claim.leader in (None, leading[0]) for claim in claims.values())
    )


class _Screen:
    """Shows each node's answer and the claim read from it, twice a second, when one of them has changed."""

    def __init__(self, cluster: Cluster, view: LeaderView, say: Say) -> None:
        self._cluster = cluster
        self._view = view
        self._say = say
        self._last: dict[str, str] = {}
        self._alarm = cluster.alarm()
        self._over = False

    async def show_changes(self) -> None:
        while not self._over:
            await self.show()
            await self._alarm.wait_until(self._cluster.now() + LOOK_NS)

    def stop(self) -> None:
        self._over = True
        self._alarm.ring()

    async def show(self) -> None:
        for node in self._cluster.nodes:
            claim = self._view.claims.get(node)
            read = "no claim yet" if claim is None else words_of(claim)
            if read != self._last.get(node):
                self._last[node] = read
                answer = (await self._cluster.last_words(node)).answer
                self._say(f"  {node}  {read:32}  {_cut(answer)}")


def words_of(claim: Claim) -> str:
    """A claim in a few words."""
    role = "leading" if claim.leading else f"following {claim.leader or 'no leader'}"
    return role + ("" if claim.term is None else f" in term {claim.term}")


def _cut(answer: str | None) -> str:
    if answer is None:
        return "(no answer yet)"
    line = " ".join(answer.split())
    return printable(line if len(line) <= SHOWN else f"{line[:SHOWN]}…")


# The end


def findings(ended: Rehearsal, experiment: Experiment) -> Iterable[str]:
    """What a rehearsal has shown, one sentence each."""
    yield f"{ended.leader} led; {_agreement(experiment)}"
    answers = ended.history.observations
    observed = _latencies(answers.invoke[answers.ok], answers.complete[answers.ok])
    yield f"an answer takes {_typical(observed)} ({counted(len(observed), 'answer')})"
    if wrong := unusable(ended.history):
        yield f"answers that cannot be used: {wrong}"
    yield _confirmations(ended, experiment)
    changed = f"the leadership changed {times(ended.changes)}" if ended.changes else "no leadership changed"
    yield f"in {duration(round(ended.quiet_s * 1e9))} without faults {changed}"
    if ended.elections:
        longest = max(ended.elections)
        took = listed(map(duration, ended.elections))
        yield f"leaders killed: {counted(len(ended.elections), 'time')}; all others followed another one after {took}"
        yield (
            f"suggested: suspicion_ms = {_rounded_ms(longest)}, stall_bound_ms = {_rounded_ms(HEADROOM * longest)} "
            f"({HEADROOM} times the longest)"
        )
    yield from ended.problems


def _agreement(experiment: Experiment) -> str:
    probe = experiment.system.probe
    names = probe is None or probe.leader is not None
    everyone = counted(experiment.nodes, "node")
    return f"all {everyone} agreed" if names else "the others do not name the leader, since probe.leader is not given"


def _confirmations(ended: Rehearsal, experiment: Experiment) -> str:
    if not experiment.system.confirms:
        return "there is no [confirm]: availability rests on the leader that the nodes name"
    confirms = ended.history.operations("confirm")
    took = _latencies(confirms.invoke[confirms.ok], confirms.complete[confirms.ok])
    return f"confirm works in {_typical(took)}" if took else "confirm was never answered"


def _latencies(invoke: Iterable[int], complete: Iterable[int]) -> list[int]:
    return sorted(int(end) - int(begin) for begin, end in zip(invoke, complete, strict=True))


def _typical(took: Sequence[int]) -> str:
    return f"{duration(round(median(took)))}, at most {duration(took[-1])}" if took else "no time: there was none"


def _rounded_ms(ns: int) -> int:
    """Rounded up to a tenth of a second."""
    return math.ceil(ns / (100 * MS)) * 100
