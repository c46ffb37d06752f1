"""The end of a command: whatever ends it becomes an exit status and at most one message.

Statuses 0, 1 and 2 are verdicts; everything else that can happen, a signal and a bug included, is 3 or 64. Imports
nothing large, since a signal may also end the imports of the command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from splitbrain.errors import EXIT_FAILED, EXIT_VALID, Interrupted, SplitbrainError
from splitbrain.plugins import PluginError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.01
DEBUG_OPTION = "--debug"
DEBUG_VARIABLE = "SPLITBRAIN_DEBUG"


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that end a command; one that the parent process has ignored (``nohup``) stays ignored."""
    return tuple(number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def conclude(work: Callable[[], object], *, debug: bool = False) -> NoReturn:
    """Call ``work`` and exit with its status; it may end with SystemExit, whose status is then a verdict's."""
    debug = debug or os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")
    with _interruptible():
        try:
            status = _status_of(work, debug)
        except Interrupted as late:
            _arrived(late)
            status = late.exit_status
    sys.exit(status)


def words_of(failure: BaseException) -> str:
    """A failure in one message; of a bug, with the place in the source."""
    match failure:
        case SplitbrainError() | Interrupted() | PluginError():
            return str(failure)
        case KeyboardInterrupt():
            return "interrupted by SIGINT"
        case OSError(strerror=str(reason)):
            return f"{failure.filename}: {reason}" if failure.filename else reason
        case MemoryError():
            return "the memory of the machine does not suffice"
        case _:
            last = traceback.extract_tb(failure.__traceback__)[-1:]
            where = "".join(f" ({frame.filename}:{frame.lineno})" for frame in last)
            kind = type(failure).__name__
            return f"a bug of splitbrain, no verdict: {kind}: {failure}{where}; {DEBUG_OPTION} shows the traceback"


def _status_of(work: Callable[[], object], debug: bool) -> int:
    status = EXIT_VALID
    try:
        work()
    except SystemExit as ended:
        _arrived(ended)
        status = ended.code if isinstance(ended.code, int) else EXIT_VALID if ended.code is None else EXIT_FAILED
    except BaseException as failure:
        _arrived(failure)
        status = getattr(failure, "exit_status", EXIT_FAILED)
        _complain(failure, debug)
    return _flushed(status, debug)


def _flushed(status: int, debug: bool) -> int:
    """The status, or that of a failure if standard output cannot take what was printed."""
    try:
        sys.stdout.flush()
    except OSError as failure:
        if status != EXIT_FAILED:
            _complain(failure, debug)
        status = EXIT_FAILED
        # What is left in the buffer would fail again when the interpreter ends, with a message and status of its own.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _complain(failure: BaseException, debug: bool) -> None:
    with contextlib.suppress(OSError):  # standard error may be gone too; the status remains
        if debug:
            traceback.print_exception(failure)
        print(f"splitbrain: {words_of(failure)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Signals raise Interrupted inside the block."""
    before = {number: signal.signal(number, _interrupt) for number in ending_signals()}
    hook, sys.unraisablehook = sys.unraisablehook, _say_what_was_lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise _Signalled(signal.Signals(number))


class _Signalled(Interrupted):
    """An interruption that knows its signal, and sends it again if it is dropped before the command has ended.

    No exception gets out of a finalizer, nor out of C code that takes any error for a missing attribute, as imports of
    large libraries do. This holds for what is raised meanwhile here too.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"interrupted by {number.name}")
        self.number = number
        self.arrived = False

    def __del__(self) -> None:
        if not self.arrived and signal.getsignal(self.number) is _interrupt:
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), self.number)).start()


def _arrived(failure: BaseException | None) -> None:
    """Note that an exception, and those in whose place it was raised, have ended the command."""
    while failure is not None:
        if isinstance(failure, _Signalled):
            failure.arrived = True
        failure = failure.__cause__ or failure.__context__


def _say_what_was_lost(unraisable: sys.UnraisableHookArgs) -> None:
    if not isinstance(unraisable.exc_value, _Signalled):
        sys.__unraisablehook__(unraisable)


def ignore_signals() -> None:
    """Ignore signals from here on: the command has concluded, and its status stands while the interpreter ends.

    The interpreter removes handlers before it has ended, so that a signal would decide the status again.
    """
    for number in ending_signals():
        signal.signal(number, signal.SIG_IGN)
