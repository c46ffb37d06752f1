"""Bounds: the time limits and assumptions about a system that its checkers need.

A liveness property without a bound cannot fail. No deterministic bound exists in an asynchronous system (Fischer, Lynch
and Paterson 1985), so each bound is a choice of the tester, stated here and printed with every verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from splitbrain.names import MS, Electors, Eligibility


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The bounds (ns) and the assumptions about the system that a history is judged by.

    - ``stall_ns``: the time within which an eligible majority has a working leader. A stall must exceed twice that plus
      ``slack_ns`` plus the lateness that the canary measured.
    - ``suspicion_ns``: the longest time for which an earlier disturbance may still move the leadership.
    - ``eligibility``: which majorities the system serves (``splitbrain.names.ELIGIBILITIES``).
    - ``canary_late_ns``: a canary sample later than this shows a starved machine.
    - ``members``: the nodes that form majorities; empty means every node that the history names.
    - ``servers``: machines that the election rests on; they are neither candidates nor observed. If there are any,
      ``eligibility`` is about their majorities, and one node suffices if it is healthy and connected both ways to all
      servers of the majority. In several ``groups`` of servers a majority of each is needed; none means one group.
    - ``votes_kept``: a node shows its vote only after the vote is durable.
    - ``without_effect``: the nemeses that were asked for and of which no fault took effect.
    - ``elects``: the machines of which a majority elects (``splitbrain.names.ELECTORS``), and ``electors`` the names of
      these servers; none means all servers.
    - ``round_ns``: the longest round of an election. An answer to a candidate that comes later does not count.
    - ``planned_ns``: the planned length of the fault phase; None for a history without a plan.
    - ``highest_leads``: no node follows one of a lower name than its own.
    - ``closed``: the history ends with a line that says so if the run was completed.
    """

    stall_ns: int = 2_100 * MS
    slack_ns: int = 200 * MS
    suspicion_ns: int = 300 * MS
    eligibility: Eligibility = "clique"
    canary_late_ns: int = 25 * MS
    members: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    votes_kept: bool = False
    without_effect: tuple[str, ...] = ()
    elects: Electors = "nodes"
    electors: tuple[str, ...] = ()
    round_ns: int = 2_100 * MS
    planned_ns: int | None = None
    highest_leads: bool = False
    closed: bool = False
