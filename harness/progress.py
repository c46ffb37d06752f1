"""The progress of a run in the terminal: phase, time left, faults in force, and the claim of each node.

In a terminal this is one block that is redrawn a few times a second; elsewhere, a plain line for each change of phase
or fault. It writes to standard error only: standard output belongs to the verdict.
"""

from __future__ import annotations

import contextlib
import errno
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from splitbrain.core.leader_view import LeaderView

LIVE_PER_SECOND = 4


class Display(io.TextIOBase):
    """A stream for progress that may go away during a run, as a closed pipe or terminal does.

    The command is then ended as by a hang-up, so that a run heals, keeps its history and tears down; the rest is not
    shown. A full disk behind the stream ends nothing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str, /) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        if self._gone:
            return
        try:
            act()
        except OSError as failure:
            self._gone = True
            if failure.errno != errno.ENOSPC and callable(signal.getsignal(signal.SIGHUP)):
                signal.raise_signal(signal.SIGHUP)


def display() -> Console:
    """The console for progress, on standard error."""
    return Console(file=cast("IO[str]", Display(sys.stderr)))


class ProgressState:
    """The state of the run as shown; written by the run, read by the display."""

    def __init__(self) -> None:
        self.phase_name = ""
        self.phase_began = time.monotonic()
        self.phase_seconds: float | None = None
        self.fault_words: str | None = None
        self.watch: LeaderView | None = None

    def time_left(self) -> str:
        spent = time.monotonic() - self.phase_began
        if self.phase_seconds is None:
            return f"{spent:.0f} s so far"
        if self.phase_name == "recovery":
            return f"{max(0.0, self.phase_seconds - spent):.0f} s left at most"
        return f"{max(0.0, self.phase_seconds - spent):.0f} s left"

    def nodes(self) -> Iterator[tuple[str, str]]:
        """Each node with its latest claim in words."""
        if self.watch is None:
            return
        for node in self.watch.nodes:
            claim = self.watch.claims.get(node)
            if claim is None:
                yield node, "not heard yet"
            else:
                term = "" if claim.term is None else f" in term {claim.term}"
                yield node, "LEADS" + term if claim.leading else f"follows {claim.leader or 'no leader'}{term}"


class PlainProgress:
    """A line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state = ProgressState()

    def phase(self, name: str, seconds: float | None = None) -> None:
        state = self._state
        state.phase_name, state.phase_seconds, state.phase_began = name, seconds, time.monotonic()
        if name != "end":
            self._line(f"{name}{f' ({seconds:.0f} s)' if seconds else ''}")

    def fault(self, words: str | None) -> None:
        if words != self._state.fault_words:
            self._state.fault_words = words
            self._line(f"  {words or 'healed'}{self._leaders()}")

    def incident(self, words: str) -> None:
        self._line(f"  {words}")

    def watching(self, watch: LeaderView) -> None:
        self._state.watch = watch

    def say(self, words: str) -> None:
        self._line(words)

    def _leaders(self) -> str:
        leading = [f"{node} {words}" for node, words in self._state.nodes() if words.startswith("LEADS")]
        return f" | {', '.join(leading)}" if leading else ""

    def _line(self, words: str) -> None:
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)


class LiveProgress:
    """A block that a separate thread redraws, so that drawing delays no client."""

    def __init__(self, console: Console, live: Live, state: ProgressState) -> None:
        self._console = console
        self._live = live
        self._state = state

    def phase(self, name: str, seconds: float | None = None) -> None:
        state = self._state
        state.phase_name, state.phase_seconds, state.phase_began = name, seconds, time.monotonic()

    def fault(self, words: str | None) -> None:
        self._state.fault_words = words

    def incident(self, words: str) -> None:
        self.say(words)

    def watching(self, watch: LeaderView) -> None:
        self._state.watch = watch

    def say(self, words: str) -> None:
        self._live.console.print(words, markup=False, highlight=False)


def _block(state: ProgressState) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(state.phase_name or "starting", style="bold"), state.time_left())
    if state.phase_name in ("faults", "recovery"):
        table.add_row("fault", Text(state.fault_words or "none"))
        for node, words in state.nodes():
            table.add_row(node, Text(words, style="bold" if words.startswith("LEADS") else ""))
    return table


@contextlib.contextmanager
def shown(console: Console) -> Iterator[PlainProgress | LiveProgress]:
    """The progress that fits the console."""
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    state = ProgressState()
    with Live(
        get_renderable=lambda: _block(state), console=console, refresh_per_second=LIVE_PER_SECOND, transient=True
    ) as live:
        yield LiveProgress(console, live, state)
