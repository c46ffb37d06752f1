"""Instruments: objects that watch nodes from inside a simulation, beyond the reach of any observer."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from splitbrain.nodes.protocol import Effect, Event

if TYPE_CHECKING:
    from splitbrain.runtimes.sim.hosts import Host

P = ParamSpec("P")
R = TypeVar("R")


class Instrument:
    """Is called when something happens inside a node. Override the methods that are needed.

    An instrument may inject faults while it watches: a node that is killed then does nothing more.
    """

    def before(self, host: Host) -> None:
        """The node of ``host`` is about to take an event, to die, or to have its clock moved."""

    def after(self, host: Host, event: Event) -> None:
        """The node has taken ``event``; none of its effects has been carried out."""

    def intends(self, host: Host, effects: Sequence[Effect]) -> bool:
        """The node will carry out these effects. True holds it up until all else of this instant has happened."""
        return False

    def effect(self, host: Host, effect: Effect) -> None:
        """This effect is about to be carried out."""

    def down(self, host: Host) -> None:
        """The node has died."""

    def raised(self, host: Host, failure: Exception) -> None:
        """The node raised when it was started or took an event, and is about to die of it."""


class Instruments(Instrument):
    """Several instruments in one, called in the order given."""

    def __init__(self, *each: Instrument) -> None:
        self._before = _overriding(instrument.before for instrument in each)
        self._after = _overriding(instrument.after for instrument in each)
        self._intends = _overriding(instrument.intends for instrument in each)
        self._effect = _overriding(instrument.effect for instrument in each)
        self._each = each

    def before(self, host: Host) -> None:
        for call in self._before:
            call(host)

    def after(self, host: Host, event: Event) -> None:
        for call in self._after:
            call(host, event)

    def intends(self, host: Host, effects: Sequence[Effect]) -> bool:
        held = [call(host, effects) for call in self._intends]
        return any(held)

    def effect(self, host: Host, effect: Effect) -> None:
        for call in self._effect:
            call(host, effect)

    def down(self, host: Host) -> None:
        for instrument in self._each:
            instrument.down(host)

    def raised(self, host: Host, failure: Exception) -> None:
        for instrument in self._each:
            instrument.raised(host, failure)


def overridden(method: Callable[P, R]) -> Callable[P, R] | None:
    """A bound method of an instrument, if its class overrides it; nodes take events by the hundred thousand."""
    function = getattr(method, "__func__", method)
    return None if function is getattr(Instrument, function.__name__) else method


def _overriding(methods: Iterable[Callable[P, R]]) -> tuple[Callable[P, R], ...]:
    return tuple(method for method in methods if overridden(method) is not None)


def describe(failure: Exception) -> str:
    """The exception and the place where it was raised, in a line that is the same on any machine."""
    words = traceback.format_exception_only(failure)[-1].strip()
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{words} ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"
