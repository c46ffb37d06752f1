"""Errors, sorted by cause; each kind has its exit status.

    SplitbrainError
    ├── UsageError          a mistake in the input: place, expected, found         (64)
    └── EnvironmentFailure  the machine or the engine fails: cause and remedy       (3)
        └── NoEngine        no Docker engine answers
    Interrupted             a signal ended the run: ctrl-C, kill -TERM, a hang-up    (3)

Answers of nodes, and missing ones, are data in the history and never exceptions. A bug of splitbrain is an assertion or
any other exception, ends with status 3 too (``ending``), and shows its traceback with ``--debug``.
"""

from __future__ import annotations

EXIT_VALID = 0
EXIT_INVALID = 1
EXIT_UNKNOWN = 2
EXIT_FAILED = 3
EXIT_USAGE = 64


class SplitbrainError(Exception):
    """An error that is no bug of splitbrain; the command line ends with ``exit_status``."""

    exit_status: int = EXIT_FAILED


class UsageError(SplitbrainError):
    """The caller asked for something impossible."""

    exit_status = EXIT_USAGE


class EnvironmentFailure(SplitbrainError):
    """The environment of a run failed: no engine, a full disk, an image that does not build."""


class NoEngine(EnvironmentFailure):
    """No Docker engine answers, so nothing can run on containers."""


class Interrupted(BaseException):
    """A signal asked the run to end.

    Like KeyboardInterrupt it is no Exception: code that continues after any failure, as judging does after a checker's,
    must not continue after this.
    """

    exit_status = EXIT_FAILED
