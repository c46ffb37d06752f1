"""Linearizability: each operation appears to take effect instantaneously between its invocation and its response.

Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", TOPLAS 12(3), 1990. The property is
local: a history is linearizable iff its part about each object is, so objects are judged one by one. Registers and
mutexes are searched (``checkers.linearization``), and after ``BUDGET`` steps in total the outcome is unknown; sets are
decided without a search (``checkers.set_order``). An operation of unknown fate may take effect at any later time, or
never; one that failed never did.

The model says which object it is (``splitbrain.names.MODELS``). ``register`` and ``cas-register``, null at first:
``read`` (ok: the value), ``write`` (of the value), ``cas`` ({"from", "to"} or [from, to]; ok: also {"swapped"}: false
means that the value was not "from"; without it, ok means swapped). ``mutex``, free at first: ``acquire``, ``release``.
``set``, empty at first: ``add`` (an element), ``read`` (ok: the list of all elements). With several objects, each value
is an object with a ``key``, and with ``value`` for the value read, written or added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from splitbrain.checkers.fault import Malformed
from splitbrain.checkers.history import History
from splitbrain.checkers.linearization import (
    BudgetExceeded,
    Counterexample,
    LinearizationSearch,
)
from splitbrain.checkers.lock_holds import Key, key_of
from splitbrain.checkers.operations import FAIL, NONE, OK, Operations
from splitbrain.checkers.register import NULL, RegisterOperation, Value
from splitbrain.checkers.set_order import Conflict, SetOperation, conflict
from splitbrain.checkers.values import mapping, sequence
from splitbrain.checkers.verdict import Finding, Observed, Verdict
from splitbrain.checkers.words import counted, instant, listed
from splitbrain.names import MODELS, Guarantee, Model

PROPERTY = "linearizability"
GUARANTEE: Guarantee = "fencing"
NEEDS = ("read", "write", "cas", "acquire", "release")
BUDGET = 20_000_000
PER_OPERATION = 100  # further steps allowed: easy histories need a few for each operation, however long they are
FREE, HELD = NULL, b'"held"'  # the values of a mutex as a register


def model_of(history: History) -> Model | None:
    """The model that a history names, else the one that its operations show; None if they are about no object.

    Locks are judged by ``mutual-exclusion`` unless a model is named, because a lease may expire in another's hands.
    """
    if history.model is not None:
        return history.model
    if len(history.operations("cas")):
        return "cas-register"
    if len(history.operations("read")) and len(history.operations("add")):
        return "set"
    return "register" if len(history.operations("read")) or len(history.operations("write")) else None


def check(history: History, model: Model | None = None, budget: int = BUDGET) -> Verdict:
    """Check each object by the model, by default that of the history, within ``budget`` steps in total.

    The evidence of a violation is the answer that fits no order and those just before it.
    """
    model = model or model_of(history) or "register"
    try:
        if model == "register" and len(cas := history.operations("cas")):
            raise Malformed("no cas in a history of a register (--model cas-register)", "cas", int(cas.invoke_index[0]))
        return _sets(history) if model == "set" else _registers(history, model, budget)
    except Malformed as wrong:
        return Verdict(property=PROPERTY, observed=Observed.UNDECIDED, words=wrong.with_line)


def _registers(history: History, model: Model, budget: int) -> Verdict:
    known = registers(history, model)
    found: list[Finding] = []
    undecided: list[Key] = []
    allowed = budget + PER_OPERATION * sum(len(on_key) for on_key in known.values())
    steps = 0
    for left, (key, on_key) in zip(range(len(known), 0, -1), known.items(), strict=True):
        search = LinearizationSearch((allowed - steps) // left)
        try:
            counterexample = search.run(on_key)
        except BudgetExceeded:
            undecided.append(key)
        else:
            found += [] if counterexample is None else [_finding(model, key, counterexample)]
        steps += search.steps
    facts = {
        **_counts(model, known),
        "steps": steps,
        "steps_allowed": allowed,
        "registers_undecided": len(undecided),
    }
    return _verdict(model, found, undecided, facts)


def _sets(history: History) -> Verdict:
    known = sets(history)
    found = [_set_finding(key, wrong) for key, on_key in known.items() if (wrong := conflict(on_key)) is not None]
    return _verdict("set", found, [], _counts("set", known))


def _counts(
    model: Model, known: Mapping[Key, list[RegisterOperation]] | Mapping[Key, list[SetOperation]]
) -> dict[str, Any]:
    """The facts that verdicts of every model have; the names are older than the other models."""
    operations = [each for on_key in known.values() for each in on_key]
    return {
        "model": model,
        "registers": len(known),
        "register_operations": len(operations),
        "register_operations_of_unknown_fate": sum(each.returns is None for each in operations),
    }


def _verdict(model: Model, found: list[Finding], undecided: list[Key], facts: Mapping[str, Any]) -> Verdict:
    if found:
        return Verdict(
            property=PROPERTY,
            observed=Observed.VIOLATED,
            words=f"{found[0].words} (model {model})",
            evidence=found[0].evidence,
            findings=tuple(found),
            facts=facts,
        )
    if undecided:
        observed = Observed.UNDECIDED
        words = f"{_objects(model, len(undecided))} undecided after {facts['steps']:,} steps"
    elif facts["register_operations"] == facts["register_operations_of_unknown_fate"]:
        observed, words = Observed.UNDECIDED, f"no {_either(model)} was answered, so linearizability was not tested"
    else:
        operations = counted(facts["register_operations"], "operation")
        observed, words = Observed.HELD, f"{operations} on {_objects(model, facts['registers'])}: linearizable"
    return Verdict(property=PROPERTY, observed=observed, words=f"{words} (model {model})", facts=facts)


def _objects(model: Model, count: int) -> str:
    return counted(count, "register" if model == "cas-register" else model).replace("mutexs", "mutexes")


def _either(model: Model) -> str:
    """The operations of a model: "read, write or cas"."""
    *most, last = MODELS[model]
    return f"{', '.join(most)} or {last}"


def _finding(model: Model, key: Key, counterexample: Counterexample) -> Finding:
    noun = "mutex" if model == "mutex" else "register"
    named = f"the {noun}" if key is None else f"the {noun} {key}"
    operation = counterexample.operation
    if counterexample.values:
        more = " and more" if len(counterexample.values) > 4 else ""
        values = listed(_state(model, value) for value in counterexample.values[:4]) + more
        reason = f"{named} can only have {'been' if model == 'mutex' else 'held'} {values}"
    elif counterexample.scarce is not None:
        state = _state(model, counterexample.scarce)
        reason = f"operations up to then need {named} to be {state} more often than others can have set it"
    else:
        assert operation.requires is not None
        reason = f"nothing that began before had set {named} to {_state(model, operation.requires)}"
    lines = {operation.returns, *(each.returns for each in counterexample.recent)} - {None}
    return Finding(
        guarantee=GUARANTEE,
        words=f"{operation.description}, answered at {instant(operation.end)}, fits no order: {reason}",
        evidence=tuple(sorted(line for line in lines if line is not None)),
        start=min(each.start for each in (operation, *counterexample.recent)),
        end=operation.end,
        facts={"key": key, "values": [value.decode() for value in counterexample.values[:16]]},
    )


def _state(model: Model, value: Value) -> str:
    return ("free" if value == FREE else "held") if model == "mutex" else value.decode()


def _set_finding(key: Key, wrong: Conflict) -> Finding:
    lines = {each.returns for each in wrong.operations} | {each.invoked for each in wrong.operations if each.adds}
    return Finding(
        guarantee=GUARANTEE,
        words=wrong.words if key is None else f"the set {key}: {wrong.words}",
        evidence=tuple(sorted(line for line in lines if line is not None)),
        start=min(each.start for each in wrong.operations),
        end=max(each.end for each in wrong.operations),
        facts={"key": key},
    )


def registers(history: History, model: Model = "cas-register") -> dict[Key, list[RegisterOperation]]:
    """The operations on each register that constrain the order, sorted by invocation; failed ones and unanswered reads
    do not, and neither does a release of a lock that had been lost. Raises Malformed."""
    known: dict[Key, list[RegisterOperation]] = defaultdict(list)
    for f, done, row in _constraining(history, model):
        if not (f == "release" and _lost(done.answered[row])):
            known[key_of(done.asked[row])].append(_operation(history, f, done, row))
    return {key: sorted(on_key, key=lambda each: each.invoked) for key, on_key in known.items()}


def sets(history: History) -> dict[Key, list[SetOperation]]:
    """The additions to each set and the reads of it. Raises Malformed."""
    known: dict[Key, list[SetOperation]] = defaultdict(list)
    for f, done, row in _constraining(history, "set"):
        known[key_of(done.asked[row])].append(_set_operation(history, f, done, row))
    return known


def _constraining(history: History, model: Model) -> Iterator[tuple[str, Operations, int]]:
    for f in MODELS[model]:
        done = history.operations(f)
        for row in range(len(done)):
            unseen = f == "read" and done.outcome[row] != OK
            if done.outcome[row] != FAIL and not unseen:
                yield f, done, row


def _lost(answered: object) -> bool:
    return isinstance(answered, Mapping) and answered.get("held") is False


def _set_operation(history: History, f: str, done: Operations, row: int) -> SetOperation:
    ok, line, asked = bool(done.ok[row]), int(done.invoke_index[row]), done.asked[row]
    if f == "add":
        element = _value(asked, asked)
        elements, description = frozenset({element}), f"the addition of {element.decode()}"
    else:
        read = _part(done.answered[row], asked)
        answer = int(done.complete_index[row])
        elements = frozenset(map(_json, sequence([] if read is None else read, "a read of a set", answer)))
        description = f"the set read{_at(history, done, row)} at {instant(int(done.complete[row]))}"
    return SetOperation(
        adds=f == "add",
        elements=elements,
        invoked=line,
        returns=int(done.complete_index[row]) if ok else None,
        start=int(done.invoke[row]),
        end=int(done.complete[row]) if ok else history.end,
        description=description,
    )


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
        case "acquire":
            requires, writes, description = FREE, HELD, "an acquire"
        case "release":
            requires, writes, description = HELD, FREE, "a release"
        case _:
            requires, writes = _pair(asked, line)
            description = f"a cas from {requires.decode()} to {writes.decode()}"
            if ok and isinstance(answered, Mapping) and answered.get("swapped") is False:
                requires, excludes, writes = None, requires, None
                description += " that found another value"
    return RegisterOperation(
        requires=requires,
        excludes=excludes,
        writes=writes,
        invoked=line,
        returns=int(done.complete_index[row]) if ok else None,
        start=int(done.invoke[row]),
        end=int(done.complete[row]) if ok else history.end,
        description=description + _at(history, done, row),
    )


def _at(history: History, done: Operations, row: int) -> str:
    node = int(done.node[row])
    return "" if node == NONE else f" at {history.nodes[node]}"


def _pair(asked: object, line: int) -> tuple[Value, Value]:
    """The old and the new value of a cas."""
    if isinstance(asked, list | tuple) and len(asked) == 2:
        return _json(asked[0]), _json(asked[1])
    pair = mapping(asked, "a cas", line)
    return _json(pair.get("from")), _json(pair.get("to"))


def _value(value: object, asked: object) -> Value:
    return _json(_part(value, asked))


def _part(value: object, asked: object) -> object:
    """The value read, written or added, which stands beside the key if there is one."""
    return value.get("value") if key_of(asked) is not None and isinstance(value, Mapping) else value


_json: Callable[[object], Value] = msgspec.json.Encoder(order="sorted").encode
