"""Linearizability: each operation appears to take effect instantaneously between its invocation and its response.

Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", TOPLAS 12(3), 1990. The property is
local: a history is linearizable iff its part about each register is, so registers are judged one by one
(``checkers.linearization``). After ``BUDGET`` configurations in total the outcome is unknown. An operation of unknown
fate may take effect at any later time, or never; one that failed never did.

Operations: ``read`` (ok: the value), ``write`` (of the value), ``cas`` ({"from", "to"}; ok: also {"swapped"}: false
means that the value was not "from"; without it, ok means swapped). Registers start as null. With several registers,
each value is an object with a ``key``, and with ``value`` for the value read or written.
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
    """Check each register, within ``budget`` configurations in total.

    The evidence of a violation is the answer that fits no order and those just before it.
    """
    try:
        known = registers(history)
    except Malformed as wrong:
        return Verdict(property=PROPERTY, outcome=Outcome.UNKNOWN, words=wrong.with_line)
    found: list[Finding] = []
    undecided: list[Key] = []
    examined = 0
    for key, on_key in known.items():
        search = LinearizationSearch(budget - examined)
        try:
            counterexample = search.run(on_key)
        except BudgetExceeded:
            undecided.append(key)
        else:
            found += [] if counterexample is None else [_finding(key, counterexample)]
        examined += search.examined
    facts = {
        "registers": len(known),
        "register_operations": sum(len(on_key) for on_key in known.values()),
        "register_operations_of_unknown_fate": sum(
            each.returns is None for on_key in known.values() for each in on_key
        ),
        "configurations": examined,
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
        words = f"{counted(len(undecided), 'register')} undecided after "
        words += f"{facts['configurations_allowed']:,} configurations"
    elif facts["register_operations"] == facts["register_operations_of_unknown_fate"]:
        outcome, words = Outcome.UNKNOWN, "no operation on a register was answered, so linearizability was not tested"
    else:
        on = counted(facts["registers"], "register")
        outcome, words = Outcome.VALID, f"{operations} on {on}: linearizable"
    return Verdict(property=PROPERTY, outcome=outcome, words=words, facts=facts)


def _finding(key: Key, counterexample: Counterexample) -> Finding:
    register = "the register" if key is None else f"the register {key}"
    more = " and more" if len(counterexample.values) > 4 else ""
    values = listed(value.decode() for value in counterexample.values[:4]) + more
    operation = counterexample.operation
    lines = {operation.returns, *(each.returns for each in counterexample.recent)} - {None}
    answer = f"{operation.description}, answered at {instant(operation.end)}"
    return Finding(
        guarantee=GUARANTEE,
        words=f"{answer}, fits no order: {register} can only have held {values}",
        evidence=tuple(sorted(line for line in lines if line is not None)),
        start=min(each.start for each in (operation, *counterexample.recent)),
        end=operation.end,
        facts={"key": key, "values": [value.decode() for value in counterexample.values[:16]]},
    )


def registers(history: History) -> dict[Key, list[RegisterOperation]]:
    """The operations on each register that constrain the order, sorted by invocation; failed ones and unanswered reads
    do not. Raises Malformed."""
    known: dict[Key, list[RegisterOperation]] = defaultdict(list)
    for f in NEEDS:
        done = history.operations(f)
        for row in range(len(done)):
            unseen = f == "read" and done.outcome[row] != OK
            if done.outcome[row] != FAIL and not unseen:
                known[key_of(done.asked[row])].append(_operation(history, f, done, row))
    return {key: sorted(on_key, key=lambda each: each.invoked) for key, on_key in known.items()}


def _operation(history: History, f: str, done: Operations, row: int) -> RegisterOperation:
    ok, line = bool(done.ok[row]), int(done.invoke_index[row])
    asked, answered = done.asked[row], done.answered[row]
    requires = excludes = writes = None
    match f:
        case "read":
            requires = _value(answered, asked)
            description = f"a read of {requires.decode()}"
        case "write":
            writes = _value(asked, asked)
            description = f"a write of {writes.decode()}"
        case _:
            pair = mapping(asked, "a cas", line)
            requires, writes = _json(pair.get("from")), _json(pair.get("to"))
            description = f"a cas from {requires.decode()} to {writes.decode()}"
            if ok and isinstance(answered, Mapping) and answered.get("swapped") is False:
                requires, excludes, writes = None, requires, None
                description += " that found another value"
    node = int(done.node[row])
    return RegisterOperation(
        requires=requires,
        excludes=excludes,
        writes=writes,
        invoked=line,
        returns=int(done.complete_index[row]) if ok else None,
        start=int(done.invoke[row]),
        end=int(done.complete[row]) if ok else history.end,
        description=description + ("" if node == NONE else f" at {history.nodes[node]}"),
    )


def _value(value: object, asked: object) -> Value:
    """The value read or written, which stands beside the key if there is one."""
    return _json(value.get("value") if key_of(asked) is not None and isinstance(value, Mapping) else value)


def _json(value: object) -> Value:
    return msgspec.json.encode(value, order="sorted")
