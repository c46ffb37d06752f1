"""Epoch safety: in one configuration epoch, the servers name at most one leader.

For systems in which leaders know no term but the servers that choose them do, and report it as an ``opinion``. In Redis
Sentinel "every failover is versioned with a unique version number", the config epoch (Redis documentation, "High
availability with Redis Sentinel", Configuration epochs). No clock is needed: two leaders named in one epoch, by two
servers or by one at two times, break it. Only a greater epoch overrides an opinion, so the servers may never agree
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import each_of, instant
from splitbrain.names import Guarantee

PROPERTY = "epoch-safety"
GUARANTEE: Guarantee = "term-safety"
NEEDS = ("opinion",)
MOST_FINDINGS = 200


class LeaderOpinion(NamedTuple):
    """A server's answer: the leader and its epoch. ``line`` (from 0) and ``time`` (ns) are those of the completion."""

    server: str
    leader: str
    epoch: int
    line: int
    time: int


def check(history: History) -> Verdict:
    """Check that each epoch had at most one leader. The evidence is one opinion for each of two leaders."""
    try:
        given = list(leader_opinions(history))
    except Malformed as wrong:
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=wrong.with_line)
    by_epoch: dict[int, dict[str, LeaderOpinion]] = {}
    for opinion in given:
        by_epoch.setdefault(opinion.epoch, {}).setdefault(opinion.leader, opinion)
    findings = tuple(_finding(epoch, named) for epoch, named in sorted(by_epoch.items()) if len(named) > 1)
    facts = {"opinions": len(given), "epochs": len(by_epoch), "epochs_broken": len(findings)}
    if findings:
        observed, words = Observed.VIOLATED, findings[0].words
    elif not given:
        observed, words = Observed.UNDECIDED, "no server named a leader, so epoch safety was not tested"
    else:
        observed, words = (
            Observed.HELD,
            f"{each_of(len(by_epoch), 'epoch')} had one leader by the opinions of the servers",
        )
    return Verdict(
        property=PROPERTY,
        observed=observed,
        words=words,
        evidence=findings[0].evidence if findings else (),
        findings=findings[:MOST_FINDINGS],
        facts=facts,
    )


def leader_opinions(history: History) -> Iterator[LeaderOpinion]:
    """All opinions, in the order of their invocations. Raises Malformed for one without leader and epoch."""
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
                raise Malformed("an opinion that is ok to have a leader and an epoch", value, line)


def _finding(epoch: int, named: dict[str, LeaderOpinion]) -> Finding:
    first, second = sorted(named.values(), key=lambda opinion: opinion.line)[:2]
    return Finding(
        guarantee=GUARANTEE,
        words=f"epoch {epoch} had {len(named)} leaders: {first.server} named {first.leader} at {instant(first.time)}, "
        f"{second.server} named {second.leader} at {instant(second.time)}",
        evidence=(first.line, second.line),
        start=first.time,
        end=second.time,
        nodes=(first.leader, second.leader),
        facts={"epoch": epoch},
    )
