"""What a system promises about time, as its checkers need it; every figure is in nanoseconds.

A liveness property without a bound cannot fail (Fischer, Lynch and Paterson 1985: no deterministic bound exists
in an asynchronous system), so each bound is a choice of the tester, stated here and printed with every verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.names import MS, Eligibility


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What a history is judged by: the bounds, and what else a checker must know of the system.

    ``stall_ns`` is within what time an eligible majority has a working leader; a stall must exceed twice that
    plus ``slack_ns`` plus what the canary measured. ``suspicion_ns`` is the longest time for which an earlier
    disturbance may still move the leadership. ``eligibility`` names the majorities that the system serves
    (``splitbrain.names.ELIGIBILITIES``).
    A canary sample later than ``canary_late_ns`` shows a starved machine. ``members`` are the nodes whose
    majority counts; none given means every node that the history names.

    ``servers`` are machines that the election rests on and that never stand for it, nor are observed. Where there are
    some, their majority counts instead, and ``eligibility`` is about it; of the nodes one is enough, if it is healthy
    and connected both ways to all of that majority.

    ``votes_kept`` says that a node shows its vote only when no crash can undo it any more.
    """

    stall_ns: int = 2_100 * MS
    slack_ns: int = 200 * MS
    suspicion_ns: int = 300 * MS
    eligibility: Eligibility = "clique"
    canary_late_ns: int = 25 * MS
    members: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    votes_kept: bool = False
