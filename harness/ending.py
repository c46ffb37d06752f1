"""The end of a command: whatever ends it becomes an exit status and at most one message.

Statuses 0, 1 and 2 are verdicts; everything else that can happen, a signal and a bug included, is 3 or 64. Imports
nothing large, since a signal may also end the imports of the command line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from splitbrain.errors import EXIT_FAILED, EXIT_VALID, Interrupted, SplitbrainError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
            status = late.exit_status
    sys.exit(status)


def words_of(failure: BaseException) -> str:
    """A failure in one message; of a bug, with the place in the source."""
    match failure:
        case SplitbrainError() | Interrupted():
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
        status = ended.code if isinstance(ended.code, int) else EXIT_VALID if ended.code is None else EXIT_FAILED
    except BaseException as failure:
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
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(f"interrupted by {signal.Signals(number).name}")


def leave_at_once() -> None:
    """From here on a signal ends the process with status 3: the command has concluded and the interpreter ends."""
    for number in ending_signals():
        signal.signal(number, lambda number, frame: os._exit(EXIT_FAILED))
