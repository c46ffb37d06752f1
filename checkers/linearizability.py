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
from collections.abc import Mapping
from typing import Any

import msgspec

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.linearization import (
    BudgetExceeded,
    Counterexample,
    LinearizationSearch,
    RegisterOperation,
    Value,
)
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
        search = LinearizationSearch(budget - looked_at)
        try:
            stuck = search.run(acts)
        except BudgetExceeded:
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


def _finding(key: Key, stuck: Counterexample) -> Finding:
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


def registers(history: History) -> dict[Key, list[RegisterOperation]]:
    """The acts on each register that may have happened and could be seen to, in the order of their invocations."""
    known: dict[Key, list[RegisterOperation]] = defaultdict(list)
    for f in NEEDS:
        done = history.operations(f)
        for row in range(len(done)):
            unseen = f == "read" and done.outcome[row] != OK
            if done.outcome[row] != FAIL and not unseen:
                known[key_of(done.asked[row])].append(_act(history, f, done, row))
    return {key: sorted(acts, key=lambda act: act.invoked) for key, acts in known.items()}


def _act(history: History, f: str, done: Operations, row: int) -> RegisterOperation:
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
    return RegisterOperation(
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
