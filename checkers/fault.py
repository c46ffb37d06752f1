"""Faults as the history describes them: the begin line and the done line of each, paired.

A fault here is a name, target nodes and directed links, the times at which it began and was in effect, and the result.
The effects of the names are known only to ``checkers.fault_periods``.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from reprlib import Repr
from typing import Any, NamedTuple, Protocol

from splitbrain.names import fault_class_of

Link = tuple[str, str]


class NemesisLine(Protocol):
    """The fields of a nemesis line that pairing needs."""

    index: int
    time: int
    f: str
    node: str | None
    value: Any


_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 200


class Malformed(ValueError):
    """A malformed history line: what was expected, what was found (cut short), and the line's ``index`` (from 0)."""

    def __init__(self, expected: str, got: object, index: int) -> None:
        super().__init__(f"expected {expected}, got {_SHORT.repr(got)}")
        self.index = index

    @property
    def with_line(self) -> str:
        """The message with the line, counted from 1 as in errors of the reader."""
        return f"line {self.index + 1} of the history: {self}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One act of the nemesis: a fault or a repair.

    ``begin`` and ``done`` are ns; ``done`` is None if the history ends before it. ``links`` are directed: from, to.
    ``asked`` and ``effect`` are the values of the begin line and the done line. ``verified`` says whether the fault was
    seen to take effect; None, if the history does not say, counts as yes. ``skipped`` is the reason for not trying.
    ``fault_class`` is the name of its class, also where an old history has a code. ``seen_again`` says how often it was
    verified again while it was in force, ``last_seen`` is when last (ns), and ``lost`` are the signs, later than that,
    that something else had ended it.
    """

    id: int | str
    f: str
    begin: int
    begin_index: int
    done: int | None = None
    done_index: int | None = None
    nodes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    effect: Mapping[str, Any] = field(default_factory=dict)
    verified: bool | None = None
    skipped: str | None = None
    fault_class: str | None = None
    seen_again: int = 0
    last_seen: int | None = None
    lost: tuple[str, ...] = ()

    @property
    def in_effect(self) -> bool:
        """True if the fault was carried out and not seen to fail."""
        return self.done is not None and self.skipped is None and self.verified is not False

    @property
    def combined_class(self) -> str | None:
        """The class of all cuts in force taken as one, where that is another than each has alone."""
        return _class(self.asked, "combined_class", "together")

    @property
    def shape(self) -> str | None:
        """The nemesis' name for the form of the fault, such as "leader-deaf"."""
        shape = self.asked.get("shape", self.effect.get("shape"))
        return None if shape is None else str(shape)


class FaultHalf(NamedTuple):
    """A line of the nemesis that has been checked, its value and the id of its fault."""

    line: NemesisLine
    value: Mapping[str, Any]
    id: int | str | None


def pair_faults(halves: Iterable[FaultHalf]) -> tuple[Fault, ...]:
    """Pair the nemesis' lines into faults, in the order in which they began.

    A begin and a done belong together by ``f`` and ``id``; without an id, a done ends the oldest open fault of that
    name. Lines without a phase are begin and done in turn. Raises Malformed for a done without a begin.
    """
    begun: list[FaultHalf] = []
    done: dict[int, FaultHalf] = {}
    all_of: defaultdict[str, deque[int]] = defaultdict(deque)
    with_id: defaultdict[tuple[str, int | str | None], deque[int]] = defaultdict(deque)
    for half in halves:
        line = half.line
        queues = [all_of[line.f]] if half.id is None else [with_id[line.f, half.id], with_id[line.f, None]]
        partner = min((queue[0] for queue in queues if _has_open(queue, done)), default=None)
        phase = half.value.get("phase", "begin" if partner is None else "done")
        if phase == "begin":
            all_of[line.f].append(len(begun))
            with_id[line.f, half.id].append(len(begun))
            begun.append(half)
        elif partner is None:
            raise Malformed(f"a begin of {line.f} {half.id} before its done", phase, line.index)
        else:
            done[partner] = half
    rechecked = {key: seen for half in done.values() for key, seen in _seen_again(half.value)}
    return tuple(
        _fault(half, done.get(at), {} if half.id is None else rechecked.get(half.id, {}))
        for at, half in enumerate(begun)
    )


def _seen_again(value: Mapping[str, Any]) -> Iterator[tuple[int | str, Mapping[str, Any]]]:
    """The faults that a repair found when it began, by their ids; malformed entries are left out."""
    entries = value.get("seen_again")
    for entry in entries if isinstance(entries, list | tuple) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("id"), int | str):
            yield entry["id"], entry


def _has_open(queue: deque[int], done: Container[int]) -> bool:
    """Drop the faults at the head of a queue that are done; True if another is left."""
    while queue and queue[0] in done:
        queue.popleft()
    return bool(queue)


def read_nemesis_line(line: NemesisLine) -> FaultHalf:
    """Check the value of a nemesis line; a value that is no object counts as empty. Raises Malformed."""
    value = line.value if isinstance(line.value, Mapping) else {}
    phase = value.get("phase", "begin")
    if phase not in ("begin", "done"):
        raise Malformed('a phase "begin" or "done"', phase, line.index)
    fault = value.get("id")
    if not (fault is None or isinstance(fault, int | str)):
        raise Malformed("an id that is a number or a string", fault, line.index)
    nodes, links = value.get("nodes") or [], value.get("links") or []
    if not isinstance(nodes, list | tuple) or not all(isinstance(node, str) for node in nodes):
        raise Malformed("nodes to be a list of names", nodes, line.index)
    if not isinstance(links, list | tuple) or not all(_is_link(link) for link in links):
        raise Malformed("links to be a list of pairs of names", links, line.index)
    return FaultHalf(line, value, fault)


def _fault(begun: FaultHalf, done: FaultHalf | None, rechecked: Mapping[str, Any]) -> Fault:
    line, asked = begun.line, begun.value
    effect = done.value if done is not None else {}
    named = (line.node,) if line.node is not None else ()
    verified, skipped = effect.get("verified"), effect.get("skipped", asked.get("skipped"))
    return Fault(
        id=begun.id if begun.id is not None else f"line {line.index}",
        f=line.f,
        begin=line.time,
        begin_index=line.index,
        done=done.line.time if done is not None else None,
        done_index=done.line.index if done is not None else None,
        nodes=tuple(dict.fromkeys((*named, *_nodes(asked), *_nodes(effect)))),
        links=tuple(dict.fromkeys((*_links(asked), *_links(effect)))),
        asked=asked,
        effect=effect,
        verified=None if verified is None else bool(verified),
        skipped=None if skipped in (None, False) else str(skipped),
        fault_class=_class(asked, "class", "cell") or _class(effect, "class", "cell"),
        seen_again=times if isinstance(times := rechecked.get("times"), int) else 0,
        last_seen=last if isinstance(last := rechecked.get("last"), int) else None,
        lost=tuple(map(str, signs)) if isinstance(signs := rechecked.get("lost"), list | tuple) else (),
    )


def _class(value: Mapping[str, Any], key: str, old_key: str) -> str | None:
    """The name of a fault class; histories before 0.2 have codes, under other keys."""
    stored = value.get(key, value.get(old_key))
    return None if stored is None else fault_class_of(str(stored))


def _nodes(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(value.get("nodes") or ())


def _links(value: Mapping[str, Any]) -> tuple[Link, ...]:
    return tuple((sender, receiver) for sender, receiver in value.get("links") or ())


def _is_link(link: object) -> bool:
    return isinstance(link, list | tuple) and len(link) == 2 and all(isinstance(end, str) for end in link)
