"""Nemeses: schedules that have a name, made from a seed.

A nemesis is a deck of faults. ``build`` shuffles the decks of the nemeses named into one, deals a fault to
each window until the deck is empty, shuffles again, and so on: every fault comes once before any comes
twice, and the first windows hold one fault of each nemesis. Between windows, before the first and after the last, there
is no fault, so that each fault meets a leader and each recovery can be seen. A nemesis of several lanes runs that many
sequences at once, so that its faults overlap.
Equal arguments give equal schedules, in every process.

``all`` is a swarm (A. Groce et al., "Swarm Testing", ISSTA 2012): each schedule leaves out about half of the kinds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType

from splitbrain.names import FaultClass, did_you_mean, of_servers
from splitbrain.nemesis.faults import (
    CAPABILITY_NAMES,
    Bandwidth,
    Capability,
    Corrupt,
    Crash,
    Delay,
    Dns,
    Duplicate,
    Durable,
    FailingFsync,
    Fault,
    Fill,
    Freeze,
    How,
    Kill,
    Loss,
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
)
from splitbrain.nemesis.plans import shape_of
from splitbrain.nemesis.schedules import Schedule, Step
from splitbrain.nemesis.shapes import SHAPES, Shape
from splitbrain.nemesis.targets import NEEDS_NODES, Group, Role
from splitbrain.nemesis.triggers import Trigger
from splitbrain.plugins import with_shipped

LEAD_IN_MS = 2_000
WINDOW_MS = (5_000, 6_500)
QUIET_MS = (3_000, 4_500)
ONE_ROUND_MS = LEAD_IN_MS + WINDOW_MS[1] + QUIET_MS[1]
"""The lead-in, one longest window and one longest quiet: a shorter schedule is scaled down to hold these."""
SHORTEST_MS = 100

# The systems that are tested time out after 150 ms to a second or so: a leader that flaps faster than
# that is hardly missed, one that flaps more slowly is merely isolated again and again.
FLAPS_MS = (150, 250, 400, 700, 1_100)
STORMS_MS = (50, 100, 150, 250)  # a node that is restarted so often hardly ever ends an election
LOSSES_PERCENT = (10, 20, 30)
DELAYS_MS = (10, 50, 100, 200)
DUPLICATES_PERCENT = (10, 50)
BURSTS = (5, 20, 50)  # packets: on a link that carries a heartbeat every 50 ms, a quarter of a second to 2.5 s
JITTERS_MS = (10, 50, 200)
HOLDS_MS = (20, 100, 300)
CORRUPT_PERCENT = (5, 20)
NARROW_MS_PER_KB = (50, 200, 1_000)  # 160, 40 and 8 kbit/s
THROTTLES_PER_MILLE = (950, 980, 990)  # the rest is about as much as a node of ours needs, or a few times less
JUMPS_MS = (-3_600_000, -5_000, -500, 500, 5_000, 3_600_000)
FSYNCS_MS = (20, 100, 500)
STROBES_MS = (50, 200, 1_000)
RATES_PPM = (-400_000, -100_000, 100_000, 400_000)
SLOW_MS = (1, 5, 20)
BOUNCE_MS = 50  # a voter that is to vote again in the same election must be back before that is over
CARDS_OF_A_KIND = 6
"""How many cards of each kind ``all`` takes at most, so that the many shapes of partitions do not drown the rest."""


class NemesisError(ValueError):
    """An unknown nemesis, or one that needs more nodes or more time; the message says which and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One kind of fault in a deck; ``fault`` makes one, given a random generator and the length of its window in ms.

    With ``when`` the fault waits for that event during its window. It then lasts ``lasts_ms`` at most, and never more
    than a quarter of the window. ``among`` is the group of machines that it is aimed at, of which there must be
    ``min_nodes`` at least.
    """

    affects_leader: bool
    fault: Callable[[Random, int], Fault]
    when: Trigger | None = None
    lasts_ms: int | None = None
    among: Group = "nodes"
    min_nodes: int = 1

    def step(self, rng: Random, at_ms: int, for_ms: int) -> Step:
        """The card played in the window [at_ms, at_ms + for_ms)."""
        if self.when is None:
            return Step(at_ms=at_ms, for_ms=for_ms, fault=self.fault(rng, for_ms), among=self.among)
        lasts_ms = max(1, min(for_ms // 4, self.lasts_ms or for_ms))
        when = replace(self.when, within_ms=max(1, for_ms - lasts_ms))
        return Step(at_ms=at_ms, for_ms=lasts_ms, fault=self.fault(rng, lasts_ms), when=when, among=self.among)


Deck = tuple[Card, ...]
"""The cards in a fixed order; those that need more machines than there are never leave it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nemesis:
    """A name for a deck of faults, of which ``lanes`` may be in force at a time.

    It is aimed at the machines of one group, ``among``, of which it needs at least ``min_nodes``. A hunt deals only
    what is ``simulated``.
    """

    name: str
    help: str
    min_nodes: int
    cards: Deck
    lanes: int = 1
    among: Group = "nodes"
    simulated: bool = True

    def possible(self, nodes: int, servers: int = 0) -> bool:
        """Return whether there are enough machines of its group."""
        return self.min_nodes <= (nodes if self.among == "nodes" else servers)

    def deck(self, machines: int) -> Deck:
        """The cards for that many machines of its group."""
        return _fitting(self.cards, machines)


def build(
    names: Sequence[str],
    rng: Random,
    nodes: int,
    length_ms: int,
    *,
    servers: int = 0,
    can: Collection[Capability] = CAPABILITY_NAMES,
    pace: float = 1.0,
) -> Schedule:
    """A schedule of ``length_ms`` for that many nodes and servers, mixed from the nemeses of those names.

    A fault that is in two of the decks is dealt twice as often. ``can`` are the capabilities of the runtime: ``all``
    requires no others; any other nemesis is not changed, and the runtime refuses what it lacks. Windows
    and the quiet between them are ``pace`` times as long as usual, for systems that take longer to notice. Raises
    ``NemesisError``.
    """
    if not names:
        raise NemesisError(f"name at least one nemesis of: {', '.join(NEMESES)}")
    sizes: Mapping[Group, int] = {"nodes": nodes, "servers": servers}
    named = [_find(name, sizes) for name in names]
    decks = [_deck(nemesis, sizes, rng, can) for nemesis in named]
    if not any(decks):
        return Schedule(steps=(), length_ms=length_ms)
    if length_ms < SHORTEST_MS:
        raise NemesisError(f"{length_ms} ms is too short for a fault; at least {SHORTEST_MS} ms are needed")
    lanes = [_windows(length_ms, rng, lane, pace) for lane in range(max(nemesis.lanes for nemesis in named))]
    steps = tuple(
        card.step(rng, at_ms, for_ms)
        for (at_ms, for_ms), card in zip(heapq.merge(*lanes), _deal(decks, rng), strict=False)
    )
    return Schedule(steps=steps, length_ms=length_ms)


def _deck(nemesis: Nemesis, sizes: Mapping[Group, int], rng: Random, can: Collection[Capability]) -> Sequence[Card]:
    if nemesis.name != ALL:
        return nemesis.deck(sizes[nemesis.among])
    every = [_fitting(kind, sizes["nodes"]) for kind in KINDS]
    every += [_fitting(kind, sizes["servers"]) for kind in SERVER_KINDS]
    possible = [[card for card in kind if _needs(card) <= set(can)] for kind in every]
    kinds = [cards for cards in possible if cards]
    kept = [cards for cards in kinds if rng.random() < 0.5] or [rng.choice(kinds)]
    return [card for cards in kept for card in rng.sample(cards, min(len(cards), CARDS_OF_A_KIND))]


def _fitting(cards: Deck, machines: int) -> Deck:
    return tuple(card for card in cards if card.min_nodes <= machines)


def needs(nemesis: Nemesis, nodes: int) -> set[Capability]:
    """The capabilities that all faults of a nemesis on that many nodes require; none for ``all``."""
    if nemesis.name == ALL:
        return set()
    return set().union(*(_needs(card) for card in nemesis.deck(nodes)))


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedKind:
    """How a history describes faults of one card: ``f``, ``shape``, and what is the same for all of them.

    ``fault_class`` is None for cuts, of which the class depends on the leader.
    """

    f: str
    shape: str
    fault_class: FaultClass | None
    figures: Mapping[str, str]


def recorded_kinds(nemesis: Nemesis, machines: int) -> list[RecordedKind]:
    """The kinds of fault that a nemesis other than ``all`` deals to that many machines of its group."""
    return [_recorded_kind(card) for card in nemesis.deck(machines)]


def classes(nemesis: Nemesis, machines: int) -> set[FaultClass]:
    """The classes of its faults on that many machines of its group, before it is known where the leader is."""
    every = (card.fault(Random(0), SHORTEST_MS).fault_class for card in nemesis.deck(machines))
    return {each if nemesis.among == "nodes" else of_servers(each) for each in every}


def _recorded_kind(card: Card) -> RecordedKind:
    fault = card.fault(Random(0), SHORTEST_MS)
    fault_class = fault.fault_class if card.among == "nodes" else of_servers(fault.fault_class)
    return RecordedKind(
        f=fault.f,
        shape=shape_of(fault, card.among),
        fault_class=None if isinstance(fault, Partition) else fault_class,
        figures={name: value for name, value in fault.figures().items() if isinstance(value, str)},
    )


def _needs(card: Card) -> set[Capability]:
    """The capabilities that it requires, which do not depend on the random generator."""
    return set(card.fault(Random(0), SHORTEST_MS).required())


def every_nemesis() -> Mapping[str, Nemesis]:
    """The nemeses by name: the built-in ones, and those that other packages ship."""
    return with_shipped(NEMESES, "nemeses", Nemesis)


def _find(name: str, sizes: Mapping[Group, int]) -> Nemesis:
    known = every_nemesis()
    nemesis = known.get(name)
    if nemesis is None:
        hint = did_you_mean(name, known, most=3)
        raise NemesisError(f"expected a nemesis, one of {', '.join(known)}, got {name!r}{hint}")
    size = sizes[nemesis.among]
    if size < nemesis.min_nodes:
        raise NemesisError(f"the nemesis {name} needs at least {nemesis.min_nodes} {nemesis.among}, not {size}")
    return nemesis


def _windows(length_ms: int, rng: Random, lane: int, pace: float) -> Iterator[tuple[int, int]]:
    """(at_ms, for_ms) of each window, for as long as a window and the quiet after it still fit.

    Every lane but the first begins up to a window later, so that lanes are not in step.
    """
    scale = min(pace, length_ms / ONE_ROUND_MS)

    def draw(low: int, high: int) -> int:
        return max(1, int(rng.randint(low, high) * scale))

    at_ms = int(LEAD_IN_MS * scale) + (draw(1, WINDOW_MS[0]) if lane else 0)
    while True:
        for_ms, quiet_ms = draw(*WINDOW_MS), draw(*QUIET_MS)
        if at_ms + for_ms + quiet_ms > length_ms:
            return
        yield at_ms, for_ms
        at_ms += for_ms + quiet_ms


def _deal(decks: Sequence[Sequence[Card]], rng: Random) -> Iterator[Card]:
    """Every card of the decks in random order, and again, for ever.

    The first affects the leader if any does: a short run deals few cards, and one in which no leader was affected says
    nothing. The next are of the other decks, one of each.
    """
    every = [(owner, card) for owner, deck in enumerate(decks) for card in deck]
    hand = rng.sample(every, len(every))
    first = next((i for i, (_, card) in enumerate(hand) if card.affects_leader), 0)
    hand.insert(0, hand.pop(first))
    opening = {owner: at for at, (owner, _) in reversed([*enumerate(hand)])}.values()
    hand = [hand[at] for at in sorted(range(len(hand)), key=lambda at: (at not in opening, at))]
    while True:
        yield from (card for _, card in hand)
        hand = rng.sample(every, len(every))


def _card(shape: Shape) -> Card:
    def fault(rng: Random, for_ms: int) -> Fault:
        if shape.name != "flapping":
            return Partition(shape=shape.name)
        return Partition(shape=shape.name, flap_ms=min(rng.choice(FLAPS_MS), max(1, for_ms // 4)))

    affects_leader = shape.fault_class in ("leader-isolated", "leader-deaf", "leader-mute")
    return Card(affects_leader=affects_leader, fault=fault, min_nodes=shape.min_nodes)


def _of_shape(shape: Shape) -> Nemesis:
    return Nemesis(name=shape.name, help=shape.help, min_nodes=shape.min_nodes, cards=(_card(shape),))


def _aimed(*targets: Role, fault: Callable[[Random, Role], Fault]) -> tuple[Card, ...]:
    """A card for each target."""

    def card(target: Role) -> Card:
        return Card(
            affects_leader=target in ("leader", "all"),
            fault=lambda rng, for_ms: fault(rng, target),
            min_nodes=NEEDS_NODES.get(target, 1),
        )

    return tuple(map(card, targets))


def _kills(state: Durable, *targets: Role) -> tuple[Card, ...]:
    return _aimed(*targets, fault=lambda rng, target: Kill(target=target, state=state))


def _rate(rng: Random, target: Role) -> Fault:
    return Skew(target=target, clock="monotonic", rate_ppm=rng.choice(RATES_PPM))


def _jump(rng: Random, target: Role) -> Fault:
    return Skew(target=target, offset_ms=rng.choice(JUMPS_MS))


def _strobe(rng: Random, target: Role) -> Fault:
    return Skew(target=target, offset_ms=rng.choice(JUMPS_MS), flap_ms=rng.choice(STROBES_MS))


def _loss(rng: Random, target: Role) -> Fault:
    return Loss(percent=rng.choice(LOSSES_PERCENT), target=target)


def _late(rng: Random, target: Role) -> Fault:
    ms = rng.choice(DELAYS_MS)
    return Delay(ms=ms, jitter_ms=rng.choice((0, ms)), target=target)


def _slow_fsync(rng: Random, target: Role) -> Fault:
    return SlowFsync(target=target, ms=rng.choice(FSYNCS_MS))


def _storm(rng: Random, target: Role) -> Fault:
    return Kill(target=target, flap_ms=rng.choice(STORMS_MS))


def _at_vote(state: Durable, most_effects: int) -> Card:
    """The voter dies while it grants its vote, before or after the reply has left."""
    return Card(
        affects_leader=False,
        fault=lambda rng, for_ms: Kill(target="subject", state=state, after_effects=rng.randint(0, most_effects)),
        when=Trigger(event="vote-granted"),
        lasts_ms=BOUNCE_MS,
    )


def _at_win(fault: Fault) -> Card:
    return Card(affects_leader=True, fault=lambda rng, for_ms: fault, when=Trigger(event="new-leader"))


def _one_way(rng: Random, target: Role) -> Fault:
    ways: tuple[Way, ...] = ("in", "out")
    return Loss(percent=rng.choice((30, 60, 90)), target=target, way=rng.choice(ways))


def _burst(rng: Random, target: Role) -> Fault:
    return Loss(percent=rng.choice(LOSSES_PERCENT), target=target, burst=rng.choice(BURSTS))


def _held(rng: Random, target: Role) -> Fault:
    return Reorder(percent=rng.choice(DUPLICATES_PERCENT), ms=rng.choice(HOLDS_MS), target=target)


def _cut(how: How, *shapes: str) -> tuple[Card, ...]:
    """A card for each shape, with links that carry nothing in that way."""

    def card(shape: str) -> Card:
        fault = Partition(shape=shape, how=how)
        return replace(_card(SHAPES[shape]), fault=lambda rng, for_ms: fault)

    return tuple(map(card, shapes))


PARTITIONS = tuple(map(_card, SHAPES.values()))
KILLS = _kills("kept", "leader", "follower", "node", "minority", "majority", "all")
AMNESIA = _kills("lost", "leader", "follower", "minority")
ROLLBACKS = _kills("old", "leader", "follower", "minority")  # not in ``all``: software may refuse an old disk
TORN = _kills("torn", "leader", "follower", "all")
PAUSES = (
    *_aimed("leader", "follower", "minority", "majority", fault=lambda rng, target: Pause(target=target)),
    *_aimed("leader", fault=lambda rng, target: Pause(target=target, flap_ms=rng.choice(FLAPS_MS))),
)
LOSSES = _aimed("all", "leader", "follower", fault=_loss)
DELAYS = _aimed("all", "leader", "follower", fault=_late)
DUPLICATES = _aimed("all", fault=lambda rng, role: Duplicate(percent=rng.choice(DUPLICATES_PERCENT), target=role))
JUMPS = _aimed("leader", "follower", "minority", "all", fault=_jump)
STROBES = _aimed("leader", "all", fault=_strobe)
RATES = _aimed("leader", "follower", "minority", fault=_rate)
SLOWNESS = _aimed("leader", "follower", fault=lambda rng, role: Slow(target=role, ms=rng.choice(SLOW_MS)))
STORMS = _aimed("leader", "node", "minority", "all", fault=_storm)
REFUSALS = _cut("reject", "isolated-leader", "minority-leader", "halves", "single-link", "leader-mute", "isolated-node")
PAYLOADS = _cut("payload", "leader-deaf", "leader-mute", "follower-deaf", "one-way-link", "isolated-leader")
ONE_WAY_LOSSES = _aimed("leader", "follower", "minority", fault=_one_way)
BURST_LOSSES = _aimed("all", "leader", fault=_burst)
JITTERS = _aimed("all", "leader", fault=lambda rng, role: Delay(ms=0, jitter_ms=rng.choice(JITTERS_MS), target=role))
REORDERINGS = _aimed("all", "leader", fault=_held)
CORRUPTIONS = _aimed("all", "leader", fault=lambda rng, role: Corrupt(percent=rng.choice(CORRUPT_PERCENT), target=role))
NARROWNESS = _aimed(
    "all", "leader", fault=lambda rng, role: Bandwidth(ms_per_kb=rng.choice(NARROW_MS_PER_KB), target=role)
)
CRASHES = _aimed("leader", "follower", "minority", "all", fault=lambda rng, role: Crash(target=role))
STOPS = _aimed("leader", "follower", "minority", fault=lambda rng, role: Stop(target=role))
# Not in ``all``: to the nodes it is a kill, and ``all`` has enough of these.
OOMS = _aimed("leader", "follower", "minority", fault=lambda rng, role: Oom(target=role))
# Not in ``all`` either: the software's folder is on another file system then (see docs/faults.md).
FILLS = _aimed("leader", "follower", "minority", fault=lambda rng, role: Fill(target=role))
FSYNC_FAILURES = _aimed("leader", "follower", "minority", fault=lambda rng, role: FailingFsync(target=role))
SLOW_FSYNCS = _aimed("leader", "follower", "all", fault=_slow_fsync)
# Not in ``all`` either: systems that are configured with addresses look no name up.
RESOLUTIONS = (
    *_aimed("leader", "follower", "all", fault=lambda rng, role: Dns(target=role)),
    *_aimed("leader", "follower", "all", fault=lambda rng, role: Dns(target=role, answer="stale")),
)
FREEZES = (
    *_aimed("leader", "follower", "minority", fault=lambda rng, role: Freeze(target=role)),
    *_aimed("leader", fault=lambda rng, role: Freeze(target=role, flap_ms=rng.choice(FLAPS_MS))),
)


def _throttle(rng: Random, role: Role) -> Fault:
    return Throttle(target=role, per_mille=rng.choice(THROTTLES_PER_MILLE))


THROTTLES = _aimed("leader", "follower", fault=_throttle)
DISTURBED = (_card(SHAPES["isolated-leader"]), *_kills("kept", "leader"))
"""Faults after which the others elect a new leader."""
VOTERS = (*DISTURBED, _at_vote("kept", 9), _at_vote("torn", 9))
FORGETFUL = (*DISTURBED, _at_vote("lost", 9))
DRIFTERS = (
    _card(SHAPES["isolated-leader"]),
    *_aimed("leader", fault=lambda rng, role: Skew(target=role, clock="monotonic", rate_ppm=min(RATES_PPM))),
)
SUCCESSORS = (
    *DISTURBED,
    _at_win(Pause(target="subject")),
    _at_win(Kill(target="subject")),
    _at_win(Partition(shape="isolated-leader")),
)


SEVERAL_SERVERS = 3
"""Of fewer servers none can be spared, and a fault of one is a fault of the majority."""


def _of_several(*roles: Role, fault: Callable[[Random, Role], Fault]) -> Deck:
    """A card for each role, where there are several servers."""
    return tuple(replace(card, min_nodes=SEVERAL_SERVERS) for card in _aimed(*roles, fault=fault))


def _each_server(fault: Callable[[Random, Role], Fault], *last: Role) -> Deck:
    """The fault for the leader and a minority of several servers, for one server, and for the ``last`` roles."""
    return (*_of_several("leader", "minority", fault=fault), *_aimed("node", *last, fault=fault))


def _among_servers(cards: Deck) -> Deck:
    """The same faults, aimed at the servers."""
    return tuple(replace(card, among="servers") for card in cards)


def _pause(rng: Random, target: Role) -> Fault:
    return Pause(target=target)


def _kill(rng: Random, target: Role) -> Fault:
    return Kill(target=target)


SERVER_KILLS = (*_of_several("leader", "minority", "majority", fault=_kill), *_aimed("node", "all", fault=_kill))
SERVER_PAUSES = (*_of_several("leader", "minority", "majority", fault=_pause), *_aimed("node", fault=_pause))
SERVER_JUMPS = (*_of_several("leader", fault=_jump), *_aimed("node", "all", fault=_jump))
SERVER_KINDS: tuple[Deck, ...] = tuple(map(_among_servers, (PARTITIONS, SERVER_KILLS, SERVER_PAUSES, SERVER_JUMPS)))
"""Further decks of ``all`` where there are servers."""


KINDS: tuple[Deck, ...] = (
    PARTITIONS,
    KILLS,
    AMNESIA,
    TORN,
    PAUSES,
    LOSSES,
    DELAYS,
    DUPLICATES,
    JUMPS,
    STROBES,
    RATES,
    SLOWNESS,
    STORMS,
    REFUSALS,
    PAYLOADS,
    ONE_WAY_LOSSES,
    BURST_LOSSES,
    JITTERS,
    REORDERINGS,
    CORRUPTIONS,
    NARROWNESS,
    CRASHES,
    STOPS,
    FREEZES,
    THROTTLES,
)
"""The decks of ``all``."""
ALL = "all"


def _nemesis(name: str, help: str, cards: tuple[Card, ...], lanes: int = 1) -> Nemesis:
    return Nemesis(name=name, help=help, min_nodes=2, cards=cards, lanes=lanes)


def _of_servers(name: str, help: str, min_servers: int, cards: Deck) -> Nemesis:
    return Nemesis(name=name, help=help, min_nodes=min_servers, cards=_among_servers(cards), among="servers")


_ALL = (
    Nemesis(name="none", help="no fault at all", min_nodes=1, cards=()),
    Nemesis(
        name="partition",
        help="all partitions that so many nodes allow, mixed",
        min_nodes=min(shape.min_nodes for shape in SHAPES.values()),
        cards=PARTITIONS,
    ),
    *(_of_shape(shape) for shape in SHAPES.values()),
    _nemesis("kill", "the leader, others, or all are killed and started again, their state kept", KILLS),
    _nemesis("amnesia", "nodes are killed and start again with nothing on their disks", AMNESIA),
    _nemesis("rollback", "nodes are killed and start again with their disks as they were in the beginning", ROLLBACKS),
    _nemesis("torn", "nodes are killed, and what they had not flushed is lost", TORN),
    _nemesis("storm", "nodes are killed and started again faster than an election goes", STORMS),
    _nemesis("pause", "the leader or others stop for longer than a timeout, and go on", PAUSES),
    _nemesis("slow", "the leader or a follower takes its time over everything", SLOWNESS),
    _nemesis("loss", "10 to 30 % of packets are lost", LOSSES),
    _nemesis("delay", "packets are late, some more than others", DELAYS),
    _nemesis("jitter", "packets take an uneven time, and overtake each other", JITTERS),
    _nemesis("reorder", "some packets are held back, and overtaken by those behind them", REORDERINGS),
    _nemesis("duplicate", "packets arrive twice", DUPLICATES),
    _nemesis("corrupt", "in some packets a bit is wrong, and the receiving kernel throws them away", CORRUPTIONS),
    _nemesis("bandwidth", "links are narrow: packets queue for up to a second, or are lost", NARROWNESS),
    _nemesis("loss-oneway", "30 to 90 % of packets are lost on their way to a node, or from it", ONE_WAY_LOSSES),
    _nemesis("bursts", "packets are lost many in a row", BURST_LOSSES),
    _nemesis("reject", "partitions that are noticed at once: packets are refused", REFUSALS),
    _nemesis("payload", "partitions that let bare acknowledgements pass: one-way for TCP too", PAYLOADS),
    Nemesis(
        name="dns",
        help="names of machines resolve to nothing, or to an address that no machine has",
        min_nodes=2,
        cards=RESOLUTIONS,
        simulated=False,
    ),
    _nemesis("crash", "whole machines fall silent and lose all that runs, and come back", CRASHES),
    _nemesis("stop", "nodes are asked to end, and started again", STOPS),
    _nemesis("oom", "the leader or others run out of memory, and the kernel kills them", OOMS),
    _nemesis("disk-full", "the disks of the leader or others are full for a while", FILLS),
    _nemesis("slow-fsync", "flushes of files to the disk take 20 to 500 ms longer", SLOW_FSYNCS),
    _nemesis("failing-fsync", "flushes of files to the disk fail", FSYNC_FAILURES),
    _nemesis("freeze", "the kernel runs nothing of the leader's or others' for a while", FREEZES),
    _nemesis("throttle", "the leader or a follower is left 1 to 5 % of a processor", THROTTLES),
    _nemesis("skew", "wall clocks jump, by half a second to an hour", JUMPS),
    _nemesis("strobe", "wall clocks jump forth and back", STROBES),
    _nemesis("rate", "clocks that timers run on are 10 to 40 % too fast or too slow", RATES),
    _nemesis(
        "voter", "leaders fall, and voters are killed as they grant their votes, before or after these leave", VOTERS, 2
    ),
    _nemesis(
        "voter-amnesia",
        "leaders fall, and voters lose everything as they grant their votes, and vote anew",
        FORGETFUL,
        2,
    ),
    _nemesis("drift", "the leader is cut off while the clock that its timers run on is too slow", DRIFTERS, 2),
    _nemesis("successor", "the leader falls, and the next as soon as it wins", SUCCESSORS, 2),
    _of_servers("server-kill", "servers are killed and started again, their state kept", 1, SERVER_KILLS),
    _of_servers("server-pause", "servers stop for longer than a timeout, and go on", 1, SERVER_PAUSES),
    _of_servers("server-throttle", "servers are left 1 to 5 % of a processor", 1, _each_server(_throttle, "all")),
    _of_servers("server-skew", "the servers' wall clocks jump, by half a second to an hour", 1, SERVER_JUMPS),
    _of_servers(
        "server-amnesia",
        "servers are killed and start again with nothing on their disks",
        1,
        _each_server(lambda rng, role: Kill(target=role, state="lost"), "all"),
    ),
    _of_servers("server-storm", "servers are killed and started again and again", 1, _each_server(_storm, "all")),
    _of_servers("server-loss", "10 to 30 % of servers' packets are lost", 1, _each_server(_loss, "all")),
    _of_servers("server-strobe", "servers' wall clocks jump forth and back", 1, _each_server(_strobe, "all")),
    _of_servers("server-rate", "servers' timers run 10 to 40 % too fast or too slow", 1, _each_server(_rate, "all")),
    _of_servers(
        "server-disk-full",
        "servers' disks are full for a while",
        1,
        _each_server(lambda rng, role: Fill(target=role)),
    ),
    _of_servers(
        "server-slow-fsync",
        "servers' flushes to the disk take 20 to 500 ms longer",
        1,
        _each_server(_slow_fsync, "all"),
    ),
    _of_servers(
        "server-failing-fsync",
        "servers' flushes to the disk fail",
        1,
        _each_server(lambda rng, role: FailingFsync(target=role)),
    ),
    _of_servers("server-partition", "all partitions among so many servers, mixed", 2, PARTITIONS),
    _of_servers(
        "isolated-server-leader",
        "the server that leads the servers sees none of them, while nodes still reach it",
        2,
        (_card(SHAPES["isolated-leader"]),),
    ),
    _of_servers(
        "server-leader-pause",
        "the server that leads the servers stops for longer than a timeout, and goes on",
        2,
        _aimed("leader", fault=_pause),
    ),
    Nemesis(name=ALL, help="everything that the runtime can do, two at a time", min_nodes=2, cards=PARTITIONS, lanes=2),
)

NEMESES: Mapping[str, Nemesis] = MappingProxyType({nemesis.name: nemesis for nemesis in _ALL})
"""Every nemesis by its name."""
