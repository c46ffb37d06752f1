"""Epoch safety: in one epoch, the servers name at most one leader.

For systems whose leaders know no term: the servers that choose them do, and say so when asked (``opinion``). Redis
Sentinel is one: "every failover is versioned with a unique version number", the config epoch (Redis documentation,
"High availability with Redis Sentinel", Configuration epochs). No clock is needed: two servers, or one at two times,
that name two leaders in one epoch have broken it, and since only a greater epoch overrides an opinion, they may never
agree again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, instant
from splitbrain.names import Guarantee

PROPERTY = "epoch-safety"
GUARANTEE: Guarantee = "term-safety"
NEEDS = ("opinion",)
MOST_FINDINGS = 200


class LeaderOpinion(NamedTuple):
    """What a server said: who leads since which epoch; ``line`` and ``time`` are those of its answer."""

    server: str
    leader: str
    epoch: int
    line: int
    time: int


def check(history: History) -> Verdict:
    """Whether two leaders were named in one epoch. The evidence is one opinion for each of the two."""
    try:
        told = list(leader_opinions(history))
    except Malformed as wrong:
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=f"history line {wrong.index}: {wrong}")
    by_epoch: dict[int, dict[str, LeaderOpinion]] = {}
    for opinion in told:
        by_epoch.setdefault(opinion.epoch, {}).setdefault(opinion.leader, opinion)
    findings = tuple(_finding(epoch, named) for epoch, named in sorted(by_epoch.items()) if len(named) > 1)
    facts = {"opinions": len(told), "epochs": len(by_epoch), "epochs_broken": len(findings)}
    if findings:
        outcome, words = Outcome.INVALID, findings[0].words
    elif not told:
        outcome, words = Outcome.UNKNOWN, "no server said whom it holds for the leader, so nothing was tested"
    else:
        outcome, words = Outcome.VALID, f"in each of {counted(len(by_epoch), 'epoch')} the servers named one leader"
    return Verdict(
        property=PROPERTY,
        outcome=outcome,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=findings[:MOST_FINDINGS],
        facts=facts,
    )


def leader_opinions(history: History) -> Iterator[LeaderOpinion]:
    """All that were told, in the order of their questions. Raises Malformed for one that says something else."""
    asked = history.operations("opinion")
    for row in range(len(asked)):
        if not asked.ok[row]:
            continue
        line, value = int(asked.complete_index[row]), asked.answered[row]
        match value:
            case {"leader": str(leader), "epoch": int(epoch)}:
                server = history.nodes[asked.node[row]]
                yield LeaderOpinion(server, leader, epoch, line, int(asked.complete[row]))
            case _:
                raise Malformed("of an opinion that is ok a leader and an epoch", value, line)


def _finding(epoch: int, named: dict[str, LeaderOpinion]) -> Finding:
    first, second = sorted(named.values(), key=lambda opinion: opinion.line)[:2]
    return Finding(
        guarantee=GUARANTEE,
        words=f"epoch {epoch} has {len(named)} leaders: {first.server} named {first.leader} at {instant(first.time)}, "
        f"{second.server} named {second.leader} at {instant(second.time)}",
        evidence=(first.line, second.line),
        start=first.time,
        end=second.time,
        nodes=(first.leader, second.leader),
        facts={"epoch": epoch},
    )
