"""A fault aimed: what is to be done, to which nodes and links.

``plan`` turns a fault, at the moment it strikes, into a ``Plan`` that names nodes and links; somebody else carries
that out, verifies it and undoes it. It draws only from the dice it is given, so the same view and dice give the same
plan.

A plan states its fault class (``splitbrain.names``). ``nemesis.shapes`` classifies cuts. A torn disk counts as
``crash``, since unflushed writes were never durable, and so do a full disk and one that fails to flush, at which most
software exits. A monotonic clock that jumps counts as ``clock-rate``: timers expire too early or too late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any, Literal, assert_never

from splitbrain.names import SERVER, FaultClass, of_servers
from splitbrain.nemesis.faults import (
    Bandwidth,
    ClockName,
    Corrupt,
    Crash,
    Delay,
    Duplicate,
    Durable,
    FailingFsync,
    Fault,
    Fill,
    Freeze,
    How,
    Kill,
    Loss,
    OfDisks,
    OfLinks,
    Oom,
    Partition,
    Pause,
    Reorder,
    Skew,
    Slow,
    SlowFsync,
    Stop,
    Throttle,
    Way,
    kind,
)
from splitbrain.nemesis.partitions import Cut, Link, all_links
from splitbrain.nemesis.shapes import SHAPES, class_of
from splitbrain.nemesis.targets import Group, NoTarget, Role, View, resolve

DEFAULT_FLAP_MS = 300
LONGEST_QUEUE_MS = 1_000
"""How long a packet waits at most for a narrow link."""

Undo = Literal["heal", "restart", "resume"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Severed:
    """These links carry nothing; ``how`` is as in ``Partition``."""

    links: Cut
    how: How = "drop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Killed:
    """These nodes' processes are dead; ``state``, ``after_effects``, ``files`` and ``process`` as in ``Kill``."""

    nodes: tuple[str, ...]
    state: Durable
    after_effects: int | None
    files: str | None = None
    process: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Crashed:
    """These nodes' machines are gone: ``links`` are all that lead to or from one; ``state`` as in ``Crash``."""

    nodes: tuple[str, ...]
    links: Cut
    state: Durable


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """These nodes' processes were asked to end, and have ended."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Starved:
    """These nodes ran out of memory, and the kernel has ended them."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """These nodes' disks are full."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowToFlush:
    """These nodes' disks take ``ms`` longer over each flush."""

    nodes: tuple[str, ...]
    ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unflushed:
    """These nodes' disks refuse to be flushed."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """These nodes' processes are stopped; ``process`` as in ``Pause``."""

    nodes: tuple[str, ...]
    process: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """These nodes' processes are not run by the kernel."""

    nodes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lossy:
    """These links lose so many packets in a hundred; in runs of about ``burst``, if that is not nought."""

    links: Cut
    percent: int
    burst: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """These links take ``ms`` longer, and up to ``jitter_ms`` on top."""

    links: Cut
    ms: int
    jitter_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubled:
    """These links deliver so many packets in a hundred twice."""

    links: Cut
    percent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reordered:
    """These links hold so many packets in a hundred back for ``ms``."""

    links: Cut
    percent: int
    ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrupted:
    """These links spoil so many packets in a hundred."""

    links: Cut
    percent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrow:
    """These links take so many ms over 1,000 bytes."""

    links: Cut
    ms_per_kb: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Skewed:
    """These nodes' clock is ahead by ``offset_ms`` (or behind) and gains ``rate_ppm``."""

    nodes: tuple[str, ...]
    clock: ClockName
    offset_ms: int
    rate_ppm: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Slowed:
    """These nodes take ``ms`` over every event."""

    nodes: tuple[str, ...]
    ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Throttled:
    """These nodes lack so many thousandths of a processor."""

    nodes: tuple[str, ...]
    per_mille: int


OnLinks = Severed | Lossy | Late | Doubled | Reordered | Corrupted | Narrow
OnDisks = Filled | SlowToFlush | Unflushed
OnNodes = Killed | Crashed | Stopped | Starved | OnDisks | Paused | Frozen | Skewed | Slowed | Throttled
Harm = OnLinks | OnNodes


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A fault aimed: what is done, to whom.

    ``f`` is the name of the operation in a history; ``shape`` that of faults that are alike; ``nodes`` are those that
    it is about (a hub among them may have all its links); ``harm`` what is true of the cluster while it is in force;
    ``fault_class`` its fault class; ``flap_ms`` the length of each turn of a fault that comes and goes, None
    for one that stays; ``words`` one line for a reader.
    """

    f: str
    shape: str
    fault_class: FaultClass
    nodes: tuple[str, ...]
    harm: Harm
    flap_ms: int | None = None
    words: str

    @property
    def undo_f(self) -> Undo:
        """The name of its undoing in a history."""
        match self.harm:
            case Killed() | Crashed() | Stopped() | Starved():
                return "restart"
            case Paused() | Frozen():
                return "resume"
            case _:
                return "heal"

    def links(self) -> list[list[str]]:
        """The links that it hurts as JSON writes them: [from, to], sorted."""
        links = self.harm.links if isinstance(self.harm, OnLinks) else ()
        return [[sender, receiver] for sender, receiver in sorted(links)]

    def figures(self) -> dict[str, Any]:
        """How much of it, by name: the percent of a loss, the ms of a delay; not what is as usual. Empty for a cut."""
        each = ((field, getattr(self.harm, field.name)) for field in fields(self.harm))
        return {
            field.name: value
            for field, value in each
            if field.name not in ("nodes", "links") and value is not None and value != field.default
        }


def plan(fault: Fault, view: View, rng: Random) -> Plan | NoTarget:
    """What the fault means for the cluster as it is seen now.

    ``NoTarget`` when it is aimed at somebody who is not there, such as a leader when nobody leads. A shape that does
    not exist for so few nodes raises ``ImpossibleShape``.
    """
    planned = _partition(fault, view, rng) if isinstance(fault, Partition) else _harming(fault, view, rng)
    if isinstance(planned, NoTarget) or view.group == "nodes":
        return planned
    words = f"of the servers, {planned.words}"
    return replace(planned, shape=f"server-{planned.shape}", fault_class=of_servers(planned.fault_class), words=words)


def _harming(
    fault: Kill | Crash | Stop | Oom | OfDisks | Pause | Freeze | OfLinks | Skew | Slow | Throttle,
    view: View,
    rng: Random,
) -> Plan | NoTarget:
    nodes = resolve(fault.target, view, rng)
    if isinstance(nodes, NoTarget):
        return nodes
    fault_class, harm, done = _aimed(fault, nodes, view)
    flap_ms = fault.flap_ms if isinstance(fault, Kill | Pause | Freeze | Skew) else None
    return Plan(
        f=fault.f,
        shape=kind(fault),
        fault_class=fault_class,
        nodes=nodes,
        harm=harm,
        flap_ms=flap_ms,
        words=_flapping(f"{_whom(fault.target, nodes)}: {done}", flap_ms),
    )


def classed(plan: Plan, view: View) -> Plan:
    """The plan with the class that it has for the cluster as it is seen now: whose links a cut takes decides it."""
    if isinstance(plan.harm, Severed):
        among = frozenset(link for link in plan.harm.links if not set(link).intersection(view.others))
        fault_class = class_of(view.nodes, among, view.leader)
        return replace(plan, fault_class=fault_class if view.group == "nodes" else of_servers(fault_class))
    return plan


def together(plans: Iterable[Plan], view: View) -> FaultClass | None:
    """The class of all cuts of the view's group as one cut; None if there are not at least two.

    Two cuts can make another class than either: each deafens one node, both together a majority.
    """
    cuts = [plan for plan in plans if isinstance(plan.harm, Severed) and _group(plan) == view.group]
    if len(cuts) < 2:
        return None
    links = frozenset(link for plan in cuts for link in _severed(plan))
    return classed(replace(cuts[0], harm=Severed(links=links)), view).fault_class


def _severed(plan: Plan) -> Cut:
    return plan.harm.links if isinstance(plan.harm, Severed) else frozenset()


def _group(plan: Plan) -> Group:
    return "servers" if plan.fault_class.startswith(SERVER) else "nodes"


def with_servers(cut: Cut, about: Collection[str], view: View, rng: Random) -> Cut:
    """A cut among the nodes that takes in the servers too, the view's others: they stand where one node stands.

    That is a node with the most links left, and if possible none that the cut is ``about``: so a node that is alone
    has no server, and a minority has none either.
    """
    if not view.others:
        return cut
    most = max(_links_left(node, view.nodes, cut) for node in view.nodes)
    best = [node for node in view.nodes if _links_left(node, view.nodes, cut) == most]
    home = rng.choice([node for node in best if node not in about] or best)
    links = set(cut)
    for sender, receiver in cut:
        if home == receiver:
            links.update((sender, server) for server in view.others)
        if home == sender:
            links.update((server, receiver) for server in view.others)
    return frozenset(links)


def _links_left(node: str, nodes: tuple[str, ...], cut: Cut) -> int:
    return sum(node in link and link not in cut for link in all_links(nodes))


def windows(plan: Plan, for_ms: int) -> tuple[tuple[int, int], ...]:
    """When within its window of ``for_ms`` it is in force: [from, to) in ms since the window began, in order."""
    turn = plan.flap_ms or for_ms
    return tuple((start, min(start + turn, for_ms)) for start in range(0, for_ms, 2 * turn))


WORDS_OF_HOW: Mapping[How, str] = {
    "drop": "",
    "reject": ", and packets are refused",
    "payload": ", but for bare acknowledgements of TCP",
}


def _partition(fault: Partition, view: View, rng: Random) -> Plan | NoTarget:
    drawn = SHAPES[fault.shape].draw(view, rng)
    if isinstance(drawn, NoTarget):
        return drawn
    cut = with_servers(drawn.cut, drawn.nodes, view, rng) if view.group == "nodes" else drawn.cut
    flap_ms = DEFAULT_FLAP_MS if fault.flap_ms is None and fault.shape == "flapping" else fault.flap_ms
    return Plan(
        f=fault.f,
        shape=fault.shape,
        fault_class=class_of(view.nodes, drawn.cut, view.leader),
        nodes=drawn.nodes,
        harm=Severed(links=cut, how=fault.how),
        flap_ms=flap_ms,
        words=_flapping(f"{drawn.words}{WORDS_OF_HOW[fault.how]}", flap_ms),
    )


def _aimed(
    fault: Kill | Crash | Stop | Oom | OfDisks | Pause | Freeze | OfLinks | Skew | Slow | Throttle,
    nodes: tuple[str, ...],
    view: View,
) -> tuple[FaultClass, Harm, str]:
    """Its fault class, what it does, and that in words."""
    match fault:
        case Loss() | Delay() | Reorder() | Duplicate() | Corrupt() | Bandwidth():
            harm, done = _on_links(fault, _links_of(nodes, view.machines, fault.way))
            return "loss", harm, f"{done}{WORDS_OF_WAY[fault.way]}"
        case Kill(process=str(process)):
            killed = Killed(nodes=nodes, state="kept", after_effects=None, process=process)
            return "restart-storm" if fault.flap_ms is not None else "crash", killed, f"processes like {process} killed"
        case Kill(state=state, after_effects=after_effects, files=files):
            crash: FaultClass = (
                "state-loss" if state in FORGETTING else "restart-storm" if fault.flap_ms is not None else "crash"
            )
            late = "" if after_effects is None else f" {after_effects} effects on"
            killed = Killed(nodes=nodes, state=state, after_effects=after_effects, files=files)
            gone_too = WORDS_OF_STATE[state] if files is None else f", files like {files} lost"
            return crash, killed, f"killed{late}{gone_too}"
        case Crash(state=state):
            gone = Crashed(nodes=nodes, links=_links_of(nodes, view.machines), state=state)
            return (
                "state-loss" if state in FORGETTING else "crash",
                gone,
                f"the whole machine crashed{WORDS_OF_STATE[state]}",
            )
        case Stop():
            return "crash", Stopped(nodes=nodes), "asked to end"
        case Oom():
            return "crash", Starved(nodes=nodes), "out of memory"
        case Fill():
            return "crash", Filled(nodes=nodes), "the disk is full"
        case SlowFsync(ms=ms):
            return "pause", SlowToFlush(nodes=nodes, ms=ms), f"{ms} ms over each flush to the disk"
        case FailingFsync():
            return "crash", Unflushed(nodes=nodes), "flushes to the disk fail"
        case Pause(process=None):
            return "pause", Paused(nodes=nodes), "paused"
        case Pause(process=process):
            return "pause", Paused(nodes=nodes, process=process), f"processes like {process} paused"
        case Freeze():
            return "pause", Frozen(nodes=nodes), "frozen"
        case Skew(clock=clock, offset_ms=offset_ms, rate_ppm=rate_ppm):
            skewed = Skewed(nodes=nodes, clock=clock, offset_ms=offset_ms, rate_ppm=rate_ppm)
            return _class_of_skew(fault), skewed, _words_of_skew(fault)
        case Slow(ms=ms):
            return "pause", Slowed(nodes=nodes, ms=ms), f"{ms} ms over everything"
        case Throttle(per_mille=per_mille):
            left = f"{1_000 - per_mille} ms of processor a second"
            return "pause", Throttled(nodes=nodes, per_mille=per_mille), left
        case _:
            assert_never(fault)


def _on_links(fault: OfLinks, links: Cut) -> tuple[OnLinks, str]:
    """What it does to the links, and that in words."""
    match fault:
        case Loss(percent=percent, burst=burst):
            runs = f" in runs of {burst}" if burst else ""
            return Lossy(links=links, percent=percent, burst=burst), f"{percent} % of packets lost{runs}"
        case Delay(ms=ms, jitter_ms=jitter_ms):
            words = f"{ms} to {ms + jitter_ms}" if jitter_ms else f"{ms}"
            return Late(links=links, ms=ms, jitter_ms=jitter_ms), f"packets {words} ms late"
        case Reorder(percent=percent, ms=ms):
            return Reordered(links=links, percent=percent, ms=ms), f"{percent} % of packets held back for {ms} ms"
        case Duplicate(percent=percent):
            return Doubled(links=links, percent=percent), f"{percent} % of packets doubled"
        case Corrupt(percent=percent):
            return Corrupted(links=links, percent=percent), f"{percent} % of packets spoilt"
        case Bandwidth(ms_per_kb=ms_per_kb):
            return Narrow(links=links, ms_per_kb=ms_per_kb), f"{ms_per_kb} ms over 1,000 bytes"
        case _:
            assert_never(fault)


WORDS_OF_STATE: Mapping[Durable, str] = {
    "kept": "",
    "torn": ", what was not flushed lost",
    "lost": ", all state lost",
    "old": ", the disk as it was in the beginning",
}
FORGETTING: tuple[Durable, ...] = ("lost", "old")
"""States of a disk that lacks what was flushed to it."""
WORDS_OF_WAY: Mapping[Way, str] = {"both": "", "in": ", on their way to it", "out": ", on their way from it"}


def _class_of_skew(skew: Skew) -> FaultClass:
    if skew.clock == "monotonic" or skew.rate_ppm:
        return "clock-rate"
    return "clock-jump" if skew.flap_ms is None else "clock-strobe"


def _words_of_skew(skew: Skew) -> str:
    jump = [f"{skew.offset_ms:+d} ms"] if skew.offset_ms or not skew.rate_ppm else []
    rate = [f"{skew.rate_ppm:+d} ppm"] if skew.rate_ppm else []
    return f"{skew.clock} clock {', '.join(jump + rate)}"


def _links_of(nodes: Iterable[str], all_nodes: tuple[str, ...], way: Way = "both") -> frozenset[Link]:
    """Every link from or to one of the nodes, or of that way only."""
    chosen = frozenset(nodes)
    match way:
        case "both":
            return frozenset(link for link in all_links(all_nodes) if not chosen.isdisjoint(link))
        case "in":
            return frozenset(link for link in all_links(all_nodes) if link[1] in chosen)
        case "out":
            return frozenset(link for link in all_links(all_nodes) if link[0] in chosen)


def _whom(role: Role, nodes: tuple[str, ...]) -> str:
    match role:
        case "leader" | "follower":
            return f"the {role} {nodes[0]}"
        case "all":
            return "all nodes"
        case _:
            return " ".join(nodes) or "nobody"


def _flapping(words: str, flap_ms: int | None) -> str:
    return words if flap_ms is None else f"{words}, on and off every {flap_ms} ms"
