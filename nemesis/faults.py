"""What may go wrong, as values: a closed union of faults, each planned against the cluster as it is observed.

A fault says what is to be hurt in terms of roles, and is all that a schedule holds. ``plan`` turns it, at
the moment it strikes, into a ``Plan`` that names nodes and links; somebody else carries that out, verifies
it and undoes it. Nothing here acts. ``plan`` draws only from the dice it is given, so the same view and
dice give the same plan.

``Fault`` is matched with ``match`` wherever it is taken apart: a new kind of fault is a new dataclass in that
union, an arm in ``plan``, and one in each direction of the JSON codec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from typing import Any

from nemesis.partitions import Cut
from nemesis.shapes import SHAPES, Cell, cell_of
from nemesis.targets import NoLeader, View

DEFAULT_FLAP_MS = 300


class ScheduleError(ValueError):
    """A fault or schedule that cannot be: where (such as ``steps[3].for_ms``), what is wanted, what came."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(where, expected, got)
        self.where = where
        self.expected = expected
        self.got = got

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Links drop packets in silence, in the shape of that name (a key of ``SHAPES``).

    With ``flap_ms`` the cut is made and healed by turns, each turn that long, beginning with the cut;
    without, it stays until the fault is healed. The shape ``flapping`` flaps in any case, every
    ``DEFAULT_FLAP_MS`` if not told.
    """

    shape: str
    flap_ms: int | None = None

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ScheduleError("shape", _one_of(self.shape, SHAPES), repr(self.shape))
        if self.flap_ms is not None:
            whole("flap_ms", self.flap_ms, at_least=1)


Fault = Partition


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A fault aimed: what is done, to whom.

    ``f`` is the name of the operation in a history; ``nodes`` are those that it is about (a hub among them
    may have all its links); ``cut`` the directed links that drop; ``cell`` the class of fault that this is;
    ``flap_ms`` the length of each turn of a cut that comes and goes, None for one that stays; ``words`` one
    line for a reader.
    """

    f: str
    shape: str
    cell: Cell
    nodes: tuple[str, ...]
    cut: Cut
    flap_ms: int | None
    words: str

    def links(self) -> list[list[str]]:
        """The cut as JSON writes it: [from, to], sorted."""
        return [[sender, receiver] for sender, receiver in sorted(self.cut)]


def plan(fault: Fault, view: View, rng: Random) -> Plan | NoLeader:
    """What the fault means for the cluster as it is seen now.

    ``NoLeader`` when it is aimed at a leader and there is none. A shape that does not exist for so few nodes
    raises ``ImpossibleShape``.
    """
    match fault:
        case Partition(shape=name):
            drawn = SHAPES[name].draw(view, rng)
            if isinstance(drawn, NoLeader):
                return drawn
            flap_ms = _flap_ms(fault)
            return Plan(
                f="partition",
                shape=name,
                cell=cell_of(view.nodes, drawn.cut, view.leader),
                nodes=drawn.nodes,
                cut=drawn.cut,
                flap_ms=flap_ms,
                words=drawn.words + (f", on and off every {flap_ms} ms" if flap_ms else ""),
            )


def cut_windows(plan: Plan, for_ms: int) -> tuple[tuple[int, int], ...]:
    """When within a fault of ``for_ms`` its links are down: [from, to) in ms since it began, in order."""
    turn = plan.flap_ms or for_ms
    return tuple((start, min(start + turn, for_ms)) for start in range(0, for_ms, 2 * turn))


def _flap_ms(fault: Partition) -> int | None:
    return DEFAULT_FLAP_MS if fault.flap_ms is None and fault.shape == "flapping" else fault.flap_ms


# JSON. A fault is {"f": "partition", "shape": "isolated-leader"}, with "flap_ms" where it has one.


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """The fault as JSON holds it, keys in a fixed order."""
    match fault:
        case Partition(shape=shape, flap_ms=flap_ms):
            flap = {} if flap_ms is None else {"flap_ms": flap_ms}
            return {"f": "partition", "shape": shape, **flap}


def fault_from_json(value: object, where: str = "fault") -> Fault:
    """The inverse of ``fault_to_json``; ``where`` is how errors name the place. Raises ``ScheduleError``."""
    fields = mapping(where, value, required=("f",))
    match fields["f"]:
        case "partition":
            return _partition_from_json(fields, where)
        case other:
            raise ScheduleError(f"{where}.f", _one_of(other, ("partition",)), repr(other))


def _partition_from_json(value: Mapping[str, object], where: str) -> Partition:
    fields = mapping(where, value, required=("f", "shape"), optional=("flap_ms",), closed=True)
    shape, flap_ms = fields["shape"], fields.get("flap_ms")
    if not isinstance(shape, str) or shape not in SHAPES:
        raise ScheduleError(f"{where}.shape", _one_of(shape, SHAPES), repr(shape))
    return Partition(shape=shape, flap_ms=None if flap_ms is None else whole(f"{where}.flap_ms", flap_ms, at_least=1))


def whole(where: str, value: object, *, at_least: int) -> int:
    """``value`` if it is a whole number of milliseconds and not too small, else a ``ScheduleError``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ScheduleError(where, f"a whole number of ms, at least {at_least}", repr(value))
    return value


def mapping(
    where: str,
    value: object,
    *,
    required: tuple[str, ...],
    optional: tuple[str, ...] = (),
    closed: bool = False,
) -> Mapping[str, object]:
    """``value`` if it is an object with the required keys and, if closed, no unknown ones."""
    if not isinstance(value, Mapping):
        raise ScheduleError(where, f"an object with {', '.join(required)}", repr(value))
    for key in required:
        if key not in value:
            raise ScheduleError(f"{where}.{key}", "this key", "nothing")
    known = (*required, *optional)
    for key in value:
        if closed and key not in known:
            raise ScheduleError(f"{where}.{key}", f"no other keys than {', '.join(known)}", repr(key))
    return value


def _one_of(got: object, known: Mapping[str, object] | tuple[str, ...]) -> str:
    names = ", ".join(known)
    near = get_close_matches(got, list(known), n=1) if isinstance(got, str) else []
    return f"one of {names}" + (f" (perhaps {near[0]}?)" if near else "")
