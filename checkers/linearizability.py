"""Linearizability of registers: every operation seems to happen at one instant between its invocation and its answer.

Herlihy and Wing, "Linearizability", TOPLAS 1990. A history is linearizable iff its part about each key is, so keys are
judged one by one. The search is that of Wing and Gong (1993) in the form that Lowe calls just-in-time linearization
("Testing for linearizability", 2017): the lines are gone through in order, and an operation is given its place only
when it has to have one, when its answer comes; before it any that are under way may be placed. What is kept are the
configurations that this can lead to: the register's value, and which operations under way have been placed already.
None left means that no order fits.

An operation of unknown fate may happen at any later time, or never, and so stays under way for good; one that failed
never happened. What keeps the configurations few: an operation that changes nothing is placed as soon as it fits; of
several of unknown fate that would do the same the first is placed first; and a configuration that has used more of
those than another with the same value can do no more than it. After ``BUDGET`` configurations the answer is unknown.

Operations: ``read`` (ok: the value), ``write`` (of the value), ``cas`` ({"from", "to"}; ok: also {"swapped"}, where
false says that the value was another than "from"; without it ok means swapped). Registers begin as null. Of several
registers each value is an object with a ``key``, and ``value`` for what is read or written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.lock_holds import Key, key_of
from splitbrain.checkers.operations import FAIL, NONE, OK, Operations
from splitbrain.checkers.values import mapping
from splitbrain.checkers.verdict import Finding, Outcome, Verdict
from splitbrain.checkers.words import counted, instant, listed
from splitbrain.names import Guarantee

PROPERTY = "linearizability"
GUARANTEE: Guarantee = "fencing"
NEEDS = ("read", "write", "cas")
BUDGET = 500_000
MOST_RECENT = 3  # answers before the one that fits nowhere, shown with it

Value = bytes
"""A value of a register as JSON text, so that any JSON value can be told from any other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One operation on one register.

    It can happen where the value is ``needs`` (None: anywhere) and not ``spurns`` (None: no such value), and makes the
    value ``makes`` (None: as it was). ``returns`` is the line of its answer, None where its fate is unknown.
    """

    needs: Value | None
    spurns: Value | None
    makes: Value | None
    invoked: int
    returns: int | None
    start: int
    end: int
    told: str

    def after(self, value: Value) -> Value | None:
        """The register's value after it; None if it cannot happen at this value."""
        if (self.needs is not None and self.needs != value) or self.spurns == value:
            return None
        return value if self.makes is None else self.makes

    @property
    def effect(self) -> tuple[Value | None, Value | None]:
        return self.needs, self.makes


class Stuck(NamedTuple):
    """No order fits any more once ``act`` has been answered; the register may have held any of ``values`` before.
    ``recent`` are the acts answered last before it."""

    act: Act
    values: tuple[Value, ...]
    recent: tuple[Act, ...]


class OverBudget(Exception):
    """More configurations than were to be looked at."""


def check(history: History, budget: int = BUDGET) -> Verdict:
    """Whether the operations on each register can be put in an order that fits."""
    try:
        known = registers(history)
    except Malformed as wrong:
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=f"history line {wrong.index}: {wrong}")
    found: list[Finding] = []
    undecided: list[Key] = []
    looked_at = 0
    for key, acts in known.items():
        search = Search(budget - looked_at)
        try:
            stuck = search.run(acts)
        except OverBudget:
            undecided.append(key)
        else:
            found += [] if stuck is None else [_finding(key, stuck)]
        looked_at += search.looked_at
    facts = {
        "registers": len(known),
        "register_operations": sum(len(acts) for acts in known.values()),
        "register_operations_of_unknown_fate": sum(act.returns is None for acts in known.values() for act in acts),
        "configurations": looked_at,
        "configurations_allowed": budget,
        "registers_undecided": len(undecided),
    }
    return _verdict(found, undecided, facts)


def _verdict(found: list[Finding], undecided: list[Key], facts: Mapping[str, Any]) -> Verdict:
    if found:
        return Verdict(
            property=PROPERTY,
            outcome=Outcome.INVALID,
            words=found[0].words,
            evidence=found[0].evidence,
            findings=tuple(found),
            facts=facts,
        )
    operations = counted(facts["register_operations"], "operation")
    if undecided:
        outcome = Outcome.UNKNOWN
        words = f"no answer for {counted(len(undecided), 'register')} within "
        words += f"{facts['configurations_allowed']:,} configurations"
    elif facts["register_operations"] == facts["register_operations_of_unknown_fate"]:
        outcome, words = Outcome.UNKNOWN, "no operation on a register was ever answered, so nothing was tested"
    else:
        on = counted(facts["registers"], "register")
        outcome, words = Outcome.VALID, f"{operations} on {on} fit one order each"
    return Verdict(property=PROPERTY, outcome=outcome, words=words, facts=facts)


def _finding(key: Key, stuck: Stuck) -> Finding:
    register = "the register" if key is None else f"the register {key}"
    values = listed(value.decode() for value in stuck.values[:4]) + (" and more" if len(stuck.values) > 4 else "")
    act = stuck.act
    lines = {act.returns, *(each.returns for each in stuck.recent)} - {None}
    return Finding(
        guarantee=GUARANTEE,
        words=f"{act.told}, answered at {instant(act.end)}, fits no order: {register} can then only have held {values}",
        evidence=tuple(sorted(line for line in lines if line is not None)),
        start=min(each.start for each in (act, *stuck.recent)),
        end=act.end,
        facts={"key": key, "values": [value.decode() for value in stuck.values[:16]]},
    )


# From lines to acts


def registers(history: History) -> dict[Key, list[Act]]:
    """The acts on each register that may have happened and could be seen to, in the order of their invocations."""
    known: dict[Key, list[Act]] = defaultdict(list)
    for f in NEEDS:
        done = history.operations(f)
        for row in range(len(done)):
            unseen = f == "read" and done.outcome[row] != OK
            if done.outcome[row] != FAIL and not unseen:
                known[key_of(done.asked[row])].append(_act(history, f, done, row))
    return {key: sorted(acts, key=lambda act: act.invoked) for key, acts in known.items()}


def _act(history: History, f: str, done: Operations, row: int) -> Act:
    ok, line = bool(done.ok[row]), int(done.invoke_index[row])
    asked, answered = done.asked[row], done.answered[row]
    needs = spurns = makes = None
    match f:
        case "read":
            needs = _value(answered, asked)
            told = f"a read of {needs.decode()}"
        case "write":
            makes = _value(asked, asked)
            told = f"a write of {makes.decode()}"
        case _:
            pair = mapping(asked, "a cas", line)
            needs, makes = _json(pair.get("from")), _json(pair.get("to"))
            told = f"a swap of {needs.decode()} for {makes.decode()}"
            if ok and isinstance(answered, Mapping) and answered.get("swapped") is False:
                needs, spurns, makes = None, needs, None
                told += " that did not find it"
    node = int(done.node[row])
    return Act(
        needs=needs,
        spurns=spurns,
        makes=makes,
        invoked=line,
        returns=int(done.complete_index[row]) if ok else None,
        start=int(done.invoke[row]),
        end=int(done.complete[row]) if ok else history.end,
        told=told + ("" if node == NONE else f" at {history.nodes[node]}"),
    )


def _value(value: object, asked: object) -> Value:
    """What was read or written: of a register with a key it stands beside the key."""
    return _json(value.get("value") if key_of(asked) is not None and isinstance(value, Mapping) else value)


def _json(value: object) -> Value:
    return msgspec.json.encode(value, order="sorted")


# The search


class Search:
    """One search; ``looked_at`` counts the configurations that it came to.

    Acts under way have a bit each. Those that will be answered give theirs back; of those of unknown fate it is kept.
    """

    def __init__(self, budget: int) -> None:
        self.looked_at = 0
        self._budget = budget
        self._sure: dict[int, Act] = {}  # under way and to be answered, by bit
        self._open: dict[tuple[Value | None, Value | None], list[int]] = {}  # of unknown fate: bits by what they do
        self._acts: dict[int, Act] = {}
        self._idle: list[int] = []  # bits that were given back

    def run(self, acts: Iterable[Act]) -> Stuck | None:
        """Where no order fits any more; None if one does to the end. Raises OverBudget."""
        bits: dict[int, int] = {}
        recent: list[Act] = []
        present: set[tuple[Value, int]] = {(b"null", 0)}
        for act, answered in _events(acts):
            if not answered:
                bits[act.invoked] = self._begin(act)
                continue
            bit = bits[act.invoked]
            following = self._place(present, bit)
            if not following:
                values = tuple(sorted({value for value, _ in present}))
                return Stuck(act, values, tuple(recent[-MOST_RECENT:]))
            present = self._fewest({(value, placed & ~bit) for value, placed in following})
            del self._sure[bit]
            self._idle.append(bit)
            recent.append(act)
        return None

    def _begin(self, act: Act) -> int:
        bit = self._idle.pop() if self._idle else 1 << len(self._acts)
        self._acts[bit] = act
        if act.returns is not None:
            self._sure[bit] = act
        else:
            self._open.setdefault(act.effect, []).append(bit)
        return bit

    def _place(self, present: set[tuple[Value, int]], wanted: int) -> set[tuple[Value, int]]:
        """Every configuration in which the wanted act has just been placed, or had been before."""
        found = {each for each in present if each[1] & wanted}
        front = [self._settled(*each) for each in present if not each[1] & wanted]
        known = set(front)
        while front:
            value, placed = front.pop()
            self.looked_at += 1
            if self.looked_at > self._budget:
                raise OverBudget
            if placed & wanted:
                found.add((value, placed))
                continue
            for bit, after in self._next(value, placed):
                if bit == wanted:
                    found.add((after, placed | bit))
                    continue
                following = self._settled(after, placed | bit)
                if following not in known:
                    known.add(following)
                    front.append(following)
        return found

    def _settled(self, value: Value, placed: int) -> tuple[Value, int]:
        """With everything placed that fits at this value and changes nothing: to wait with it can only do harm."""
        for bit, act in self._sure.items():
            if act.makes is None and not placed & bit and act.after(value) is not None:
                placed |= bit
        return value, placed

    def _next(self, value: Value, placed: int) -> Iterator[tuple[int, Value]]:
        """The acts that can be placed next, with the value that they leave."""
        for bit, act in self._sure.items():
            if not placed & bit and (after := act.after(value)) is not None:
                yield bit, after
        for bits in self._open.values():
            first = next((bit for bit in bits if not placed & bit), None)
            if first is not None and (after := self._acts[first].after(value)) not in (None, value):
                yield first, after

    def _fewest(self, configurations: set[tuple[Value, int]]) -> set[tuple[Value, int]]:
        """Without those that used up more acts of unknown fate than another one that is the same otherwise."""
        if not self._open:
            return configurations
        sure = sum(self._sure)
        alike: dict[tuple[Value, int], list[int]] = defaultdict(list)
        for value, placed in sorted(configurations, key=lambda each: each[1].bit_count()):
            kept = alike[value, placed & sure]
            if not any(other & ~placed == 0 for other in kept):
                kept.append(placed)
        return {(value, placed) for (value, _), kept in alike.items() for placed in kept}


def _events(acts: Iterable[Act]) -> list[tuple[Act, bool]]:
    """Invocations (False) and answers (True) in the order of their lines."""
    lines = [(act.invoked, act, False) for act in acts]
    lines += [(act.returns, act, True) for act in acts if act.returns is not None]
    return [(act, answered) for _, act, answered in sorted(lines, key=lambda line: line[0])]
