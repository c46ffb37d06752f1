"""Warm-up: no fault before one leader has been seen by all nodes, and without any leader, no verdict.

A described system may never have had an election to judge: its description looks in the wrong place, its image lacks a
permission, its nodes do not find one another. That is a mistake of the description or a failure of the environment, and
says nothing about elections. So a run of a described system ends here if no node led, or all confirmations failed, for
as long as the description allows (``wait_for_leader_s``). Systems of this project are known to be asked correctly:
if their nodes answer that none leads, that is evidence, and the run goes on to its verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from splitbrain.core.experiment import Experiment
from splitbrain.core.leader_view import LeaderView
from splitbrain.core.recorder import Recorder
from splitbrain.errors import EnvironmentFailure, SplitbrainError, UsageError
from splitbrain.names import NO_ELECTION
from splitbrain.nodes.clients.answers import printable
from splitbrain.nodes.clients.base import Ok, Reply
from splitbrain.nodes.systems.probes import Probe
from splitbrain.runtimes.base import Cluster, LastWords
from splitbrain.units import MS

LOOK_AGAIN_NS = 20 * MS
QUOTED = 400  # characters of an answer

T = TypeVar("T")


async def until_led(cluster: Cluster, experiment: Experiment, view: LeaderView, recorder: Recorder) -> None:
    """Wait until one leader has been seen by all and, where a description says how, has confirmed; or the time is over.

    Raises EnvironmentFailure or UsageError, with what the nodes answered, for a described system without a leader. The
    history then holds the reason, so that it is not judged as one of an election either.
    """
    probe = experiment.system.probe
    names_leader, confirms = probe is None or probe.leader is not None, probe is not None and probe.confirm is not None
    alarm, give_up = cluster.alarm(), cluster.now() + experiment.wait_for_leader_ns
    while (now := cluster.now()) < give_up:
        if view.led_by_one(now, names_leader) and (view.confirmed or not confirms):
            return
        await alarm.wait_until(now + LOOK_AGAIN_NS)
    if probe is not None and (not view.ever_led or (confirms and not view.confirmed)):
        failure = await _without_evidence(cluster, experiment, probe, view)
        recorder.note("run", NO_ELECTION, None, {"words": str(failure).partition("\n")[0]})
        raise failure


async def _without_evidence(
    cluster: Cluster, experiment: Experiment, probe: Probe, view: LeaderView
) -> SplitbrainError:
    timeout_ns = experiment.workload.probe_timeout_ms * MS
    within = f"for {experiment.wait_for_leader_ns / 1e9:g} s (wait_for_leader_s)"
    answers = await _from_all(cluster, lambda node: cluster.observe(node, timeout_ns))
    last_words = await _from_all(cluster, cluster.last_words)
    shown = "\n".join(words for node in cluster.nodes for words in _shown(node, answers[node], last_words[node]))
    if view.ever_led:
        refusals = await _from_all(cluster, lambda node: _refusal(cluster, node, timeout_ns))
        said = "; ".join(f"{node}: {refusals[node]}" for node in cluster.nodes)
        why = f"a node led, but none confirmed its leadership {within}: {said}"
        return EnvironmentFailure(f"{why}, so there is no election to judge\n{shown}")
    path = _nowhere(probe, [words.answer for words in last_words.values()])
    if path is not None:
        hint = "; a dot stands between the keys of two objects" if "." in path else ""
        return UsageError(f"{experiment.system.name}: probe.leading: no answer has anything at {path!r}{hint}\n{shown}")
    return EnvironmentFailure(f"no node led {within}, so there is no election to judge\n{shown}")


async def _from_all(cluster: Cluster, ask: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """What each node answers, all asked at once."""
    answers: dict[str, T] = {}

    async def one(node: str) -> None:
        answers[node] = await ask(node)

    first, *others = map(one, cluster.nodes)
    await cluster.run_all(first, others)
    return answers


def _nowhere(probe: Probe, answers: Sequence[str | None]) -> str | None:
    from splitbrain.nodes.clients.claims import nowhere  # it needs a library for HTTP, which simulations do not

    return nowhere(probe, answers)


async def _refusal(cluster: Cluster, node: str, timeout_ns: int) -> str:
    reply = await cluster.confirm(node, timeout_ns)
    return "confirmed just now" if isinstance(reply, Ok) else reply.error


def _shown(node: str, reply: Reply, words: LastWords) -> Iterable[str]:
    """The last answer of a node, the claim that was read from it, and the end of the node's log."""
    if words.answer is not None:
        yield f"  {node} answered: {_cut(words.answer)}"
    yield f"  {node} {_read_as(reply.value)}" if isinstance(reply, Ok) else f"  {node} gave no claim: {reply.error}"
    yield f"  the log of {node}" + (" ends:" if words.log else " is empty")
    yield from (f"    {printable(line)}" for line in words.log)


def _read_as(claim: Any) -> str:
    role = "leading" if claim["leading"] else f"following {claim['leader'] or 'no leader'}"
    return f"was read as {role}" + ("" if claim["term"] is None else f" in term {claim['term']}")


def _cut(answer: str) -> str:
    line = " ".join(answer.split())
    return printable(line if len(line) <= QUOTED else f"{line[:QUOTED]}…")
